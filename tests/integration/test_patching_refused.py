"""What is wrong with a sweep is said before it starts, and what is wrong with a patch in its row."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler

import cosinterp as ci
from cosinterp.errors import UserError
from cosinterp.interventions.intervention import Bypass, Intervention, Replace, RunRef, Scale, Zero
from cosinterp.patching.patch import patch
from cosinterp.patching.running import Study, run_study
from cosinterp.patching.sweep import Sweep, SweepOptions
from cosinterp.scorers import Metric
from stores import Store, open_store
from stores.reader import Run
from tests.integration.sweeping import SEEDS, Bench, bench_of, swept, traced

WAN, JOINED = "Wan2.1 T2V", "CogVideoX: DDIM, epsilon"
ASKED: dict[str, Any] = {
    "donor": "red",
    "recipient": "blue",
    "horizon": 0,
    "videos": False,
    "controls": "none",
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return bench_of(
        WAN, tmp_path_factory.mktemp("bench") / "store", num_steps=2, layers="0,2", branches="cond"
    )


@pytest.fixture(autouse=True)
def _no_results(bench: Bench) -> Iterator[None]:
    yield
    for left in bench.store.path.glob("results/*"):
        left.unlink()


@pytest.fixture(scope="module")
def store_of(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Store]:
    """Other stores of the bench's model."""

    def of(**asked: Any) -> Store:
        path = tmp_path_factory.mktemp("other") / "store"
        return traced(bench.row, bench.model, path, **{"num_steps": 2, "seeds": [SEEDS[0]], **asked})[0]

    return of


def refused(bench: Bench, **asked: Any) -> str:
    """What `patch` says; it leaves nothing behind."""
    with pytest.raises(UserError) as raised:
        patch(bench.model, bench.store, **{**ASKED, **asked})
    said = str(raised.value)
    assert said
    assert said.count("\n") <= 1
    assert list(bench.store.path.glob("results/*")) == []
    return said


def test_donor_and_recipient_with_different_grids(bench: Bench, store_of: Callable[..., Store]) -> None:
    said = refused(bench, donor_store=store_of(height=64))
    assert said == (
        "red seed 3 and blue seed 3 have different grids: latents of 3x16x12 and 3x8x12 (frame x row x col); "
        "trace both at one size"
    )


def test_donor_and_recipient_with_different_steps(bench: Bench, store_of: Callable[..., Store]) -> None:
    said = refused(bench, donor_store=store_of(num_steps=3))
    assert said == "red seed 3 and blue seed 3 have 3 and 2 steps; trace both with one number"


def test_donor_and_recipient_with_different_guidance(bench: Bench, store_of: Callable[..., Store]) -> None:
    said = refused(bench, donor_store=store_of(guided=False))
    assert said == "red seed 3 and blue seed 3 have guidance scales 1.0 and 3.0; trace both with one"


def test_donor_and_recipient_with_different_timesteps(
    bench: Bench, store_of: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as shifted:
        shifted.setattr(bench.model.pipeline, "scheduler", _unipc(flow_shift=9.0))
        other = store_of()
    said = refused(bench, donor_store=other)
    assert said == "red seed 3 and blue seed 3 have different timesteps; trace both with one schedule"


def _unipc(**config: Any) -> UniPCMultistepScheduler:
    own = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
    return UniPCMultistepScheduler(**{**own, **config})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"sites": "mlp", "layers": "2"}, "site 'mlp': {store}/runs/red/3.h5 has resid"),
        ({"layers": "1"}, "no layer 1; site resid of the donor red seed 3 has layers 0,2$"),
        ({"layers": "0,2", "steps": "1"}, "no step 1; site resid of the donor red seed 3 has steps 0$"),
        ({"layers": "2", "branches": "uncond"}, "'uncond'.*3.h5 has cond"),
        ({"layers": "2"}, "'uncond'.*3.h5 has cond"),
    ],
)
def test_what_a_donors_store_does_not_have(asked: dict[str, Any], said: str, bench: Bench) -> None:
    """It says what it has; read from a replay, it is there."""
    wanted = {"steps": "0", "directions": "sufficiency", **asked}
    found = refused(bench, donors="store", **wanted)
    assert re.search(said.format(store=bench.store.path), found), found
    made = patch(bench.model, bench.store, **{**ASKED, **wanted}, seeds=3, name="replayed")
    assert set(made.error.values) == {""}
    assert made.x0_moved.notnull().all()


# --- Runs that cannot be replayed ---------------------------------------------------------------------------


def why_not(bench: Bench) -> str:
    said = refused(bench)
    start = f"blue seed 3 of {bench.store.path} cannot be replayed: "
    assert said.startswith(start)
    return said.removeprefix(start)


def test_another_scheduler(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.model.pipeline, "scheduler", FlowMatchEulerDiscreteScheduler(shift=3.0))
    assert why_not(bench) == (
        "it was made with UniPCMultistepScheduler, and the model has FlowMatchEulerDiscreteScheduler"
    )


def test_another_setting_of_the_scheduler(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.model.pipeline, "scheduler", _unipc(solver_order=3))
    assert why_not(bench) == "its scheduler had solver_order 2, and the model's has 3"


def test_other_weights(bench: Bench) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = ci.load(bench.row.build())
    other = Bench(bench.row, model, bench.store, bench.asked)
    assert why_not(other).startswith("another model made it (")


def test_no_latents(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "has_latents", property(lambda run: run.sample != "blue"))
    assert refused(bench) == "blue seed 3 was stored without its latents"
    sweep = Sweep(bench.model, [bench.trial(bench.replacing("red"))], SweepOptions())
    with pytest.raises(UserError, match="cannot be replayed: it was stored without its latents$"):
        sweep.check()


def test_a_run_that_was_changed_itself(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Run.__init__

    def opened(run: Any, path: Path) -> None:
        made(run, path)
        run.variant = "noised"

    monkeypatch.setattr(Run, "__init__", opened)
    store = open_store(bench.store.path)
    changed = Bench(bench.row, bench.model, store, bench.asked)
    sweep = Sweep(bench.model, [changed.trial(changed.replacing("red"))], SweepOptions())
    with pytest.raises(UserError, match="it is of variant noised, and only base runs follow from their seed"):
        sweep.check()


# --- Cells that there are not -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"donor": "green-*", "recipient": "bl*"}, "no pair: no run of bl"),
        ({"donor": "r*", "recipient": "x*"}, "has no runs of x"),
        ({"donor": "red", "recipient": "bl*"}, "give two names, or two patterns with one"),
        ({"donor": "green"}, "has no runs of green; it has blue, red"),
        ({"donor": "blue"}, "blue seed 3 is both donor and recipient"),
        ({"seeds": "7"}, "no pair: no run of blue"),
        ({"donor_seeds": "7"}, "no pair: .* that seed"),
        ({"donor_seeds": "3-5"}, "3 donor seeds for 2 seeds"),
        ({"steps": "2"}, "no step 2; this run has steps 0-1$"),
        ({"layers": "0-9"}, "no layer 9; this model has layers 0-3$"),
        ({"branches": "positive"}, 'unknown branch "positive"; this model has cond, uncond'),
        ({"sites": "attn"}, 'unknown site "attn"; this model has sites resid, '),
        ({"tokens": "roof"}, 'tokens "roof": cannot read "roof"'),
        ({"tokens": "frames:7"}, "frame 7"),
        ({"tokens": "truth:path"}, "path"),
        ({"window": 0}, "window 0: give a number of steps"),
        ({"window": 3}, "nothing to patch"),
        ({"sites": "mlp", "layers": "0"}, "nothing to patch"),
        ({"directions": "forth"}, "directions 'forth': use both"),
        ({"measures": ["json:none"]}, "json"),
        ({"name": "a/b"}, "result name 'a/b'"),
    ],
)
def test_what_there_is_not(asked: dict[str, Any], said: str, bench: Bench) -> None:
    found = refused(bench, **asked)
    assert re.search(said, found), found


def test_tokens_of_a_stream_without_places(tmp_path: Path) -> None:
    bench = bench_of(JOINED, tmp_path / "store", num_steps=1)
    said = refused(bench, sites="text", tokens="frames:0")
    assert said == 'tokens "frames:0": text has no places on the token grid; use all'


@pytest.mark.parametrize(
    "intervention",
    [
        Intervention(layers=(9,), steps=(0,), what=Zero()),
        Intervention(layers=(1,), steps=(2,), what=Zero()),
        Intervention(layers=(1,), steps=(0,), branches=("positive",), what=Zero()),
        Intervention(site="attn", layers=(1,), steps=(0,), what=Zero()),
        Intervention(site="mlp", layers=(0, 1), steps=(0,), what=Zero()),
        Intervention(
            layers=(1,), steps=(0,), what=Replace(donor=RunRef(store="nowhere", sample="red", seed=3))
        ),
    ],
    ids=["layer", "step", "branch", "site", "layer of a site", "store"],
)
def test_what_cannot_be_done_to_a_run(intervention: Intervention, bench: Bench) -> None:
    """It would else do nothing, and look like a patch that has no effect."""
    study = Study("patch", {}, [bench.trial(intervention)])
    with pytest.raises(UserError):
        run_study(bench.model, study, SweepOptions(videos=False), store=bench.store.path, name="odd")
    assert list(bench.store.path.glob("results/*")) == []


# --- Rows that fail by themselves ---------------------------------------------------------------------------


class Failing:
    """Fails on the second video that it sees, unless it is told not to."""

    name = "moods"
    columns = (Metric("mood", "mood", "mood", "mean", (0.0, 1.0)),)

    def __init__(self, on: int | None) -> None:
        self.on = on
        self.calls = 0

    def measure(self, video: Any, recipient_truth: Any, donor_truth: Any) -> Mapping[str, float]:
        self.calls += 1
        if self.calls - 1 == self.on:
            raise ZeroDivisionError("no colour")
        return {"mood": float(video.mean()) / 255}


def same(first: Mapping[str, Any], second: Mapping[str, Any], *, but: set[str] = frozenset()) -> bool:  # type: ignore[assignment]
    def equal(one: Any, other: Any) -> bool:
        return one == other or (isinstance(one, float) and math.isnan(one) and math.isnan(other))

    return first.keys() == second.keys() and all(
        equal(first[name], second[name]) for name in first.keys() - but
    )


def test_a_measure_that_fails_is_told_in_its_row_and_the_sweep_goes_on(bench: Bench) -> None:
    trials = [
        bench.trial(bench.replacing("red", layers=(layer,), steps=(1,)), pair=str(layer))
        for layer in (1, 2, 3)
    ]
    rows = swept(bench, trials, videos=True, horizon=0, measures=[Failing(on=1)]).rows
    right = swept(bench, trials, videos=True, horizon=0, measures=[Failing(on=None)]).rows
    assert [row["error"] for row in rows] == ["", "measure moods: ZeroDivisionError: no colour", ""]
    assert (rows[1]["recipient_sample"], rows[1]["recipient_seed"], rows[1]["donor_sample"]) == (
        "blue",
        3,
        "red",
    )
    assert same(rows[0], right[0])
    assert same(rows[2], right[2])
    # What else was measured of it stays.
    assert "mood" not in rows[1]
    assert same({**rows[1], "mood": right[1]["mood"]}, right[1], but={"error"})


class Naming:
    """Calls what it measures as it is told."""

    name = "names"
    columns = ()

    def __init__(self, column: str) -> None:
        self.column = column

    def measure(self, video: Any, recipient_truth: Any, donor_truth: Any) -> Mapping[str, float]:
        return {self.column: 5.0}


@pytest.mark.parametrize("column", ["layer", "error", "blocks", "x0_moved", "mood"])
def test_no_measure_writes_over_what_else_is_told_of_a_patch(column: str, bench: Bench) -> None:
    trial = bench.trial(bench.replacing("red", steps=(1,)), layer=1)
    mood, names = Failing(on=None), Naming(column)
    (right,) = swept(bench, [trial], videos=True, horizon=0, measures=[mood]).rows
    (row,) = swept(bench, [trial], videos=True, horizon=0, measures=[mood, names]).rows
    assert row["error"] == f"measure names: there is a column {column} already; call it something else"
    assert same(row, right, but={"error"})


def test_a_failed_measure_is_unknown_in_the_result(bench: Bench) -> None:
    trials = [
        bench.trial(bench.replacing("red", layers=(layer,), steps=(1,)), pair=str(layer)) for layer in (1, 2)
    ]
    study = Study("patch", {}, trials)
    options = SweepOptions(horizon=0, measures=[Failing(on=0)])
    result = run_study(bench.model, study, options, store=bench.store.path, name="failing")
    assert np.isnan(result.mood.values).tolist() == [True, False]
    assert result.mood.attrs["long_name"] == "mood"
    assert np.isfinite(result.x0_moved.values).all()
    assert result.error.values.tolist() == ["measure moods: ZeroDivisionError: no colour", ""]


@pytest.mark.parametrize("videos", [False, True])
def test_rows_that_are_not_finite_leave_the_others_of_their_batch_alone(videos: bool, bench: Bench) -> None:
    huge = Intervention(layers=(2,), steps=(1,), what=Scale(factor=1e38))
    nothing = Intervention(layers=(2,), steps=(1,), what=Scale(factor=1.0))

    def rows(middle: Intervention) -> list[dict[str, Any]]:
        interventions = [
            bench.replacing("red", layers=(2,), steps=(1,)),
            middle,
            bench.replacing("red", layers=(2,), steps=(1,), tokens="frames:1"),
        ]
        trials = [bench.trial(one, pair=str(index)) for index, one in enumerate(interventions)]
        # One order in all three: what is made side by side.
        trials = [bench.trial(one) for one in interventions]
        return swept(bench, trials, rows=3, videos=videos).rows

    found, right = rows(huge), rows(nothing)
    assert found[1]["error"] == "the clean estimate of the patched run holds NaN or infinity"
    assert found[1]["recipient_sample"] == "blue"
    assert right[1]["x0_moved"] == 0
    for index in (0, 2):
        assert found[index]["error"] == ""
        assert found[index]["x0_moved"] > 0
        assert same(found[index], right[index])


def test_a_row_that_is_not_finite_has_no_effects_in_the_result(bench: Bench) -> None:
    trials = [
        bench.trial(Intervention(layers=(2,), steps=(1,), what=Scale(factor=factor)), pair=str(factor))
        for factor in (1e38, 0.5)
    ]
    result = run_study(
        bench.model,
        Study("patch", {}, trials),
        SweepOptions(horizon=0, videos=False),
        store=bench.store.path,
        name="infinite",
    )
    assert np.isnan(result.x0_moved.values).tolist() == [True, False]
    assert "NaN" in result.error.values[0]
    assert result.error.values[1] == ""


def test_a_block_without_streams_cannot_be_skipped() -> None:
    for where in ({"site": "mlp"}, {"tokens": "frames:0"}, {"layers": (0, 1)}):
        with pytest.raises(ValueError, match="bypass skips blocks"):
            Intervention(**{"layers": (1,), "steps": (0,), **where}, what=Bypass())
