"""Allegro: noise predicted under an ancestral sampler, and a VAE that decodes whole tiles only."""

from __future__ import annotations

from typing import Any

from diffusers import (
    AllegroPipeline,
    AllegroTransformer3DModel,
    AutoencoderKLAllegro,
    EulerAncestralDiscreteScheduler,
)
from transformers import T5Config, T5EncoderModel

from tests.families.row import FamilyRow, Hook
from tests.tiny.components import tiny_tokenizer

_BLOCKS = ("transformer_blocks",)


def _pipeline() -> Any:
    vae = AutoencoderKLAllegro(
        block_out_channels=(2, 2, 2, 2),
        layers_per_block=1,
        norm_num_groups=1,
        latent_channels=4,
        # Tiles of 24 frames and this side: one is as high as the video, two are as wide.
        sample_size=128,
    ).eval()
    transformer = AllegroTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        cross_attention_dim=24,
        caption_channels=16,
        sample_height=16,
        sample_width=22,
        sample_frames=6,
    ).eval()
    text = T5Config(vocab_size=32, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, dropout_rate=0.0)
    return AllegroPipeline(
        tokenizer=tiny_tokenizer(),
        text_encoder=T5EncoderModel(text).eval(),
        vae=vae,
        transformer=transformer,
        scheduler=EulerAncestralDiscreteScheduler(beta_start=0.0001, beta_end=0.02, beta_schedule="linear"),
    )


ROWS = [
    FamilyRow(
        name="Allegro",
        build=_pipeline,
        hooks={
            "resid": Hook(_BLOCKS),
            "self_attn.raw": Hook(_BLOCKS, "attn1"),
            "cross_attn.raw": Hook(_BLOCKS, "attn2"),
            "mlp.raw": Hook(_BLOCKS, "ff"),
        },
        calls=(("uncond", "cond"),),
        size={"height": 128, "width": 176, "num_frames": 24},
        settings={"max_sequence_length": 8},
        grids={"resid": (6, 8, 11)},
    ),
]
