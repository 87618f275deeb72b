"""Playing a run: what is computed of it, what is told of it, and what is left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import PyramidAttentionBroadcastConfig, WanPipeline

import cosinterp as ci
from cosinterp.errors import ModelError
from cosinterp.interventions.edits import Edit, Edits
from cosinterp.interventions.intervention import Intervention, Scale
from cosinterp.models.model import Model
from cosinterp.replaying.player import Played, Player
from cosinterp.verification import verify
from tests.tiny import sample_for

KIND = "wan2.2-t2v-a14b"
NUM_STEPS = 4
BOTH = 2
"""Branches of a step."""


@dataclass
class Known:
    """What was played, as what is known; and the steps that it was asked for."""

    played: Played
    asked: list[int] = field(default_factory=list)

    def prediction(self, step: int) -> torch.Tensor:
        self.asked.append(step)
        return self.played.predictions[step]


@pytest.fixture
def model(tiny_model: Callable[..., Model]) -> Model:
    return tiny_model(KIND)


def player(model: Model, *seeds: int) -> Player:
    sample = sample_for(KIND)
    settings = model.sampling(sample, {"num_steps": NUM_STEPS, "guidance_scale": 3.0})
    return Player(model, sample, seeds, settings)


def scaled(model: Model, factor: float, **where: Any) -> Edits:
    intervention = Intervention(what=Scale(factor=factor), **where)
    return Edits([Edit(None, intervention)], model.anatomy)


def test_only_the_steps_asked_for_are_made_and_told(model: Model) -> None:
    own = player(model, 0)
    whole = own.play()
    assert whole.blocks == NUM_STEPS * BOTH * model.num_layers
    known = Known(whole)
    played = own.play(start=1, stop=2, known=known)
    assert known.asked == [0]
    assert played.final is None
    assert list(played.predictions) == list(played.clean) == [1, 2]
    assert all(torch.equal(played.clean[step], whole.clean[step]) for step in (1, 2))
    assert played.blocks == 2 * BOTH * model.num_layers
    played = own.play(start=1, known=known, steps=frozenset({2}))
    assert list(played.predictions) == list(played.clean) == [2]
    assert torch.equal(played.final, whole.final)


def test_one_row_is_the_answer_of_all(model: Model) -> None:
    one = player(model, 0).play()
    two = player(model, 0, 0)
    repeated = Played({step: rows.repeat(2, 1, 1, 1, 1) for step, rows in one.predictions.items()})
    played, expected = (two.play(start=2, known=Known(answers)) for answers in (one, repeated))
    assert torch.equal(played.final, expected.final)
    assert all(torch.equal(played.clean[step], expected.clean[step]) for step in (2, 3))


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_what_is_not_changed_is_taken_from_the_anchor(model: Model, factor: float) -> None:
    """A branch that nothing changes, and the layers below; what comes out is that of computing it all."""
    own, step, layer = player(model, 0), 1, 2
    whole = own.play()
    anchor, blocks = own.anchor(step, known=Known(whole), resume=[layer])
    assert blocks == BOTH * model.num_layers
    where: dict[str, Any] = {"layers": (layer,), "steps": (step,), "branches": ("cond",)}
    plainly = own.play(start=step, stop=step, known=Known(whole), edits=scaled(model, factor, **where))
    played = own.play(
        start=step,
        stop=step,
        known=Known(whole),
        edits=scaled(model, factor, **where),
        anchor=anchor,
        resume=layer,
    )
    assert torch.equal(played.predictions[step], plainly.predictions[step])
    assert torch.equal(played.predictions[step], whole.predictions[step]) == (factor == 1)
    assert (plainly.blocks, played.blocks) == (BOTH * model.num_layers, model.num_layers - layer)


def test_an_anchor_keeps_the_activations_that_are_wanted(model: Model) -> None:
    own = player(model, 0)
    seen: list[torch.Tensor] = []
    whole = own.play()
    anchor, _ = own.anchor(2, known=Known(whole), wanted={"resid": (0, 3), "mlp": (1,)}, branches=["uncond"])

    def keep(_: Any, __: Any, output: torch.Tensor) -> None:
        seen.append(output.clone())

    assert set(anchor.tensors) == {("resid", 0, "uncond"), ("resid", 3, "uncond"), ("mlp", 1, "uncond")}
    handle = model.pipeline.transformer_2.blocks[2].register_forward_hook(keep)
    try:
        own.play(start=2, stop=2, known=Known(whole))
    finally:
        handle.remove()
    cond, uncond = seen
    assert torch.equal(anchor.tensors["resid", 3, "uncond"], uncond)
    assert not torch.equal(uncond, cond)


def test_a_denoiser_with_a_cache_is_refused(tiny_folder: Callable[[str], Path]) -> None:
    """Its steps reuse what others computed; `verify` says so too, and of nothing else."""
    pipeline = WanPipeline.from_pretrained(tiny_folder("wan2.1-t2v"))
    cache = PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=2,
        spatial_attention_timestep_skip_range=(0, 1000),
        spatial_attention_block_identifiers=("blocks",),
        current_timestep_callback=lambda: 500,
    )
    pipeline.transformer.enable_cache(cache)
    model, sample = ci.load(pipeline), sample_for("wan2.1-t2v")
    with pytest.raises(ModelError, match=r"cache .* is enabled.*load it without enable_cache\(\)"):
        Player(model, sample, (0,), model.sampling(sample, {"num_steps": NUM_STEPS}))
    failed = [check for check in verify(model, sample) if not check.passed]
    assert [check.name for check in failed] == ["replay", "skipped blocks"]
    assert all("enable_cache" in check.detail for check in failed)


def test_the_pipeline_is_freed_as_at_its_end(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is ended early, and where it fails."""
    freed: list[None] = []
    monkeypatch.setattr(model.pipeline, "maybe_free_model_hooks", lambda: freed.append(None))
    own = player(model, 0)
    own.play(stop=0)
    assert len(freed) == 1

    def fails(*_: Any) -> None:
        raise RuntimeError("no memory is left")

    handle = model.pipeline.transformer.blocks[1].register_forward_pre_hook(fails)
    try:
        with pytest.raises(RuntimeError, match="no memory is left"):
            own.play()
    finally:
        handle.remove()
    assert len(freed) == 2


def test_a_play_after_one_that_failed_is_the_run(model: Model) -> None:
    own = player(model, 0)
    whole = own.play()

    class Failing(Edits):
        def on_tensor(self, *args: Any) -> Any:
            raise ValueError("a fault")

    fault = Intervention(layers=(1,), steps=(2,), what=Scale(factor=1))
    with pytest.raises(ValueError, match="a fault"):
        own.play(edits=Failing([Edit(None, fault)], model.anatomy))
    again = own.play(start=1, known=Known(whole))
    assert torch.equal(again.final, whole.final)
