"""A stored run is played again bit for bit from every step, whatever its scheduler remembers or draws.

EDM's scheduler is that of a family, whose tests play it again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch

import cosinterp as ci
from cosinterp.models.model import Model
from cosinterp.replaying.player import Player
from cosinterp.samples import Sample
from stores import Run, Store
from tests.families.row import FamilyRow
from tests.families.rows import ROWS
from tests.tiny import sample_for

NUM_STEPS = 5
SEEDS = (3, 4)

WAN, IMAGE, NOISY_FLOW = "Wan2.1 T2V", "PixArt-alpha 512", "Sana-Video 480p"
COG_EPSILON, COG_V = "CogVideoX: DDIM, epsilon", "CogVideoX 1.5: DPM, v"
FLOW: dict[str, Any] = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
EPSILON = {"prediction_type": "epsilon"}
V = {"prediction_type": "v_prediction"}

# Row, scheduler and its config. Those with noise of their own need a pipeline that gives them a generator.
CASES: list[tuple[str, str, dict[str, Any]]] = [
    (WAN, "FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
    *((WAN, "UniPCMultistepScheduler", {**FLOW, "solver_order": order}) for order in (1, 2, 3)),
    (WAN, "UniPCMultistepScheduler", {**FLOW, "disable_corrector": [0, 2]}),
    (WAN, "UniPCMultistepScheduler", {**FLOW, "solver_type": "bh1", "lower_order_final": False}),
    *((WAN, "DPMSolverMultistepScheduler", {**FLOW, "solver_order": order}) for order in (1, 2, 3)),
    (WAN, "DPMSolverMultistepScheduler", {**FLOW, "solver_type": "heun", "lower_order_final": False}),
    *((WAN, "DEISMultistepScheduler", {**FLOW, "solver_order": order}) for order in (1, 2, 3)),
    *((WAN, "DPMSolverSinglestepScheduler", {**FLOW, "solver_order": order}) for order in (1, 2, 3)),
    (NOISY_FLOW, "FlowMatchLCMScheduler", {"shift": 3.0}),
    (NOISY_FLOW, "DPMSolverMultistepScheduler", {**FLOW, "algorithm_type": "sde-dpmsolver++"}),
    (IMAGE, "DDIMScheduler", {**EPSILON, "clip_sample": False}),
    (IMAGE, "EulerDiscreteScheduler", EPSILON),
    (IMAGE, "EulerAncestralDiscreteScheduler", EPSILON),
    (IMAGE, "EulerAncestralDiscreteScheduler", V),
    (IMAGE, "UniPCMultistepScheduler", {**EPSILON, "solver_order": 3}),
    (IMAGE, "DPMSolverMultistepScheduler", {**EPSILON, "solver_order": 3}),
    (IMAGE, "DPMSolverMultistepScheduler", {**EPSILON, "algorithm_type": "sde-dpmsolver++"}),
    (IMAGE, "DPMSolverSinglestepScheduler", EPSILON),
    (IMAGE, "DEISMultistepScheduler", {**EPSILON, "solver_order": 3}),
    (COG_EPSILON, "CogVideoXDDIMScheduler", EPSILON),
    (COG_V, "CogVideoXDDIMScheduler", V),
    (COG_EPSILON, "CogVideoXDPMScheduler", EPSILON),
    (COG_V, "CogVideoXDPMScheduler", V),
]


class StoredBatch:
    """The trajectory of runs of a store, one a row."""

    def __init__(self, runs: list[Run]) -> None:
        self._runs = runs

    def prediction(self, step: int) -> torch.Tensor:
        return self._rows(lambda run: run.prediction(step))

    def clean_estimate(self, step: int) -> torch.Tensor:
        return self._rows(lambda run: run.clean_estimate(step))

    def final(self) -> torch.Tensor:
        return self._rows(lambda run: run.noisy(run.num_steps))

    def _rows(self, read: Callable[[Run], Any]) -> torch.Tensor:
        return torch.stack([torch.from_numpy(read(run)) for run in self._runs])


@pytest.fixture(scope="module")
def pipeline_of() -> Callable[[str], tuple[FamilyRow, Any]]:
    """A tiny pipeline by the name of its row in the tests of the families."""
    made: dict[str, tuple[FamilyRow, Any]] = {}

    def pipeline(name: str) -> tuple[FamilyRow, Any]:
        if name not in made:
            row = next(row for row in ROWS if row.name == name)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                made[name] = row, row.build()
        return made[name]

    return pipeline


def traced(model: Model, sample: Sample, asked: dict[str, Any], path: Path) -> tuple[Store, dict[str, Any]]:
    """A store of two runs that were made in one batch, and their sampling settings."""
    asked = {**asked, "num_steps": NUM_STEPS}
    store = ci.trace(
        model,
        sample,
        store=path / "store",
        seeds=list(SEEDS),
        batch=len(SEEDS),
        sites="resid",
        layers="1",
        save_steps="0",
        save_video=False,
        **asked,
    )
    return store, model.sampling(sample, asked)


def check_each_start(model: Model, sample: Sample, asked: dict[str, Any], path: Path) -> None:
    store, settings = traced(model, sample, asked, path)
    known = StoredBatch([store.run(sample.name, seed) for seed in SEEDS])
    player = Player(model, sample, SEEDS, settings)
    for start in range(NUM_STEPS):
        played = player.play(start=start, known=known)
        assert played.final is not None
        assert torch.equal(played.final, known.final()), start
        assert list(played.predictions) == list(range(start, NUM_STEPS))
        for step, prediction in played.predictions.items():
            assert torch.equal(prediction, known.prediction(step)), (start, step)
            assert torch.equal(played.clean[step], known.clean_estimate(step)), (start, step)


@pytest.mark.parametrize(
    ("name", "scheduler", "config"),
    CASES,
    ids=lambda value: ",".join(map(str, value.values())) if isinstance(value, dict) else value,
)
def test_a_stored_run_is_played_again_from_every_step(
    name: str,
    scheduler: str,
    config: dict[str, Any],
    pipeline_of: Callable[[str], tuple[FamilyRow, Any]],
    tmp_path: Path,
) -> None:
    row, pipeline = pipeline_of(name)
    pipeline.scheduler = getattr(diffusers, scheduler)(**config)
    model = ci.load(pipeline)
    check_each_start(model, row.sample(), {**row.settings, **row.guided}, tmp_path)


@pytest.mark.parametrize("kind", ["wan2.2-i2v-a14b", "wan2.2-ti2v-5b-image"])
def test_it_is_so_in_bfloat16(kind: str, tiny_model: Callable[..., Model], tmp_path: Path) -> None:
    """With two experts, and with a first frame that is held."""
    check_each_start(tiny_model(kind, "bf16"), sample_for(kind), {"guidance_scale": 3.0}, tmp_path)


@pytest.mark.parametrize("scheduler", ["FlowMatchLCMScheduler", "UniPCMultistepScheduler"])
def test_another_prediction_would_be_seen(
    scheduler: str, pipeline_of: Callable[[str], tuple[FamilyRow, Any]], tmp_path: Path
) -> None:
    """What is stored is what goes on: a run that is told of other predictions ends elsewhere."""
    row, pipeline = pipeline_of(NOISY_FLOW)
    config = {"shift": 3.0} if scheduler.startswith("FlowMatch") else FLOW
    pipeline.scheduler = getattr(diffusers, scheduler)(**config)
    model = ci.load(pipeline)
    store, settings = traced(model, row.sample(), {**row.settings, **row.guided}, tmp_path)
    known = StoredBatch([store.run("sample", seed) for seed in SEEDS])
    exchanged = StoredBatch([store.run("sample", seed) for seed in reversed(SEEDS)])
    played = Player(model, row.sample(), SEEDS, settings).play(start=NUM_STEPS - 1, known=exchanged)
    assert played.final is not None
    assert not torch.isclose(played.final, known.final()).all()
