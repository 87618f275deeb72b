"""What loading does before and beside reading all weights, for every family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import cosinterp as ci
from cosinterp.errors import ModelError
from cosinterp.models.loading import prepare, skeleton
from cosinterp.models.model import Model
from cosinterp.planning.plan import TracePlan, make_plan
from tests.families.row import FamilyRow
from tests.families.rows import ROWS


def plan_of(model: Model, row: FamilyRow) -> TracePlan:
    return make_plan(
        model,
        [row.sample()],
        seeds="0",
        layers="all",
        sites="all",
        save_steps="all",
        branches="all",
        dtype="auto",
        batch=1,
        save_video=True,
        host_memory=2**30,
        sampling={**row.settings, **row.guided, "num_steps": row.num_steps},
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_skeleton_plans_what_the_model_does(
    row: FamilyRow, family_folder: Callable[[FamilyRow], Path]
) -> None:
    prepared = prepare(family_folder(row), device="cpu", dtype="bf16")
    assert prepared.reason is None
    planned = plan_of(prepared.model, row)
    assert all(tensor.is_meta for tensor in prepared.model.pipeline.transformer.parameters())
    expected = plan_of(prepared.load(), row)
    assert planned.settings == expected.settings
    assert planned.kept == expected.kept
    assert [one.shape for one in planned.samples] == [one.shape for one in expected.samples]
    assert [one.settings for one in planned.samples] == [one.settings for one in expected.samples]


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_decoder_decodes_what_the_model_does(
    row: FamilyRow,
    dtype: str,
    family_folder: Callable[[FamilyRow], Path],
    family_model: Callable[[FamilyRow], Model],
) -> None:
    prepared = prepare(family_folder(row), device="cpu", dtype=dtype)
    decoder = prepared.load_decoder()
    assert all(tensor.is_meta for tensor in decoder.pipeline.transformer.parameters())
    size = decoder.size(decoder.sampling(row.sample(), dict(row.settings)))
    shape = decoder.anatomy.geometry.latent_shape(size)
    latents = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    model = family_model(row) if dtype == "fp32" else prepared.load()
    expected = model.decode(latents, size.num_frames)
    assert np.array_equal(decoder.decode(latents, size.num_frames), expected)
    assert expected.std() > 0


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_lora_of_diffusers_naming_changes_every_linear_module(
    row: FamilyRow,
    family_folder: Callable[[FamilyRow], Path],
    family_model: Callable[[FamilyRow], Model],
    tmp_path: Path,
) -> None:
    plain = family_model(row).pipeline.transformer
    linear = {name: module for name, module in plain.named_modules() if isinstance(module, torch.nn.Linear)}
    generator = torch.Generator().manual_seed(0)
    factors: dict[str, tuple[torch.Tensor, torch.Tensor]] = {
        name: (
            torch.randn(2, module.in_features, generator=generator),
            torch.randn(module.out_features, 2, generator=generator),
        )
        for name, module in linear.items()
    }
    tensors = {
        f"transformer.{name}.{end}.weight": tensor
        for name, pair in factors.items()
        for end, tensor in zip(("lora_A", "lora_B"), pair, strict=True)
    }
    save_file(tensors, tmp_path / "lora.safetensors")
    asked = f"transformer={tmp_path / 'lora.safetensors'}:0.5"
    if not hasattr(plain, "load_lora_adapter"):
        with pytest.raises(ModelError, match=f"diffusers puts no LoRA into a {type(plain).__name__}"):
            skeleton(family_folder(row), device="cpu", lora=asked)
        return
    changed: Any = ci.load(family_folder(row), device="cpu", dtype="fp32", lora=asked).pipeline.transformer
    for name, module in linear.items():
        down, up = factors[name]
        given = torch.randn(3, module.in_features, generator=generator)
        expected = module(given) + 0.5 * given @ down.T @ up.T
        assert torch.allclose(changed.get_submodule(name)(given), expected, rtol=1e-4, atol=1e-4)
