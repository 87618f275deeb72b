"""What Kandinsky 5 refuses, and what sparse attention needs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers.models.attention_dispatch import AttentionBackendName
from diffusers.models.transformers.transformer_kandinsky import Kandinsky5AttnProcessor
from torch.nn.attention import flex_attention

import cosinterp as ci
from cosinterp.errors import ModelError, SampleError, TraceError
from cosinterp.models.families import anatomy_of
from cosinterp.models.model import Model
from tests.families.kandinsky5 import ROWS
from tests.families.row import FamilyRow

TEXT, SPARSE, IMAGE = ROWS
FamilyModel = Callable[[FamilyRow], Model]


def test_fewer_frames_than_the_first_are_normalised_by_are_refused(family_model: FamilyModel) -> None:
    """The pipeline itself makes a video of NaN of them."""
    model = family_model(IMAGE)
    with pytest.raises(SampleError, match="num_frames 13, but this model makes at least 17"):
        model.sampling(replace(IMAGE.sample(), num_frames=13), {})


def test_tokens_that_fill_no_square_are_refused(family_model: FamilyModel) -> None:
    model = family_model(SPARSE)
    with pytest.raises(SampleError, match="have to be multiples of 128 and 128"):
        model.sampling(replace(SPARSE.sample(), width=192), {})


def test_only_the_attention_that_takes_its_mask_is_changed(family_model: FamilyModel) -> None:
    blocks = family_model(SPARSE).pipeline.transformer.visual_transformer_blocks
    assert all(
        block.self_attention.processor._attention_backend == AttentionBackendName.FLEX for block in blocks
    )
    assert all(block.cross_attention.processor._attention_backend is None for block in blocks)
    for block in family_model(TEXT).pipeline.transformer.visual_transformer_blocks:
        assert block.self_attention.processor._attention_backend is None


def test_attention_outside_of_the_model_is_as_it_was(
    family_model: FamilyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of other models of the process, before a call and after one that fails."""
    model = family_model(SPARSE)
    plain = inspect.unwrap(flex_attention.flex_attention)
    assert flex_attention.flex_attention is plain
    attention = model.pipeline.transformer.visual_transformer_blocks[0].self_attention
    within: list[Any] = []

    def fails(*args: Any, **kwargs: Any) -> None:
        within.append(flex_attention.flex_attention)
        raise RuntimeError("attention fails")

    monkeypatch.setattr(Kandinsky5AttnProcessor, "__call__", fails)
    with pytest.raises(RuntimeError, match="attention fails"):
        attention.processor(attention, SimpleNamespace(is_cuda=True))
    with pytest.raises(RuntimeError, match="attention fails"):
        attention.processor(attention, SimpleNamespace(is_cuda=False))
    assert flex_attention.flex_attention is plain
    compiled, on_cpu = within
    assert compiled is not plain
    assert on_cpu is plain


@pytest.mark.gpu
def test_on_a_gpu_sparse_attention_does_not_keep_the_scores_of_all_pairs_of_tokens(tmp_path: Path) -> None:
    SPARSE.build().save_pretrained(tmp_path)
    model = ci.load(tmp_path, device="cuda", dtype="bf16")
    sample = replace(SPARSE.sample(), height=512, width=768, num_frames=29)
    settings = model.sampling(sample, {"num_steps": 2})
    heads, tokens, number = 2, 8 * 32 * 48, 2
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    model.pipeline(**model.arguments(sample, (0,), settings, output_type="latent"))
    assert torch.cuda.max_memory_allocated() - before < heads * tokens**2 * number / 4


def test_a_text_that_the_pipeline_does_not_take_is_refused(family_model: FamilyModel) -> None:
    with pytest.raises(TraceError, match="max_sequence_length 1025 is above 1024"):
        family_model(TEXT).sampling(TEXT.sample(), {"max_sequence_length": 1025})


def test_another_pipeline_of_the_denoiser_is_refused(family_model: FamilyModel) -> None:
    pipeline = family_model(TEXT).pipeline
    other = type("Kandinsky5T2IPipeline", (type(pipeline),), {})(**pipeline.components)
    with pytest.raises(ModelError, match="Kandinsky5T2IPipeline is not known; known for this transformer: "):
        anatomy_of(other, "here")
