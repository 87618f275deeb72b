"""Tiny random Wans, one for each published kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.pipelines.wan.pipeline_wan import WanPipeline
from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from PIL import Image

from cosinterp.samples import Sample
from tests.tiny import components as parts

NUM_BLOCKS = 3
HEIGHT = WIDTH = 32
NUM_FRAMES = 5
GRID = (3, 4, 4)
"""Token grid at that size: 5 frames are 3 latent frames, 32 px are 8 latent cells, 4 patches."""


@dataclass(frozen=True)
class WanKind:
    """What differs between the published Wans."""

    name: str
    image: bool = False
    image_encoder: bool = False
    experts: int = 1
    expand_timesteps: bool = False


KINDS: dict[str, WanKind] = {
    kind.name: kind
    for kind in (
        WanKind("wan2.1-t2v"),
        WanKind("wan2.1-i2v", image=True, image_encoder=True),
        WanKind("wan2.2-t2v-a14b", experts=2),
        WanKind("wan2.2-i2v-a14b", image=True, experts=2),
        WanKind("wan2.2-ti2v-5b", expand_timesteps=True),
        WanKind("wan2.2-ti2v-5b-image", image=True, expand_timesteps=True),
    )
}


def transformer(kind: WanKind, num_blocks: int) -> WanTransformer3DModel:
    joined = kind.image and not kind.expand_timesteps
    extra = parts.TEMPORAL_SCALE + parts.LATENT_CHANNELS if joined else 0
    return WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=parts.LATENT_CHANNELS + extra,
        out_channels=parts.LATENT_CHANNELS,
        text_dim=parts.TEXT_DIM,
        freq_dim=16,
        ffn_dim=32,
        num_layers=num_blocks,
        image_dim=parts.IMAGE_DIM if kind.image_encoder else None,
        added_kv_proj_dim=24 if kind.image_encoder else None,
        rope_max_seq_len=32,
    ).eval()


def build(name: str, folder: Path, *, seed: int = 0, num_blocks: int = NUM_BLOCKS) -> Path:
    """Write the tiny Wan `name` (a key of `KINDS`) to `folder` as a diffusers pipeline; returns `folder`."""
    kind = KINDS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = pipeline(kind, num_blocks)
    made.save_pretrained(folder)
    return folder


def pipeline(kind: WanKind, num_blocks: int = NUM_BLOCKS) -> DiffusionPipeline:
    """A tiny random Wan of a kind, from torch's own generator."""
    shared: dict[str, Any] = {
        "tokenizer": parts.tiny_tokenizer(),
        "text_encoder": parts.tiny_text_encoder(),
        "vae": parts.tiny_vae(),
        "scheduler": UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        "transformer": transformer(kind, num_blocks),
        "transformer_2": transformer(kind, num_blocks) if kind.experts == 2 else None,
        "boundary_ratio": 0.9 if kind.experts == 2 else None,
        "expand_timesteps": kind.expand_timesteps,
    }
    if not kind.image:
        return WanPipeline(**shared)
    if kind.image_encoder:
        shared["image_encoder"] = parts.tiny_image_encoder()
        shared["image_processor"] = parts.tiny_image_processor()
    return WanImageToVideoPipeline(**shared)


def sample_for(name: str, *, prompt: str = "go to the red goal") -> Sample:
    """A sample that the tiny Wan `name` takes: with a first image of noise where it wants one."""
    kind = KINDS[name]
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Sample(
        name="sample-0",
        prompt=prompt,
        image=Image.fromarray(pixels) if kind.image else None,
        truth={},
        height=HEIGHT,
        width=WIDTH,
        num_frames=NUM_FRAMES,
        metadata={},
    )
