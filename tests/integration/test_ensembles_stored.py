"""`ci.ensemble`: what stands in the store, in whatever order it is asked for, and however often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cosinterp as ci
from cosinterp.errors import InterventionError, SelectionError, TraceError, UserError
from cosinterp.models.model import Model
from cosinterp.replaying.stored import player_of
from stores import Run, Store
from tests.tiny import sample_for

KIND = "wan2.2-i2v-a14b"
SETTINGS: dict[str, Any] = {"num_steps": 3, "guidance_scale": 3.0}
NAME = "sample-0"


@pytest.fixture(scope="module")
def model(tiny_model: Callable[..., Model]) -> Model:
    return tiny_model(KIND)


def ensembled(model: Model, store: Path, seeds: Any = "3-5", **asked: Any) -> Store:
    return ci.ensemble(model, sample_for(KIND), store=store, seeds=seeds, **{**SETTINGS, **asked})


def numbers(run: Run) -> dict[str, np.ndarray]:
    steps = range(run.num_steps)
    assert run.video is not None
    return {
        "noisy": np.stack([run.noisy(step) for step in range(run.num_steps + 1)]),
        "prediction": np.stack([run.prediction(step) for step in steps]),
        "clean": np.stack([run.clean_estimate(step) for step in steps]),
        "sigma": run.schedule.sigma,
        "video": run.video,
        "image": np.asarray(run.image),
    }


def same(one: Run, other: Run) -> bool:
    here, there = numbers(one), numbers(other)
    return all(np.array_equal(value, there[name]) for name, value in here.items())


@pytest.mark.parametrize("asked", [{}, {"merge": "hidden", "layers": "1-2", "then": "all"}])
def test_one_seed_is_its_base_run_in_all_that_is_stored(asked, model, tmp_path):
    store = ensembled(model, tmp_path / "s", 4, **asked)
    assert [entry.key for entry in store.runs()] == [(NAME, 4, "base"), (NAME, 4, "ensemble")]
    with store.run(NAME, 4) as base, store.run(NAME, 4, "ensemble") as run:
        assert same(run, base)
        assert run.prompt == base.prompt
        own = {"intervention": None, "variant": None, "finished": None}
        assert {**run.attrs, **own} == {**base.attrs, **own}


def test_what_is_stored_says_how_it_was_made(model, tmp_path):
    store = ensembled(model, tmp_path / "s", then="one", how="norm-mean", steps="0-1", base=False)
    assert [entry.key for entry in store.runs()] == [(NAME, 3, "ensemble")]
    with store.run(NAME, 3, "ensemble") as run:
        assert run.attrs["intervention"] == {
            "kind": "ensemble",
            "words": "norm-mean of latent at steps 0-1; one goes on",
            "ensemble": {
                "merges": [{"what": "latent", "steps": [0, 1], "how": "norm-mean"}],
                "then": "one",
            },
            "seeds": [3, 4, 5],
            "chunk": 3,
            "evaluations": 2 * (3 * 2 + 1),
            "evaluations_of_one": 2 * 3,
        }
        assert run.attrs["batch_seeds"] == [3, 4, 5]
    with pytest.raises(UserError, match="only base runs follow from their seed"):
        player_of(model, store, store.run(NAME, 3, "ensemble"))
    assert store.verify() == []


@pytest.mark.parametrize("merge", ["latent", "x0"])
def test_the_order_of_seeds_does_not_matter_at_all(merge, model, tmp_path):
    stores = [
        ensembled(model, tmp_path / name, seeds, merge=merge, base=False, chunk=2)
        for name, seeds in (("one", [3, 4, 8]), ("other", [8, 3, 4, 3]))
    ]
    runs = [store.run(NAME, 3, "ensemble") for store in stores]
    assert same(*runs)


def test_all_that_go_on_are_stored_beside_their_base_runs(model, tmp_path):
    store = ensembled(model, tmp_path / "s", then="all", merge="x0")
    assert len(store.runs(variant="base")) == len(store.runs(variant="ensemble")) == 3
    finals = [numbers(store.run(NAME, seed, "ensemble"))["noisy"][-1] for seed in (3, 4, 5)]
    assert not np.array_equal(finals[0], finals[1])
    # Each keeps its own noise.
    for seed in (3, 4, 5):
        merged, base = (store.run(NAME, seed, variant) for variant in ("ensemble", "base"))
        assert np.array_equal(merged.noisy(0), base.noisy(0))
        assert not np.array_equal(merged.prediction(0), base.prediction(0))


def test_base_runs_that_are_there_are_not_made_again(model, tmp_path):
    store = ci.trace(model, sample_for(KIND), store=tmp_path / "s", seeds="3-4", sites="none", **SETTINGS)
    before = {entry.key: entry.finished for entry in store.runs()}
    store = ensembled(model, tmp_path / "s")
    after = {entry.key: entry.finished for entry in store.runs()}
    assert before.items() <= after.items()
    assert set(after) - set(before) == {(NAME, 5, "base"), (NAME, 3, "ensemble")}


def test_activations_are_recorded_if_asked_for(model, tmp_path):
    record = {"layers": "1-2", "save_steps": "0-1"}
    asked = {"merge": "hidden", "layers": "2", "then": "all", "record": record}
    store = ensembled(model, tmp_path / "s", "3-4", **asked)
    for layer in (1, 2):
        one, other = (
            store.read("resid", 0, layer, NAME, seed, branch="cond", variant="ensemble") for seed in (3, 4)
        )
        assert np.array_equal(one, other) == (layer == 2)
    base = store.read("resid", 0, 1, NAME, 3, branch="cond")
    np.testing.assert_allclose(
        store.read("resid", 0, 1, NAME, 3, branch="cond", variant="ensemble"), base, atol=1e-5
    )


def test_an_ensemble_joins_a_store_with_activations(model, tmp_path):
    ci.trace(model, sample_for(KIND), store=tmp_path / "s", seeds="3-5", layers="1", **SETTINGS)
    store = ensembled(model, tmp_path / "s")
    assert not store.run(NAME, 3, "ensemble").sites
    with pytest.raises(UserError, match="this store exists with other settings"):
        ensembled(model, tmp_path / "s", "3-6", variant="more")


class Ended(Exception):
    pass


class Told:
    """A progress that is ended when so many runs are finished."""

    def __init__(self, last: int | None = None) -> None:
        self.plans: list[list[tuple[str, int]]] = []
        self.steps: list[tuple[str, tuple[int, ...], int]] = []
        self.done: list[tuple[str, int]] = []
        self.last = last

    def planned(self, plan: Any, todo: Any) -> None:
        self.plans.append(list(todo))

    def step(self, sample: str, seeds: tuple[int, ...], step: int, num_steps: int) -> None:
        assert num_steps == SETTINGS["num_steps"]
        self.steps.append((sample, seeds, step))

    def finished(self, sample: str, seed: int) -> None:
        self.done.append((sample, seed))
        if len(self.done) == self.last:
            raise Ended


def samples(count: int) -> list[ci.Sample]:
    return [replace(sample_for(KIND), name=f"sample-{number}") for number in range(count)]


@pytest.mark.parametrize("then", ["one", "all"])
def test_an_interrupted_ensemble_goes_on_where_it_was(then, model, tmp_path):
    asked: dict[str, Any] = {**SETTINGS, "seeds": "3-4", "merge": "x0", "then": then, "base": False}
    whole = ci.ensemble(model, samples(3), store=tmp_path / "whole", **asked)
    with pytest.raises(Ended):
        ci.ensemble(model, samples(3), store=tmp_path / "s", progress=Told(1), **asked)
    store = ci.open(tmp_path / "s")
    before = {entry.key: entry.finished for entry in store.runs()}
    assert 0 < len(before) < len(whole.runs())
    assert not list((tmp_path / "s").rglob("*.partial"))
    with pytest.raises(TraceError, match="already has"):
        ci.ensemble(model, samples(3), store=tmp_path / "s", **asked)
    told = Told()
    store = ci.ensemble(model, samples(3), store=tmp_path / "s", resume=True, progress=told, **asked)
    assert before.items() <= {entry.key: entry.finished for entry in store.runs()}.items()
    assert sorted(told.done) == sorted(told.plans[0])
    assert {(sample, seed) for sample, seed, _ in before} | set(told.done) == {
        (entry.sample, entry.seed) for entry in whole.runs()
    }
    for entry in whole.runs():
        with whole.run(*entry.key) as one, store.run(*entry.key) as other:
            assert same(one, other)


def test_progress_is_told_of_base_runs_then_of_the_ensemble(model, tmp_path):
    told = Told()
    ensembled(model, tmp_path / "s", "3-4", progress=told)
    assert told.plans == [[(NAME, 3), (NAME, 4)], [(NAME, 3)]]
    assert told.done == [(NAME, 3), (NAME, 4), (NAME, 3)]
    of_ensemble = told.steps[2 * SETTINGS["num_steps"] :]
    assert of_ensemble == [(NAME, (3,), 0), (NAME, (4,), 0), (NAME, (3,), 1), (NAME, (3,), 2)]


def test_another_ensemble_does_not_go_into_the_same_variant(model, tmp_path):
    ensembled(model, tmp_path / "s", base=False)
    with pytest.raises(TraceError, match=r"other runs of the variant ensemble \(mean of latent at step 0"):
        ensembled(model, tmp_path / "s", base=False, resume=True, merge="x0")
    store = ensembled(model, tmp_path / "s", base=False, merge="x0", variant="x0")
    assert {entry.variant for entry in store.runs()} == {"ensemble", "x0"}


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"steps": "3"}, SelectionError, "this run has steps 0-2"),
        ({"merge": "hidden"}, InterventionError, "say which"),
        ({"merge": "hidden", "layers": "4"}, SelectionError, "this model has layers 0-3"),
        ({"merge": "hidden", "layers": "1", "site": "nose"}, SelectionError, 'unknown site "nose"'),
        ({"merge": "hidden", "layers": "0-1", "site": "mlp"}, InterventionError, "no mlp at layer 0"),
        ({"merge": "hidden", "layers": "1", "branches": "left"}, SelectionError, 'unknown branch "left"'),
        ({"layers": "1"}, InterventionError, "go with hidden states, not with latent"),
        ({"merge": "noise"}, InterventionError, "not an ensemble: what: Input should be 'latent', 'x0'"),
        ({"how": "mode"}, InterventionError, "not an ensemble: how: Input should be 'mean'"),
        ({"weights": [1, 2]}, UserError, "2 weights for 3 seeds"),
        ({"weights": [1, -1, 0]}, InterventionError, "add up to a positive number"),
        ({"weights": [1, 1, 1], "how": "medoid"}, InterventionError, "weights do not go with medoid"),
        ({"seeds": []}, SelectionError, "nothing is selected"),
        ({"chunk": 0}, InterventionError, 'chunk has to be 1 or more, or "auto"'),
        ({"variant": "base"}, InterventionError, "no run of the variant base"),
        ({"select": "agreement", "keep": 4}, InterventionError, "4 of 3 seeds cannot be kept"),
        ({"select": "agreement", "select_step": 7}, SelectionError, "select_step"),
        ({"select": "solved"}, InterventionError, "names no known task; use agreement"),
        ({"select": "no.such:function"}, InterventionError, "there is no module no"),
        ({"record": {"colour": 1}}, InterventionError, 'record has no "colour"'),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(asked, error, message, model, tmp_path):
    with pytest.raises(error, match=message):
        ensembled(model, tmp_path / "s", **{"seeds": "3-5", **asked})
    assert not (tmp_path / "s").exists()
