"""Targets of every kind, and a clear line for each that cannot be."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosinterp.organism import tasks
from cosinterp.organism.mazes import generate_maze
from cosinterp.probing import study_of
from probes.probing import maze_targets
from stores import SelectionError, Store, StoreError
from tests.unit.probes.probing.planted_stores import labels_of, plant, size_of

CODE = """
import numpy as np

def mark(run):
    return run.truth["mark"].astype(bool)

def half(run):
    return run.seed

def fails(run):
    return 1 / 0

def odd(run):
    return np.zeros(7)

def nothing():
    pass
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return plant(tmp_path_factory.mktemp("planted") / "store")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_targets.py").write_text(CODE)
    monkeypatch.delitem(sys.modules, "my_targets", raising=False)
    return tmp_path


def labels(store: Store, target: str, **asked: Any) -> list[float]:
    return study_of(store, target, **asked).rows.problem.labels.tolist()


def per_run(value: Callable[[int], float]) -> list[float]:
    return [value(number) for number in range(12) for _ in range(2)]


def test_truths_are_taken_as_they_are_or_compared(store: Store) -> None:
    assert labels(store, "size") == labels(store, "truth:size") == per_run(size_of)
    assert labels(store, "size>0.25") == per_run(lambda number: int(size_of(number) > 0.25))
    assert labels(store, "goal==c") == per_run(lambda number: int(number % 4 == 2))
    study = study_of(store, "goal")
    assert study.rows.problem.classes == ("a", "b", "c", "d")
    assert study.plan.model == "logistic"
    assert study_of(store, "size").plan.model == "ridge"


def test_zeros_and_ones_are_classes_unless_numbers_are_wanted(store: Store) -> None:
    assert study_of(store, "truth:mark").rows.problem.kind == "binary"
    assert study_of(store, "truth:mark", labels="number").rows.problem.kind == "number"


def test_a_table_by_sample_or_by_seed(store: Store, folder: Path) -> None:
    rows = "\n".join(f"sample-{number:02},{size_of(number)},x{number % 2}" for number in range(12))
    Path("labels.csv").write_text(f"sample,size,kind\n{rows}\n")
    assert np.allclose(labels(store, "labels.csv:size"), per_run(size_of))
    assert labels(store, "labels.csv:kind") == per_run(lambda number: number % 2)
    by_seed = "\n".join(
        f"sample-{number:02},{seed},{seed * number}" for number in range(12) for seed in (0, 1)
    )
    Path("seeds.csv").write_text(f"sample,seed,value\n{by_seed}\n")
    expected = [seed * number for number in range(12) for seed in (0, 1)]
    assert labels(store, "seeds.csv") == expected


def test_samples_that_a_table_lacks_are_left_out_and_named(store: Store, folder: Path) -> None:
    Path("labels.csv").write_text(
        "sample,size\n" + "\n".join(f"sample-{number:02},{number}" for number in range(10))
    )
    study = study_of(store, "labels.csv")
    assert len(study.rows.names) == 10
    assert study.notes[0] == "2 samples without a label left out: sample-10, sample-11"


def test_arrays_by_sample(store: Store, folder: Path) -> None:
    marks = {f"sample-{number:02}": labels_of(number).astype(bool) for number in range(12)}
    np.savez("marks.npz", **marks)
    np.save("marks.npy", np.stack(list(marks.values())))
    expected = labels(store, "truth:mark")
    assert labels(store, "marks.npz") == labels(store, "marks.npy") == expected


def test_a_function_of_a_run(store: Store, folder: Path) -> None:
    assert labels(store, "my_targets:mark") == labels(store, "truth:mark")


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("nix", {}, 'target "nix" is not known; there are goal, size, .*truth:mark'),
    ("truth:nix", {}, "sample sample-00 has no truth nix; it has goal, mark, size"),
    ("goal>3", {}, "these are texts; compare them by == or !="),
    ("size==red", {}, "these are numbers, and 'red' is none"),
    ("size>100", {}, 'all labels are "no": one class only'),
    ("goal", {"labels": "number"}, '"a" is no number'),
    ("size", {"model": "logistic"}, "choose --model ridge, or --labels classes"),
    ("truth:mark", {"samples": "sample-00"}, "1 sample with labels, too few for 5 folds"),
    ("truth:mark", {"samples": ["sample-00", "sample-01"]}, "2 samples with labels, too few for 5 folds"),
    ("goal", {"samples": "sample-0*"}, 'the class "[a-d]" is missing in a training set|too few'),
    ("truth:mark", {"layers": "0,9"}, "there is no layer 9; .* has layers 0-2"),
    ("truth:mark", {"steps": "7"}, "there is no step 7; .* has steps 0-2"),
    ("truth:mark", {"frames": "3"}, "there is no frame 3"),
    ("truth:mark", {"samples": "other-*"}, "has no runs of other-"),
    ("truth:mark", {"memory": 20_000}, "make it fit by --host-memory, --max-tokens"),
    ("truth:mark", {"outer": 1}, "outer is at least 2"),
    ("truth:mark", {"max_tokens": 0}, "max tokens: at least 1"),
    ("labels.csv", {}, "there is no file labels.csv"),
    ("no_module:thing", {}, "there is no module no_module"),
    ("my_targets:other", {}, "my_targets has no other; it has mark, half, fails, odd, nothing"),
    ("my_targets:nothing", {}, r"takes \(\); it has to take \(run\)"),
    ("my_targets:fails", {}, "fails on sample-00 seed 0: ZeroDivisionError: division by zero"),
    ("my_targets:odd", {}, r"labels of the shape \(7,\) do not fit the token grid 2x4x4"),
]


@pytest.mark.parametrize(("target", "asked", "message"), REFUSED)
def test_what_cannot_be_probed_is_said_in_a_line(
    store: Store, folder: Path, target: str, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(SelectionError, match=message) as error:
        study_of(store, target, **asked)
    assert "\n" not in str(error.value)


TABLES: list[tuple[str, str, str]] = [
    ("name,size\na,1\n", "labels.csv", "needs a column sample; it has name, size"),
    ("sample,a,b\nx,1,2\n", "labels.csv", "say which column, such as labels.csv:a; it has a, b"),
    ("sample,a,b\nx,1,2\n", "labels.csv:c", "there is no column c of labels; it has a, b"),
    ("sample\nx\n", "labels.csv", "has no column of labels beside sample and seed"),
    ("sample,a\nx,1\nx,2\n", "labels.csv", "sample x is there twice"),
    ("sample,seed,a\nx,one,2\n", "labels.csv", "seeds are whole numbers"),
    ("sample,a\nx,1\n", "labels.csv", "no row of 24 runs has a label"),
    ("sample,a\n" + "".join(f"sample-{n:02},inf\n" for n in range(12)), "labels.csv", "infinite"),
]


@pytest.mark.parametrize(("text", "target", "message"), TABLES)
def test_a_table_that_cannot_be_used_is_said_in_a_line(
    store: Store, folder: Path, text: str, target: str, message: str
) -> None:
    Path("labels.csv").write_text(text)
    with pytest.raises(SelectionError, match=message):
        study_of(store, target)


def test_a_site_that_the_store_lacks_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match="site 'mlp': .* has resid"):
        study_of(store, "truth:mark", site="mlp")


def test_nan_among_the_activations_is_named_with_its_place(tmp_path: Path) -> None:
    store = plant(tmp_path / "store", damage=("sample-03", 1, 2, 1))
    study = study_of(store, "truth:mark", permutations=0, draws=100)
    message = "sample-03 seed 1 has NaN or infinity at site resid, step 2, layer 1"
    with pytest.raises(SelectionError, match=message):
        study.run()


def test_an_untrained_store_has_to_match(store: Store, tmp_path: Path) -> None:
    with pytest.raises(SelectionError, match="is the store that is probed; name another"):
        study_of(store, "truth:mark", untrained=store.path)
    few = plant(tmp_path / "few", samples=6, cells=())
    with pytest.raises(SelectionError, match="has no run of sample-06 seed 0; trace it with --follow"):
        study_of(store, "truth:mark", untrained=few.path)
    larger = plant(tmp_path / "larger", cells=(), grid=(4, 4, 4))
    with pytest.raises(SelectionError, match="has other tokens or channels"):
        study_of(store, "truth:mark", untrained=larger.path)


def test_places_of_mazes() -> None:
    truth = tasks.truth(generate_maze(3, 5), "blue")
    goal = truth["blue_goal"].tolist()
    assert np.argwhere(maze_targets.goal_cell(truth) == "yes").tolist() == [goal]
    assert np.argwhere(maze_targets.other_goal_cell(truth) == "yes").tolist() == [truth["red_goal"].tolist()]
    assert ((maze_targets.path(truth) == "yes") == (np.asarray(truth["path_order"]) > 0)).all()
    assert ((maze_targets.wall(truth) == "yes") == truth["walls"].astype(bool)).all()


def test_distances_are_those_of_a_walk() -> None:
    truth = tasks.truth(generate_maze(3, 5), "blue")
    found = maze_targets.distance(truth)
    floor = truth["walls"] == 0
    expected = np.full(floor.shape, np.nan)
    ring = [tuple(truth["blue_goal"].tolist())]
    steps = 0
    while ring:
        for place in ring:
            expected[place] = steps
        near = {(row + a, col + b) for row, col in ring for a, b in ((0, 1), (1, 0), (0, -1), (-1, 0))}
        ring = [place for place in near if floor[place] and np.isnan(expected[place])]
        steps += 1
    assert np.array_equal(found, expected, equal_nan=True)
    assert found[tuple(truth["start"].tolist())] == int(str(truth["path_length"])) - 1
