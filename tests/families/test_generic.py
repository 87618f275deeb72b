"""The generic anatomy on pipelines that are known otherwise: right, or refused, never silently wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, LattePipeline, LatteTransformer3DModel

from cosinterp.errors import ModelError, UserError
from cosinterp.models.families import generic
from cosinterp.models.model import Model
from cosinterp.verification import verify
from tests.families.hooked import HookedCall
from tests.families.page import PROPERTY
from tests.families.row import FamilyRow
from tests.families.rows import ROWS
from tests.tiny.components import tiny_tokenizer
from tests.tiny.images import T5_DIM, tiny_image_vae, tiny_t5
from tests.tiny.wan import KINDS, pipeline

UNDERSTOOD = ("Wan2.1 T2V", "CogVideoX 1.0 (2B): DDIM, v")
"""Some that the generic anatomy has to understand."""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_generic_anatomy_is_right_or_refuses(
    row: FamilyRow,
    family_model: Callable[[FamilyRow], Model],
    record_property: Callable[[str, object], None],
) -> None:
    model = family_model(row)
    try:
        anatomy = generic.describe(model.pipeline, row.name)
        described = replace(model, anatomy=anatomy)
        checks = verify(described, row.sample(), **row.settings, num_steps=row.num_steps)
    except UserError:
        understood = False
    else:
        understood = all(check.passed for check in checks)
    if understood:
        _check_resid(described, row)
    assert understood or row.name not in UNDERSTOOD
    record_property(PROPERTY, {"name": row.name, "case": "generic", "understood": understood})


def test_frames_by_another_name_are_no_image() -> None:
    latte = LattePipeline(
        tokenizer=tiny_tokenizer(),
        text_encoder=tiny_t5(),
        vae=tiny_image_vae(scaling_factor=0.18215, shift_factor=0.0),
        transformer=LatteTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            in_channels=4,
            num_layers=2,
            sample_size=8,
            patch_size=2,
            caption_channels=T5_DIM,
        ),
        scheduler=DDIMScheduler(),
    )
    with pytest.raises(
        ModelError, match="here: LattePipeline has no argument num_frames but video_length, so"
    ):
        generic.describe(latte, "here")


@pytest.mark.parametrize("missing", [None, "transformer"])
def test_two_experts_are_refused_whether_the_first_is_there_or_not(missing: str | None) -> None:
    wan = pipeline(KINDS["wan2.2-t2v-a14b"])
    if missing is not None:
        wan.register_modules(**{missing: None})
    with pytest.raises(ModelError, match="here: WanPipeline is made for two transformers"):
        generic.describe(wan, "here")


def _check_resid(model: Model, row: FamilyRow) -> None:
    """What it calls the residual stream is what the row says it is, on the row's grid.

    But for the order of the tokens, which cannot be seen from outside.
    """
    stack = model.anatomy.stacks[0]
    hooked = HookedCall(model.pipeline, row, 1, row.calls)
    sample = row.sample()
    settings = model.sampling(sample, {**row.settings, **row.guided, "num_steps": row.num_steps})
    seen: list[torch.Tensor] = []
    blocks = getattr(model.pipeline, row.experts[0]).get_submodule(stack.blocks)
    handle = blocks[0].register_forward_hook(
        lambda _, args, kwargs, output: seen.append(
            stack.streams[0].leaving(output, args[0] if args else kwargs[stack.streams[0].argument]).clone()
        ),
        with_kwargs=True,
    )
    with hooked.attached():
        model.pipeline(**model.arguments(sample, (0,), settings))
    handle.remove()
    expected = [hooked.values["resid", 0, 1, branch] for branch in row.calls[0]]
    assert torch.equal(row.in_grid_order(seen[0]), torch.cat(expected))
    grid = model.anatomy.geometry.grid(model.size(settings))
    assert grid == row.grids["resid"]
    assert np.prod(grid) == seen[0].shape[1]
