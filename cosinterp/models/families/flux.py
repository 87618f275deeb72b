"""FLUX.1 (dev and schnell), from text.

Double-stream blocks carry image and text tokens as two streams that are joined for attention; single-stream
blocks join them (text first) and let attention and MLP leave through one projection. The gates are what the
blocks' norms put out (`FluxTransformerBlock`, `FluxSingleTransformerBlock` in diffusers). dev takes the scale
of its distilled guidance as an input, schnell takes none; a second branch is computed only for
``true_cfg_scale``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from cosinterp.models.anatomy import FROM_PIPELINE, Anatomy
from cosinterp.models.arguments import at_most
from cosinterp.models.blocks import RESID, TEXT, Stack, Stream, Sublayer
from cosinterp.models.families.shared import known_pipeline, norm_gate, text_grid
from cosinterp.models.geometry import Geometry, Size
from cosinterp.models.guidance import classifier_free
from cosinterp.models.portions import Element, Joined
from cosinterp.models.vae import decode_image
from cosinterp.noise_levels import FLOW, check_predicts

_PATCH = 2
_EMBEDDED = "guidance_scale"
_ATTENTION_GATE = 1
_FEED_FORWARD_GATE = 4
_SINGLE_GATE = 1
_LONGEST_TEXT = 512


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of a Flux pipeline.

    Raises:
        ModelError: a class of pipeline or a scheduler that is not understood.
    """
    known_pipeline(pipeline, ["FluxPipeline"], name)
    transformer = pipeline.transformer
    config = transformer.config
    channels = config.num_attention_heads * config.attention_head_dim
    latent_channels = config.in_channels // _PATCH**2
    scale = pipeline.vae_scale_factor
    streams = (
        Stream(RESID, channels, "hidden_states", output=1),
        Stream(TEXT, channels, "encoder_hidden_states", output=0, grid=text_grid),
    )
    return Anatomy(
        family="flux",
        stacks=(
            Stack(
                blocks="transformer_blocks",
                count=len(transformer.transformer_blocks),
                streams=streams,
                sublayers=(
                    Sublayer(
                        "self_attn",
                        "attn",
                        gate=norm_gate("norm1", _ATTENTION_GATE),
                        video=Element(0),
                        reads=("norm1",),
                    ),
                    Sublayer("mlp", "ff", gate=norm_gate("norm1", _FEED_FORWARD_GATE), reads=("norm1",)),
                ),
            ),
            Stack(
                blocks="single_transformer_blocks",
                count=len(transformer.single_transformer_blocks),
                streams=streams,
                sublayers=(
                    Sublayer(
                        "parallel",
                        "proj_out",
                        gate=norm_gate("norm", _SINGLE_GATE),
                        video=Joined(text_first=True),
                        reads=("norm",),
                    ),
                ),
            ),
        ),
        geometry=Geometry(
            patch_size=(1, _PATCH, _PATCH),
            latent_channels=latent_channels,
            spatial_scale=scale,
            size_multiple=(scale * _PATCH, scale * _PATCH),
            default_size=Size(pipeline.default_sample_size * scale, pipeline.default_sample_size * scale),
            is_image=True,
        ),
        guidance=classifier_free(
            "sequential", "true_cfg_scale", embedded=_EMBEDDED if config.guidance_embeds else None
        ),
        prediction_type=check_predicts(pipeline.scheduler, FLOW, name),
        decode=decode_image,
        vae_in_model_dtype=True,
        settings={"true_cfg_scale": FROM_PIPELINE},
        ignored=() if config.guidance_embeds else (_EMBEDDED,),
        image_hint="it is a text-to-image model",
        output="images",
        refusal=at_most(max_sequence_length=_LONGEST_TEXT),
        unpack=partial(_unpack, scale=scale),
    )


def _unpack(latents: torch.Tensor, size: Size, scale: int) -> torch.Tensor:
    """The scheduler sees the patches as tokens: (batch, row x col, channel x row x col within the patch)."""
    cells = latents.unflatten(1, (-1, size.width // scale // _PATCH)).unflatten(-1, (-1, _PATCH, _PATCH))
    return cells.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3).unsqueeze(2)
