"""PixArt-alpha and PixArt-sigma: noise predictions with a learned variance beside them, DPM-Solver++."""

from __future__ import annotations

from typing import Any

from diffusers import (
    DPMSolverMultistepScheduler,
    PixArtAlphaPipeline,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
)

from tests.families.row import FamilyRow, Hook
from tests.tiny.components import tiny_tokenizer
from tests.tiny.images import T5_DIM, tiny_image_vae, tiny_t5

_BLOCKS = ("transformer_blocks",)


def _pipeline(cls: type, **transformer: Any) -> Any:
    return cls(
        tokenizer=tiny_tokenizer(),
        text_encoder=tiny_t5(),
        vae=tiny_image_vae(scaling_factor=0.13025),
        transformer=PixArtTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=4,
            out_channels=8,
            num_layers=2,
            cross_attention_dim=24,
            caption_channels=T5_DIM,
            **transformer,
        ).eval(),
        scheduler=DPMSolverMultistepScheduler(beta_schedule="linear"),
    )


def _row(name: str, cls: type, **transformer: Any) -> FamilyRow:
    return FamilyRow(
        name=name,
        build=lambda: _pipeline(cls, **transformer),
        hooks={
            "resid": Hook(_BLOCKS),
            "self_attn.raw": Hook(_BLOCKS, "attn1"),
            "cross_attn.raw": Hook(_BLOCKS, "attn2"),
            "mlp.raw": Hook(_BLOCKS, "ff"),
        },
        calls=(("uncond", "cond"),),
        size={"height": 32, "width": 48},
        settings={"max_sequence_length": 7},
        grids={"resid": (1, 4, 6)},
    )


ROWS = [
    # At this sample size the size and its ratio are conditions too.
    _row("PixArt-alpha 1024", PixArtAlphaPipeline, sample_size=128),
    _row("PixArt-alpha 512", PixArtAlphaPipeline, sample_size=64),
    _row("PixArt-sigma", PixArtSigmaPipeline, sample_size=128, use_additional_conditions=False),
]
