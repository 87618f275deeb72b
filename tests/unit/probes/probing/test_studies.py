"""Probing a store: signals are found where they were planted, with their baselines, and nowhere else."""

from __future__ import annotations

from inspect import signature
from pathlib import Path

import numpy as np
import pytest

from cosinterp.probing import probe, probe_transfer, study_of
from probes.probing.problem import Problem
from probes.probing.study import Asked, prepare
from probes.results.result import Result
from stores import Store
from stores.errors import SelectionError
from tests.unit.probes.probing.planted_stores import CELLS, CHANNELS, GRID, labels_of, plant, size_of

PERMUTATIONS = 99
QUICK = {"strengths": (1e-2, 1.0), "draws": 100}
ASKED = QUICK | {"permutations": 20, "steps": "1", "layers": "1,2", "seed": 3}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return plant(tmp_path_factory.mktemp("planted") / "store")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return plant(tmp_path_factory.mktemp("untrained") / "store", cells=(), noise=5)


@pytest.fixture(scope="module")
def found(store: Store, untrained: Store) -> Result:
    return probe(store, "truth:mark", permutations=PERMUTATIONS, untrained=untrained.path, **QUICK)


@pytest.fixture(scope="module")
def of_two_cells(store: Store) -> Result:
    return probe(store, "truth:mark", **ASKED)


def cells_below(result: Result, alpha: float = 0.05) -> set[tuple[int, int]]:
    p = result.dataset["p"]
    rows, columns = np.nonzero(p.values < alpha)
    return {(int(p["step"][row]), int(p["layer"][column])) for row, column in zip(rows, columns, strict=True)}


def test_a_mark_of_tokens_is_found_where_it_was_planted_and_nowhere_else(found: Result) -> None:
    assert cells_below(found) == set(CELLS)
    for step in (0, 1, 2):
        for layer in (0, 1, 2):
            score = float(found.dataset["score"].sel(step=step, layer=layer))
            assert score > 0.8 if (step, layer) in CELLS else score < 0.65


def test_a_number_of_runs_is_found_where_it_was_planted_and_nowhere_else(tmp_path: Path) -> None:
    store = plant(tmp_path / "store", samples=30, seeds=1)
    result = probe(store, "size", permutations=PERMUTATIONS, baselines=False, **QUICK)
    assert cells_below(result) == set(CELLS)
    assert result.dataset.attrs["metric"] == "r2"
    assert float(result.dataset["score"].sel(step=1, layer=1)) > 0.8


def test_baselines_stand_beside_and_are_passed_only_where_something_was_planted(found: Result) -> None:
    dataset = found.dataset
    assert dataset["baseline"].values.tolist() == ["step", "position", "condition", "latent", "untrained"]
    assert np.allclose(dataset["baseline_score"].sel(baseline="step"), 0.5)
    assert np.isnan(dataset["baseline_score_low"].sel(baseline="step")).all()
    assert np.isfinite(dataset["above_low"].sel(baseline="step")).all()
    for name in ("position", "condition", "latent", "untrained"):
        here = dataset.sel(baseline=name)
        assert np.allclose(here["above"], dataset["score"] - here["baseline_score"])
        for step in (0, 1, 2):
            for layer in (0, 1, 2):
                cell = here.sel(step=step, layer=layer)
                assert (
                    float(cell["above_low"]) > 0.1 if (step, layer) in CELLS else float(cell["above"]) < 0.1
                )


def test_an_untrained_model_that_saw_other_latents_is_noted(
    store: Store, untrained: Store, tmp_path: Path
) -> None:
    following = plant(tmp_path / "store", cells=())
    for other, noted in ((untrained, True), (following, False)):
        notes = study_of(store, "truth:mark", untrained=other.path).notes
        assert any("was shown other latents" in note for note in notes) == noted


def test_a_result_says_what_was_found_and_how(found: Result, tmp_path: Path) -> None:
    told = "\n".join(found.summary())
    assert "decodable at 2 of 9 cells" in told
    assert "step 1: layer 1; step 2: layer 2" in told
    assert "768 tokens of 24 runs of 12 samples" in told
    assert "seed 0" in told
    assert "beyond class frequencies alone" in told
    table = found.table()
    assert len(table) == 9
    over = table["code_prior"] / table["code_length"]
    np.testing.assert_allclose(table["compression_over_prior"], over)
    compressed = table[over > 1.2]
    assert list(zip(compressed["step"], compressed["layer"], strict=True)) == list(CELLS)
    assert {"step", "layer", "value", "low", "high", "n", "baseline_step", "above_latent_low"} <= set(table)
    assert table["step"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for figure in found.figures():
        assert found.plot(tmp_path / f"{figure}.png", figure).stat().st_size > 10_000


def test_a_result_is_saved_and_opened_as_it_was(found: Result, tmp_path: Path) -> None:
    saved = found.save(tmp_path, "mark")
    again = Result.open(saved.path or "")
    assert again.summary() == found.summary()
    assert again.provenance["asked"]["target"] == "truth:mark"


def test_the_same_question_gives_the_same_numbers_again(store: Store, of_two_cells: Result) -> None:
    assert of_two_cells.dataset.equals(probe(store, "truth:mark", **ASKED).dataset)


def test_processes_side_by_side_change_nothing(store: Store, of_two_cells: Result) -> None:
    assert of_two_cells.dataset.equals(probe(store, "truth:mark", jobs=2, **ASKED).dataset)


def test_little_memory_changes_nothing(store: Store, of_two_cells: Result) -> None:
    plenty = study_of(store, "truth:mark", **ASKED)
    little = 4 * plenty.features.bytes_of_cell()
    assert plenty.together == 2
    assert study_of(store, "truth:mark", memory=little, **ASKED).together == 1
    assert of_two_cells.dataset.equals(probe(store, "truth:mark", memory=little, **ASKED).dataset)


def test_probes_carry_over_between_planted_cells_and_nowhere_else(store: Store) -> None:
    result = probe_transfer(store, "truth:mark", transfer_steps="1", transfer_layers="1", **QUICK)
    score = result.dataset["score"].squeeze(["train_step", "train_layer"])
    high = {
        (step, layer)
        for step in (0, 1, 2)
        for layer in (0, 1, 2)
        if float(score.sel(test_step=step, test_layer=layer)) > 0.75
    }
    assert high == set(CELLS)
    assert len(result.table()) == 9
    assert result.figures() == ["steps", "layers"]
    assert "step 1, layer 1" in "\n".join(result.summary())


def test_a_probe_tested_where_it_was_fitted_scores_as_in_the_grid(store: Store) -> None:
    alone = {"control": False, "mdl": False, "baselines": False}
    asked = QUICK | {"steps": "1-2", "layers": "1", "permutations": 0}
    score = probe(store, "truth:mark", **alone, **asked).dataset["score"]
    carried = probe_transfer(store, "truth:mark", **asked).dataset["score"]
    for step in (1, 2):
        there = carried.sel(train_step=step, train_layer=1, test_step=step, test_layer=1)
        assert float(there) == pytest.approx(float(score.sel(step=step, layer=1)), abs=1e-12)


def test_samples_with_seeds_of_their_own_are_exchanged_by_rank(tmp_path: Path) -> None:
    store = plant(tmp_path / "store", seeds=lambda number: (number, 40 - number))
    problem = study_of(store, "truth:mark").rows.problem
    per_sample = 2 * int(np.prod(GRID))
    assert problem.slots.tolist() == np.tile(np.arange(per_sample), 12).tolist()


def test_what_cannot_be_permuted_is_said_before_anything_is_read(tmp_path: Path) -> None:
    store = plant(tmp_path / "store", samples=6, seeds=lambda number: range(number + 1))
    told: list[int] = []
    with pytest.raises(SelectionError, match="nothing can be permuted; choose as many seeds of every"):
        probe(store, "truth:mark", progress=lambda done, _: told.append(done), outer=2, inner=2, **QUICK)
    assert not told


def test_no_parameter_says_which_sample_a_row_is_of(store: Store) -> None:
    asked = set(signature(Asked).parameters) | set(signature(probe).parameters)
    assert not {name for name in asked if "group" in name or "cluster" in name or name == "folds"}
    problem = study_of(store, "truth:mark").rows.problem
    per_sample = 2 * int(np.prod(GRID))
    assert problem.samples.tolist() == np.repeat(np.arange(12), per_sample).tolist()


def test_folds_hold_samples_whole(store: Store) -> None:
    asked = QUICK | {"permutations": 0, "control": False, "mdl": False, "baselines": False}
    study = study_of(store, "truth:mark", steps="1", layers="1", **asked)
    cell = study.run().cells[1, 1]
    # Of a sample all rows, whatever token, frame or seed, are predicted by the probe of one fold.
    assert cell.probes.folds.shape == (12,)
    assert sorted(np.bincount(cell.probes.folds).tolist()) == [2, 2, 2, 3, 3]


def test_features_are_the_activations_of_the_rows(store: Store) -> None:
    study = study_of(store, "truth:mark", samples="sample-0*", seeds="1", max_tokens=5)
    read = study.features.of_cells(2, [0, 2])
    assert study.rows.tokens is not None
    places = study.rows.tokens.places
    expected = [
        store.read("resid", 2, 2, f"sample-0{number}", 1).reshape(-1, CHANNELS)[places]
        for number in range(10)
    ]
    assert np.array_equal(read[2], np.concatenate(expected))
    marks = np.concatenate([np.tile(labels_of(number).reshape(-1), 2)[places] for number in range(10)])
    assert study.rows.problem.labels.tolist() == marks.tolist()


@pytest.mark.parametrize(
    ("pool", "rows", "axes"), [("mean", 1, (0, 1, 2)), ("frames", 2, (1, 2)), ("tokens", 32, ())]
)
def test_rows_of_a_run_with_one_label(store: Store, pool: str, rows: int, axes: tuple[int, ...]) -> None:
    study = study_of(store, "size", pool=pool)
    problem: Problem = study.rows.problem
    assert study.rows.per_run == rows
    labels = np.repeat([size_of(number) for number in range(12)], 2 * rows)
    assert np.allclose(problem.labels, labels)
    slab = store.read("resid", 1, 1, "sample-00", 0)
    mean = slab.mean(axis=axes) if axes else slab
    assert np.allclose(study.features.of_cells(1, [1])[1][:rows], mean.reshape(rows, CHANNELS), atol=1e-6)


def test_frames_and_what_labels_are_among(store: Store) -> None:
    study = study_of(store, "truth:mark", frames="1", among="size>0")
    kept = [number for number in range(12) if size_of(number) > 0]
    assert study.rows.names == tuple(f"sample-{number:02}" for number in kept)
    assert study.rows.per_run == 16
    assert f"{12 - len(kept)} samples without a label left out" in study.notes[0]


def test_outcomes_of_a_task_are_unknown_where_no_task_is_named(store: Store) -> None:
    with pytest.raises(Exception, match='target "solved" is not known; there are goal, size, truth:mark'):
        prepare(store, Asked("solved"))
