"""A store as a folder: made, opened, filtered, gone through."""

from __future__ import annotations

import json
import os
import pickle
import signal
import threading
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import stores.store
from stores import (
    Run,
    SelectionError,
    Store,
    StoreError,
    StoreSettings,
    create_store,
    open_store,
    sample_name,
)
from tests.unit.stores.making import (
    BRANCHES,
    CHANNELS,
    LAYERS,
    STEPS,
    bits,
    keys,
    make_store,
    settings,
    widen,
)
from tests.unit.stores.scripts import output_of

ROOT = Path(__file__).parents[3]
RUNS = [(sample, seed) for sample in ("a", "b") for seed in (0, 1, 5)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("store") / "s", RUNS)


def test_settings_come_back_as_they_were_given(tmp_path: Path) -> None:
    given = StoreSettings(
        {"name": "m", "revision": None}, {"layers": range(3)}, {"shift": np.float64(3), "low": -np.inf}
    )
    create_store(tmp_path / "s", given)
    assert open_store(tmp_path / "s").settings == given
    assert given.capture["layers"] == [0, 1, 2]
    content = json.loads((tmp_path / "s/store.json").read_text())
    assert (content["format"], content["version"]) == ("cosinterp-store", 2)


def test_settings_that_json_cannot_hold_are_refused() -> None:
    with pytest.raises(TypeError, match=r"sampling\.scheduler\.dtype: a type cannot be stored as JSON"):
        StoreSettings(sampling={"scheduler": {"dtype": np.float32}})


def test_each_difference_of_settings_is_named(tmp_path: Path) -> None:
    here = StoreSettings(
        {"name": "m"}, {"layers": range(9), "sites": ["resid"]}, {"scheduler": {"shift": 3.0}, "h": None}
    )
    asked = StoreSettings(
        {"name": "m"}, {"layers": range(5), "sites": ["mlp"]}, {"scheduler": {"shift": 5.0}, "w": 64}
    )
    assert here.differences(here) == []
    assert here.differences(asked) == [
        "capture.layers: 0-8 here, 0-4 asked",
        "capture.sites: resid here, mlp asked",
        "sampling.scheduler.shift: 3.0 here, 5.0 asked",
        "sampling.h: null here, nothing asked",
        "sampling.w: nothing here, 64 asked",
    ]
    create_store(tmp_path / "s", here)
    with pytest.raises(
        StoreError, match=r"exists with other settings(.|\n)*capture\.layers: 0-8 here, 0-4 asked"
    ):
        create_store(tmp_path / "s", asked, exist_ok=True)


def test_a_store_that_exists_is_only_taken_when_that_is_meant(tmp_path: Path) -> None:
    make_store(tmp_path / "s", [("a", 0)])
    with pytest.raises(StoreError, match="this store exists; go on with it with --resume"):
        create_store(tmp_path / "s", settings())
    assert create_store(tmp_path / "s", settings(), exist_ok=True).has("a", 0)


def test_a_store_takes_an_empty_folder_but_no_other(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    create_store(tmp_path / "empty", settings())
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.txt").write_text("precious")
    with pytest.raises(StoreError, match="full: this folder is not empty and not a store"):
        create_store(tmp_path / "full", settings())
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.txt"]
    with pytest.raises(StoreError, match=r"thesis\.txt: this is a file; a store is a folder"):
        create_store(tmp_path / "full/thesis.txt", settings())


def test_a_store_that_another_process_makes_in_between_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iterdir = Path.iterdir

    def too_late(folder: Path) -> Iterator[Path]:
        monkeypatch.undo()
        create_store(folder, settings())
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", too_late)
    assert create_store(tmp_path / "s", settings(), exist_ok=True).runs() == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not an activation store, it holds no store.json"),
        ("{", "store.json: damaged, it is no JSON"),
        ("[]", "not the store.json of an activation store"),
        ('{"format": "zarr"}', "not the store.json of an activation store"),
        ('{"format": "cosinterp-store"}', "does not say its format version"),
        ('{"format": "cosinterp-store", "version": 3}', "store of format version 3, .* upgrade cosinterp"),
        (
            '{"format": "cosinterp-store", "version": 1}',
            "store of the old format version 1, .* trace it again",
        ),
        (
            '{"format": "cosinterp-store", "version": 2, "model": {}}',
            "must hold the dictionaries model, capture, sampling",
        ),
    ],
)
def test_what_is_no_store_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "store.json").write_text(content)
    with pytest.raises(StoreError, match=message) as caught:
        open_store(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere: no such store"):
        open_store(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file: this is a file; a store is a folder"):
        open_store(tmp_path / "file")


def test_runs_are_filtered_by_sample_seed_and_variant(store: Store) -> None:
    assert keys(store) == RUNS
    assert keys(store, sample="b") == [("b", 0), ("b", 1), ("b", 5)]
    assert keys(store, sample=["b", "a", "c"], seed=5) == [("a", 5), ("b", 5)]
    assert keys(store, sample="a", seed=slice(0, 5)) == [("a", 0), ("a", 1)]
    assert keys(store, sample="a", seed=slice(1, None, 4)) == [("a", 1), ("a", 5)]
    assert keys(store, sample="a", seed="0,3-5") == [("a", 0), ("a", 5)]
    assert keys(store, seed=[1]) == [("a", 1), ("b", 1)]
    assert keys(store, sample="c") == []
    assert keys(store, variant="patched") == []
    with pytest.raises(StoreError, match="runs upwards from 0"):
        store.runs(seed=slice(-2, None))


def test_seeds_are_whole_numbers_of_any_kind(store: Store) -> None:
    table = store.table()
    assert keys(store, seed=table["seed"][1]) == [("a", 1), ("b", 1)]
    assert keys(store, seed=table["seed"][1:3], sample="a") == [("a", 1), ("a", 5)]
    assert keys(store, seed=np.array([0, 5]), sample="b") == [("b", 0), ("b", 5)]
    with pytest.raises(TypeError):
        store.runs(seed=1.5)  # type: ignore[arg-type]


def test_a_run_that_is_not_there_is_told_with_what_is(store: Store) -> None:
    with pytest.raises(StoreError, match=r"sample 'c': .* has the samples a, b"):
        store.read("resid", 0, 0, "c", 0)
    with pytest.raises(StoreError, match=r"seed 3: sample a in .* has seeds 0-1,5"):
        store.run("a", 3)
    with pytest.raises(StoreError, match=r"seed 0: sample a in .* has patched seeds none"):
        store.run("a", 0, "patched")


def test_iterating_gives_what_is_asked_for_in_the_order_of_the_file(store: Store) -> None:
    found = list(store.iter("resid", steps="0", layers="10-20", samples="b", seeds=[0, 5], branches="uncond"))
    places = [(entry.sample, entry.seed, step, layer, branch) for entry, step, layer, branch, _ in found]
    assert places == [("b", seed, 0, layer, "uncond") for seed in (0, 5) for layer in (10, 20)]
    for (sample, seed, step, layer, branch), (*_, array) in zip(places, found, strict=True):
        assert np.array_equal(array, widen(bits(sample, seed, step, layer, branch)))
    everything = [
        (step, layer, branch) for _, step, layer, branch, _ in store.iter("resid", samples="a", seeds=1)
    ]
    assert everything == [(step, layer, branch) for step in STEPS for layer in LAYERS for branch in BRANCHES]
    with pytest.raises(SelectionError, match="this store has steps 0,2"):
        next(store.iter("resid", steps="1"))
    with pytest.raises(StoreError, match="site 'mlp'"):
        next(store.iter("mlp"))
    with pytest.raises(StoreError, match="branch 'both'"):
        next(store.iter("resid", branches=["cond", "both"]))
    with pytest.raises(StoreError, match="no branch is selected: .* has cond, uncond"):
        next(store.iter("resid", branches=[]))


def test_an_array_is_labelled(store: Store) -> None:
    array = store.array("resid", layers="-1", seeds="0-1")
    assert array.dims == ("sample", "seed", "step", "layer", "branch", "frame", "row", "col", "channel")
    assert array.shape == (2, 2, 2, 1, 2, 3, 4, 5, 6)
    for (sample, seed), step, branch in (
        (run, step, branch) for run in RUNS[:2] for step in STEPS for branch in BRANCHES
    ):
        slab = array.sel(sample=sample, seed=seed, step=step, layer=20, branch=branch)
        assert np.array_equal(slab.values, widen(bits(sample, seed, step, 20, branch)))


def test_an_array_of_a_branch_that_is_not_stored_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match=r"branch 'both': .* has cond, uncond"):
        store.array("resid", branches="both")


@pytest.mark.parametrize("grid", [(1, 4, 5), (3, 4, 6)])
def test_an_array_of_samples_with_other_token_grids_is_refused(
    grid: tuple[int, int, int], tmp_path: Path
) -> None:
    store = make_store(tmp_path / "s", [("a", 0)])
    with store.writer("b", 0) as writer:
        writer.set_schedule([1000, 500, 250], [1.0, 0.5, 0.25, 0.0])
        writer.add_site("resid", LAYERS, STEPS, BRANCHES, grid, CHANNELS)
        for step, layer, branch in product(STEPS, LAYERS, BRANCHES):
            writer.write("resid", step, layer, branch, np.zeros((*grid, CHANNELS), np.uint16))
        writer.finish()
    shown = "x".join(map(str, grid))
    with pytest.raises(StoreError, match=rf"sample b has the token grid {shown}, sample a 3x4x5; select"):
        store.array("resid")


def test_an_array_that_has_gaps_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no run is selected"):
        store.array("resid", samples="c")
    gaps = make_store(tmp_path / "s", [("a", 0), ("a", 3), ("b", 0)])
    with pytest.raises(StoreError, match="sample b lacks seeds 3 that others have"):
        gaps.array("resid")


def test_the_table_has_a_row_a_run(store: Store) -> None:
    table = store.table()
    assert list(zip(table["sample"], table["seed"], strict=True)) == RUNS
    assert table["num_steps"].tolist() == [3] * len(RUNS)


def test_a_store_can_be_pickled(store: Store) -> None:
    copy = pickle.loads(pickle.dumps(store))
    assert copy.runs() == store.runs()
    assert np.array_equal(copy.read("resid", 0, 0, "a", 0), store.read("resid", 0, 0, "a", 0))


def test_a_store_is_read_after_a_fork(store: Store) -> None:
    expected = store.read("resid", 0, 0, "a", 0, raw=True)
    child = os.fork()
    if child == 0:
        right = np.array_equal(store.read("resid", 0, 0, "a", 0, raw=True), expected)
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_store_is_read_after_a_fork_while_another_thread_opens_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path / "s", [("a", 0)])
    opening, go_on = threading.Event(), threading.Event()

    def slow(path: Path) -> Run:
        if threading.current_thread() is not threading.main_thread():
            opening.set()
            go_on.wait(60)
        return Run(path)

    monkeypatch.setattr(stores.store, "Run", slow)
    other = threading.Thread(target=store.read, args=("resid", 0, 0, "a", 0))
    other.start()
    assert opening.wait(60)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        found = store.read("resid", 0, 0, "a", 0, raw=True)
        right = len(store.runs()) == 1 and np.array_equal(found, bits("a", 0, 0, 0, "cond"))
        os._exit(0 if right else 1)
    status = os.waitpid(child, 0)[1]
    go_on.set()
    other.join()
    assert os.waitstatus_to_exitcode(status) == 0


def test_threads_read_one_store(tmp_path: Path) -> None:
    runs = [("a", seed) for seed in range(12)]
    store = make_store(tmp_path / "s", runs)
    wrong: list[str] = []

    def read(start: int) -> None:
        for number in range(60):
            sample, seed = runs[(start + number) % len(runs)]
            try:
                right = np.array_equal(
                    store.read("resid", 0, 10, sample, seed, raw=True), bits(sample, seed, 0, 10, "cond")
                )
            except Exception as error:
                wrong.append(repr(error))
                raise
            if not right:
                wrong.append(f"seed {seed}")

    threads = [threading.Thread(target=read, args=(3 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


READ_ONLY = """
import os, sys
def refuse(event, args):
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
    if event == "open" and isinstance(args[2], int) and args[2] & writes:
        raise OSError(30, "Read-only file system", args[0])
    if event in ("os.mkdir", "os.rename", "os.remove", "os.link", "os.truncate", "os.chmod"):
        raise OSError(30, "Read-only file system", args[0])
sys.dont_write_bytecode = True
from stores import StoreError, open_store
import stores.labelled
sys.addaudithook(refuse)
store = open_store(sys.argv[1])
assert len(store.runs()) == 6 and store.read("resid", 0, 0, "a", 0).shape == (3, 4, 5, 6)
assert store.verify() == [] and len(store.table()) == 6
try:
    store.writer("z", 0)
except StoreError as error:
    print(error)
"""


def test_a_store_on_a_read_only_disk_is_read_and_a_writer_told(store: Store) -> None:
    said = output_of(READ_ONLY, store.path)
    assert said.endswith("runs/z/0.h5: cannot be written: Read-only file system\n")


@pytest.mark.parametrize("text", ["maze-3", "A.b_c-0"])
def test_a_valid_sample_name_stays(text: str) -> None:
    assert sample_name(text) == text


def test_other_texts_get_sample_names_that_differ_and_can_be_written(tmp_path: Path) -> None:
    texts = [
        "Go to the red goal!",
        "go/to",
        "go to",
        "go-to",
        "",
        "…",
        "赤",
        "é",
        "x" * 300,
        "../../etc",
        "a.",
    ]
    names = [sample_name(text) for text in texts]
    assert len(set(names)) == len(texts)
    store = make_store(tmp_path / "s")
    for name in names:
        with store.writer(name, 0) as writer:
            writer.set_schedule([1], [1, 0])
            writer.finish()
    assert sorted(entry.sample for entry in store.runs()) == sorted(names)
