"""Ablations come to what plain hooks make of the run, beside their controls, and go on where they stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray

import cosinterp as ci
from cosinterp.errors import InterventionError, SelectionError, UserError
from cosinterp.interventions.intervention import RandomLike, Replace
from cosinterp.patching.ablate import ablate, ablation_study
from cosinterp.patching.grid import Grid
from cosinterp.patching.measures import LATENT_EFFECTS, Outcome, latent_effects, register, unregister
from cosinterp.patching.single_runs import runs_alone
from cosinterp.patching.sweep import Row
from cosinterp.patching.trial import Trial
from cosinterp.scorers import Metric
from probes.effects import CELL, cells, over_control
from probes.results.files import open_result, provenance_of
from stores import Store, open_store
from tests.integration.sweeping import PROMPTS, SEEDS, Bench, PlainRun, Where, bench_of, sample_of, traced

WAN, HELD = "Wan2.1 T2V", "Wan2.2 TI2V 5B from an image"
SITE, STEP, LAYER = "mlp.raw", 1, 2
NUM_STEPS, NUM_LAYERS = 3, 3
QUICK: dict[str, Any] = {"videos": False, "controls": "none", "horizon": 0}
ONE: dict[str, Any] = {**QUICK, "samples": "blue", "seeds": [SEEDS[0]], "steps": STEP, "layers": LAYER}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """All is stored in full, so that means can be taken and checked."""
    path = tmp_path_factory.mktemp("ablated") / "store"
    kept = {"sites": f"resid,{SITE}", "layers": "all", "save_steps": "all", "branches": "all"}
    return bench_of(WAN, path, num_steps=NUM_STEPS, **kept)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Of a result that no other test makes."""
    return "".join(letter if letter.isalnum() else "-" for letter in request.node.name)


def expected(bench: Bench, plain: PlainRun, toward: str = "blue", ended: bool = False) -> dict[str, float]:
    """The effects of a run of the plain pipeline, by the stored runs."""
    runs = [bench.store.shared_run(sample, SEEDS[0]) for sample in ("blue", toward)]
    patched, *others = (
        Outcome(STEP, clean, final if ended else None)
        for clean, final in [
            (plain.clean[STEP], plain.final),
            *((run.clean_estimate(STEP), run.noisy(NUM_STEPS)) for run in runs),
        ]
    )
    return latent_effects(patched, *others)


def told(found: xarray.Dataset, row: int = 0) -> dict[str, float]:
    return {metric.name: found[metric.name].values[row].item() for metric in LATENT_EFFECTS}


def check(found: dict[str, float], wanted: dict[str, float], donor: bool, ended: bool = False) -> None:
    """Bit for bit; of what needs a donor or an end that there is not, nothing is known."""
    for what in ("x0", "final") if ended else ("x0",):
        assert found[f"{what}_relative"] == wanted[f"{what}_relative"] > 0
        for kind in ("moved", "recovered", "along"):
            value = found[f"{what}_{kind}"]
            assert value == wanted[f"{what}_{kind}"] if donor else np.isnan(value)
    assert ended or np.isnan(found["final_relative"])


def stored(bench: Bench, sample: str, seed: int, where: Where) -> torch.Tensor:
    site, step, layer, branch = where
    array = bench.store.read(site, step, layer, sample, seed, branch)
    return torch.from_numpy(array.reshape(-1, array.shape[-1]))


def writing(what: Callable[[Where, torch.Tensor], torch.Tensor], site: str = SITE) -> Any:
    """Writes there and nowhere else."""
    return lambda where, tokens: what(where, tokens) if where[:3] == (site, STEP, LAYER) else None


@pytest.mark.parametrize("site", ["resid", SITE])
@pytest.mark.parametrize("horizon", [0, None])
def test_zeros_are_put_where_an_activation_was(
    site: str, horizon: int | None, bench: Bench, name: str
) -> None:
    found = ablate(
        bench.model, bench.store, kind="zero", sites=site, name=name, **{**ONE, "horizon": horizon}
    )
    plain = bench.plain(change=writing(lambda where, tokens: torch.zeros_like(tokens), site))
    wanted = expected(bench, plain, ended=horizon is None)
    check(told(found), wanted, donor=False, ended=horizon is None)


def test_only_some_tokens_of_one_branch_are_ablated(bench: Bench, name: str) -> None:
    found = ablate(
        bench.model, bench.store, kind="zero", tokens="frames:1", branches="uncond", name=name, **ONE
    )
    grid = (3, 4, 6)
    first, last = grid[1] * grid[2], 2 * grid[1] * grid[2]

    def change(where: Where, tokens: torch.Tensor) -> torch.Tensor | None:
        if where != ("resid", STEP, LAYER, "uncond"):
            return None
        return torch.cat([tokens[:first], torch.zeros_like(tokens[first:last]), tokens[last:]])

    check(told(found), expected(bench, bench.plain(change=change)), donor=False)


@pytest.mark.parametrize("per", ["token", "channel"])
def test_means_are_those_over_the_runs_of_a_store(per: str, bench: Bench, name: str) -> None:
    found = ablate(bench.model, bench.store, kind="mean", per=per, sites=SITE, name=name, **ONE)

    def mean(where: Where, tokens: torch.Tensor) -> torch.Tensor:
        runs = [stored(bench, sample, seed, where) for sample in PROMPTS for seed in SEEDS]
        over = torch.stack(runs).double().mean(dim=0).float()
        return over if per == "token" else over.mean(dim=0).expand_as(tokens)

    wanted = expected(bench, bench.plain(change=writing(mean)))
    assert told(found)["x0_relative"] == pytest.approx(wanted["x0_relative"], rel=1e-6)
    # Exact to the rounding of a mean; and another mean would be seen.
    red = ablate(
        bench.model, bench.store, kind="mean", per=per, sites=SITE, over_samples="red", name=name + "r", **ONE
    )
    assert told(red)["x0_relative"] != pytest.approx(wanted["x0_relative"], rel=1e-5)
    asked = provenance_of(open_result(red.attrs["result"]))["asked"]
    assert asked["mean"]["samples"] == ["red"]
    assert asked["runs_of_mean"] == [f"red {seed}" for seed in SEEDS]


def test_a_block_that_is_skipped_gives_what_entered_it(bench: Bench, name: str) -> None:
    found = ablate(bench.model, bench.store, kind="skip", name=name, **ONE)
    plain = bench.plain(bypass=lambda step, layer, branch: (step, layer) == (STEP, LAYER))
    check(told(found), expected(bench, plain), donor=False)


def test_a_resampled_run_is_given_what_another_sample_has(bench: Bench, name: str) -> None:
    found = ablate(bench.model, bench.store, kind="resample", name=name, **ONE)
    assert found.pair.values.tolist() == ["red > blue"]
    assert found.donor_seed.values.tolist() == found.recipient_seed.values.tolist() == [SEEDS[0]]
    plain = bench.plain(change=writing(lambda where, tokens: stored(bench, "red", SEEDS[0], where), "resid"))
    check(told(found), expected(bench, plain, toward="red"), donor=True)


def test_what_nothing_downstream_sees_has_no_effect(tmp_path: Path) -> None:
    """A first frame that is held: what the last layer makes of it is thrown away."""
    own = bench_of(HELD, tmp_path / "store", num_steps=2)
    found = ablate(
        own.model,
        own.store,
        kind="zero",
        **{**ONE, "layers": "-1", "tokens": ["frames:0", "frames:1"], "horizon": None},
    )
    effects = dict(zip(found.tokens.values.tolist(), found.x0_relative.values.tolist(), strict=True))
    assert effects["frames:0"] == 0
    assert effects["frames:1"] > 0
    assert found.final_relative.values[found.tokens.values.tolist().index("frames:0")] == 0


@pytest.mark.parametrize("batch", [1, 3])
def test_controls_stand_beside_each_kind(batch: int, bench: Bench, name: str) -> None:
    for kind in ("zero", "mean", "resample", "skip"):
        tokens = ["all"] if kind == "skip" else ["all", "frames:0"]
        found = ablate(
            bench.model,
            bench.store,
            kind=kind,
            tokens=tokens,
            batch=batch,
            name=f"{name}-{kind}",
            **{**ONE, "controls": "all"},
        )
        assert set(found.direction.values.tolist()) == {"necessity"}
        assert not "".join(found.error.values.tolist())
        by_control: dict[str, list[float]] = {}
        for control, value in zip(
            found.control.values.tolist(), found.x0_relative.values.tolist(), strict=True
        ):
            by_control.setdefault(control, []).append(value)
        named = {"none", "identity", "random"} | ({"elsewhere"} if kind != "skip" else set())
        assert set(by_control) == named
        assert by_control.pop("identity") == [0.0] * len(tokens)
        assert all(value > 0 for values in by_control.values() for value in values)
        assert by_control["random"] != by_control["none"]


def test_a_result_is_summed_up_as_one_of_patching(bench: Bench, name: str) -> None:
    asked = {**QUICK, "controls": "all", "layers": "1-2", "steps": "0-1"}
    made = ablate(bench.model, bench.store, kind="zero", name=name, **asked)
    found = open_result(made.attrs["result"])
    assert found.sizes["patch"] == len(PROMPTS) * len(SEEDS) * 4 * 3
    summed = cells(found, "x0_relative")
    assert summed.sizes["cell"] == 4 * 3
    assert set(summed.n.values.tolist()) == {len(PROMPTS) * len(SEEDS)}
    assert set(summed.samples.values.tolist()) == {len(PROMPTS)}
    assert set(CELL) <= set(summed.coords)
    assert over_control(found, "x0_relative").sizes["cell"] == 4
    assert provenance_of(found)["kind"] == "ablation"
    assert provenance_of(found)["asked"]["ablation"] == "zero"
    assert '"what":{"kind":"random-like","like":{"kind":"zero"}' in found.interventions.values[2]


@dataclass
class Asked:
    """A measure that notes what it was given."""

    name: str = "asked"
    columns: tuple[Metric, ...] = (Metric("asked", "asked", "asked", "mean"),)
    truths: list[tuple[Any, Any]] = field(default_factory=list)

    def measure(self, video: Any, recipient_truth: Any, donor_truth: Any) -> dict[str, float]:
        self.truths.append((recipient_truth, donor_truth))
        return {"asked": float(bool(donor_truth))}


@pytest.mark.parametrize("kind", ["zero", "resample"])
def test_only_a_run_that_is_resampled_has_a_donors_truth(kind: str, bench: Bench, tmp_path: Path) -> None:
    named = [replace(sample_of(bench.row, name), truth={"goal": name}) for name in PROMPTS]
    kept: dict[str, Any] = {"sites": "resid", "layers": "1", "save_steps": "0", "save_video": False}
    store = ci.trace(bench.model, named, store=tmp_path / "store", seeds=[3], **kept, **bench.asked)
    asked = Asked()
    register(asked)
    try:
        how = {**QUICK, "samples": "blue", "steps": 0, "layers": 1, "videos": True}
        found = ablate(bench.model, store, kind=kind, **how)
    finally:
        unregister("asked")
    assert asked.truths == [({"goal": "blue"}, {"goal": "red"} if kind == "resample" else {})]
    assert found.asked.values.tolist() == [float(kind == "resample")]
    assert found.pixels_moved.values[0] > 0
    assert np.isnan(found.pixels_recovered.values[0]) == (kind == "zero")


class Stopped(Exception):
    pass


class Stopping:
    """Ends a sweep after so many rows."""

    def __init__(self, after: int | None) -> None:
        self.after, self.rows, self.done = after, 0, 0

    def planned(self, total: int, done: int) -> None:
        self.done = done

    def row(self, row: Row) -> None:
        self.rows += 1
        if self.rows == self.after:
            raise Stopped


@pytest.mark.parametrize("kind", ["mean", "resample"])
def test_an_ablation_goes_on_where_it_stopped(kind: str, bench: Bench, name: str) -> None:
    asked = {**QUICK, "kind": kind, "controls": "all", "layers": "1-2", "steps": STEP}
    whole = ablate(bench.model, bench.store, name=f"{name}-whole", **asked)
    with pytest.raises(Stopped):
        ablate(bench.model, bench.store, name=name, progress=Stopping(5), **asked)
    with pytest.raises(InterventionError, match="--resume"):
        ablate(bench.model, bench.store, name=name, **asked)
    other = {"per": "channel"} if kind == "mean" else {"draw": 1}
    with pytest.raises(InterventionError, match="another sweep"):
        ablate(bench.model, bench.store, name=name, resume=True, **{**asked, **other})
    rest = Stopping(None)
    again = ablate(bench.model, bench.store, name=name, resume=True, progress=rest, **asked)
    assert (rest.done, rest.rows) == (5, whole.sizes["patch"] - 5)
    xarray.testing.assert_equal(again, whole)


REFUSED: list[tuple[dict[str, Any], type[UserError], str]] = [
    ({"kind": "gauss"}, InterventionError, "ablation 'gauss': use zero, mean, resample, skip"),
    ({"kind": "mean", "per": "frame"}, InterventionError, "a mean per 'frame': use token or channel"),
    ({"kind": "zero", "samples": "green-*"}, SelectionError, "has no runs of green-*; it has blue, red"),
    ({"kind": "zero", "samples": ["red", "green"]}, SelectionError, "has no runs of green"),
    ({"kind": "zero", "seeds": "9"}, SelectionError, "has no runs of these seeds of blue"),
    ({"kind": "skip", "sites": "mlp.raw"}, InterventionError, "use site resid and tokens all"),
    ({"kind": "skip", "tokens": "frames:0"}, InterventionError, "use site resid and tokens all"),
    ({"kind": "skip", "layers": "0-1"}, InterventionError, "choose of layers 1-3"),
    ({"kind": "resample", "over_samples": "blue"}, InterventionError, "it has no other sample of that seed"),
    ({"kind": "mean", "over_samples": "green"}, SelectionError, "has no runs of green"),
    ({"kind": "mean", "sites": "self_attn.raw"}, UserError, "self_attn.raw"),
    ({"kind": "zero", "layers": "7"}, SelectionError, "there is no layer 7"),
]


@pytest.mark.parametrize(("asked", "kind", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_cannot_be_is_told_and_nothing_is_made(
    asked: dict[str, Any], kind: type[UserError], message: str, bench: Bench, name: str
) -> None:
    with pytest.raises(kind) as error:
        ablate(bench.model, bench.store, name=name, **{**ONE, **asked})
    assert message in str(error.value)
    assert not list((bench.store.path / "results").glob(f"{name}*"))


def other_store(bench: Bench, path: Path, **asked: Any) -> Store:
    how = {"sites": "resid", "layers": "all", "save_steps": "all", "num_steps": NUM_STEPS, **asked}
    return traced(bench.row, bench.model, path, **how)[0]


def test_a_mean_needs_all_that_it_is_taken_over(bench: Bench, tmp_path: Path) -> None:
    for kept, message in (
        ({"layers": "1"}, "resid of blue seed 3 is stored at layers 1, and layer 2 is needed for a mean"),
        ({"save_steps": "0"}, "resid of blue seed 3 is stored at steps 0, and step 1 is needed for a mean"),
        ({"branches": "cond"}, "resid of blue seed 3 is stored of cond, and uncond is needed for a mean"),
        ({"reduce": "mean"}, "full"),
        ({"height": 48}, "has the token grid 3x6x6, and a run that is ablated 3x4x6"),
    ):
        over = other_store(bench, tmp_path / "-".join(kept), **{"seeds": [3], **kept})
        with pytest.raises(UserError) as error:
            ablate(bench.model, bench.store, kind="mean", over=over, **ONE)
        assert message in str(error.value)


def test_runs_that_do_not_fit_are_not_drawn(bench: Bench, tmp_path: Path) -> None:
    over = other_store(bench, tmp_path / "larger", height=48, seeds=[3])
    with pytest.raises(InterventionError, match=r"none fits: .* have different grids"):
        ablate(bench.model, bench.store, kind="resample", over=over, **ONE)


def study(bench: Bench, store: Store, samples: str | None = None, **asked: Any) -> list[Trial]:
    grid = Grid(steps="0", layers="1")
    runs = runs_alone(store, samples, None)
    return list(ablation_study(bench.model, store, runs, grid, kind="resample", over=store, **asked).trials)


def test_a_run_draws_the_same_whichever_others_are_asked_for(bench: Bench, tmp_path: Path) -> None:
    """And another for another draw; all of the same seed."""
    store = open_store(copies(bench, tmp_path / "store", 8))
    drawn = [{trial.run: trial.toward for trial in study(bench, store, draw=draw)} for draw in range(3)]
    assert len({tuple(own.values()) for own in drawn}) == 3
    assert all(run.sample != toward.sample for own in drawn for run, toward in own.items())
    assert all(run.seed == toward.seed for own in drawn for run, toward in own.items())
    assert len(set(drawn[0].values())) > 3
    some = {trial.run: trial.toward for trial in study(bench, store, "sample-3")}
    assert some.items() <= drawn[0].items()
    controls = [trial for trial in study(bench, store, controls="all") if trial.labels["control"] == "random"]
    like = controls[0].interventions[0].what
    assert isinstance(like, RandomLike)
    assert like.like == Replace(donor=controls[0].toward)


def copies(bench: Bench, path: Path, count: int) -> Path:
    """A store of so many samples, with nothing of their activations but what has to be."""
    samples = [replace(sample_of(bench.row, "red"), name=f"sample-{index}") for index in range(count)]
    settings = {**bench.asked, "num_steps": 1}
    kept: dict[str, Any] = {"sites": "resid", "layers": "1", "save_steps": "0", "save_video": False}
    ci.trace(bench.model, samples, store=path, seeds=[3], **kept, **settings)
    return path
