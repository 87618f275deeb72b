"""Mochi 1, from text.

Video and text tokens are two streams of different widths, joined for attention. What a sublayer puts out is
normalised and gated by one module after it (``norm2``, ``norm4``) before it is added; the last block leaves
the text as it is (`MochiTransformerBlock.forward` in diffusers). Noise levels rise from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from cosinterp.models.anatomy import Anatomy
from cosinterp.models.blocks import RESID, TEXT, Stack, Stream, Sublayer
from cosinterp.models.families.shared import known_pipeline, text_grid
from cosinterp.models.geometry import Geometry, Size
from cosinterp.models.guidance import classifier_free
from cosinterp.models.portions import Element
from cosinterp.models.vae import decoded, on_vae
from cosinterp.noise_levels import FLOW, check_predicts

_DEFAULT_FRAMES = 19
"""Of the pipeline's call."""


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of a Mochi pipeline.

    Raises:
        ModelError: a class of pipeline or a scheduler that is not understood.
    """
    known_pipeline(pipeline, ["MochiPipeline"], name)
    config = pipeline.transformer.config
    spatial, patch = pipeline.vae_spatial_scale_factor, config.patch_size
    return Anatomy(
        family="mochi",
        stacks=(
            Stack(
                blocks="transformer_blocks",
                count=len(pipeline.transformer.transformer_blocks),
                streams=(
                    Stream(
                        RESID,
                        config.num_attention_heads * config.attention_head_dim,
                        "hidden_states",
                        output=0,
                    ),
                    Stream(
                        TEXT, config.pooled_projection_dim, "encoder_hidden_states", output=1, grid=text_grid
                    ),
                ),
                sublayers=(
                    # Attention puts out (video, text), and the norm after it the video alone.
                    Sublayer("self_attn", "attn1", video=Element(0), added="norm2"),
                    Sublayer("mlp", "ff", added="norm4"),
                ),
            ),
        ),
        geometry=Geometry(
            patch_size=(1, patch, patch),
            latent_channels=config.in_channels,
            spatial_scale=spatial,
            temporal_scale=pipeline.vae_temporal_scale_factor,
            size_multiple=(spatial * patch, spatial * patch),
            default_size=Size(pipeline.default_height, pipeline.default_width, _DEFAULT_FRAMES),
        ),
        guidance=classifier_free("doubled"),
        prediction_type=check_predicts(pipeline.scheduler, FLOW, name),
        decode=_decode,
        vae_in_model_dtype=True,
        image_hint="it is a text-to-video model",
        refusal=_refusal,
    )


def _refusal(settings: Mapping[str, Any]) -> str | None:
    # The first half of the schedule is linear, and a half of 1 is no step.
    return "num_steps has to be 2 or more for this model" if settings["num_steps"] < 2 else None


def _decode(pipeline: Any, latents: torch.Tensor, num_frames: int) -> np.ndarray:
    config = pipeline.vae.config
    latents = on_vae(pipeline, latents)
    if config.latents_mean is None or config.latents_std is None:
        return decoded(pipeline, latents / config.scaling_factor)
    shape = (1, -1, 1, 1, 1)
    mean = torch.tensor(config.latents_mean).view(shape).to(latents.device, latents.dtype)
    std = torch.tensor(config.latents_std).view(shape).to(latents.device, latents.dtype)
    return decoded(pipeline, latents * std / config.scaling_factor + mean)
