"""What `verify` has to find out: each wrong anatomy here fails the check that is for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from cosinterp.models.anatomy import nothing_pinned
from cosinterp.models.guidance import Branch, Guidance
from cosinterp.models.model import Model
from cosinterp.verification import verify
from tests.tiny import sample_for

SWAPPED = Guidance(
    kind="sequential",
    branches=(Branch("cond"), Branch("uncond", {"guidance_scale": 1.0})),
    labels={"cond": "uncond", "uncond": "cond"},
    on={"guidance_scale": 3.0},
    off={"guidance_scale": 1.0},
)


def failed(model: Model, kind: str, **changes: Any) -> set[str]:
    other = replace(model, anatomy=replace(model.anatomy, **changes))
    return {check.name for check in verify(other, sample_for(kind)) if not check.passed}


def test_a_model_that_is_understood_passes(tiny_model: Callable[..., Model]) -> None:
    assert failed(tiny_model("wan2.1-t2v"), "wan2.1-t2v") == set()


def test_a_decoder_of_its_own_making_is_found(tiny_model: Callable[..., Model]) -> None:
    model = tiny_model("wan2.1-t2v")

    def black(pipeline: Any, latents: Any, num_frames: int) -> np.ndarray:
        return np.zeros_like(model.anatomy.decode(pipeline, latents, num_frames))

    assert failed(model, "wan2.1-t2v", decode=black) == {"decoded video"}


def test_a_decoder_that_cannot_take_the_latents_is_found(tiny_model: Callable[..., Model]) -> None:
    def fails(pipeline: Any, latents: Any, num_frames: int) -> np.ndarray:
        raise AttributeError("scaling_factor")

    assert failed(tiny_model("wan2.1-t2v"), "wan2.1-t2v", decode=fails) == {"decoded video"}


def test_frames_that_are_held_unseen_are_found(tiny_model: Callable[..., Model]) -> None:
    kind = "wan2.2-ti2v-5b-image"
    assert failed(tiny_model(kind), kind, pinned=nothing_pinned) == {"decoded video"}


def test_branches_that_are_called_each_others_name_are_found(tiny_model: Callable[..., Model]) -> None:
    assert "branches" in failed(tiny_model("wan2.1-t2v"), "wan2.1-t2v", guidance=SWAPPED)


def test_blocks_that_pass_on_more_than_their_streams_are_found(tiny_model: Callable[..., Model]) -> None:
    """What follows the last block adds what the first made inside: of another step, where that is skipped."""
    model, seen = tiny_model("wan2.1-t2v"), []
    transformer = model.pipeline.transformer

    def see(_: Any, __: Any, output: torch.Tensor) -> None:
        seen[:] = [output.mean()]

    with ExitStack() as hooks:
        hooks.callback(transformer.blocks[0].ffn.register_forward_hook(see).remove)
        hooks.callback(transformer.proj_out.register_forward_hook(lambda *call: call[-1] + seen[0]).remove)
        assert failed(model, "wan2.1-t2v") == {"skipped blocks"}
