"""Stable Diffusion 3 and 3.5: joined text, a second attention in some blocks, a last block without text."""

from __future__ import annotations

from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

from tests.families.row import FamilyRow, Hook, item
from tests.tiny.components import tiny_tokenizer
from tests.tiny.images import (
    CLIP_DIM,
    CLIP_LENGTH,
    T5_DIM,
    tiny_clip,
    tiny_clip_tokenizer,
    tiny_image_vae,
    tiny_t5,
)

_TEXT = 7
_BLOCKS = ("transformer_blocks",)


def _pipeline(**transformer: Any) -> StableDiffusion3Pipeline:
    return StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel(
            sample_size=16,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=3,
            attention_head_dim=8,
            num_attention_heads=3,
            joint_attention_dim=T5_DIM,
            caption_projection_dim=24,
            pooled_projection_dim=2 * CLIP_DIM,
            pos_embed_max_size=12,
            **transformer,
        ).eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=tiny_image_vae(scaling_factor=1.5305, shift_factor=0.0609, use_quant_conv=False),
        text_encoder=tiny_clip(projection=True),
        tokenizer=tiny_clip_tokenizer(),
        text_encoder_2=tiny_clip(projection=True),
        tokenizer_2=tiny_clip_tokenizer(),
        text_encoder_3=tiny_t5(),
        tokenizer_3=tiny_tokenizer(),
    )


def _row(name: str, more: dict[str, Hook], **transformer: Any) -> FamilyRow:
    return FamilyRow(
        name=name,
        build=lambda: _pipeline(**transformer),
        hooks={
            "resid": Hook(_BLOCKS, take=item(1)),
            # The last block puts out none.
            "text": Hook(_BLOCKS, take=item(0), places=(0, 1)),
            "self_attn.raw": Hook(_BLOCKS, "attn", item(0)),
            "mlp.raw": Hook(_BLOCKS, "ff"),
            **more,
        },
        entering={"resid": "hidden_states", "text": "encoder_hidden_states"},
        calls=(("uncond", "cond"),),
        size={"height": 32, "width": 48},
        settings={"max_sequence_length": _TEXT},
        euler=True,
        grids={"resid": (1, 4, 6), "text": (1, 1, CLIP_LENGTH + _TEXT)},
    )


ROWS = [
    _row("Stable Diffusion 3", {}),
    _row("Stable Diffusion 3.5 large", {}, qk_norm="rms_norm"),
    _row(
        "Stable Diffusion 3.5 medium",
        {"dual_attn.raw": Hook(_BLOCKS, "attn2", places=(0,))},
        qk_norm="rms_norm",
        dual_attention_layers=(0,),
    ),
]
