"""CogVideoX 1.0 and 1.5, from text and from an image.

Video and text tokens are two streams through each block, joined for attention and for the feed-forward layer
(text first), and gated by what the block's norms put out (`CogVideoXBlock.forward` in diffusers). Where
positions come from a table (2B, and 5B from an image), it is for texts of one length; where the table is
learned (5B from an image), also for videos of one height and width (`CogVideoXPatchEmbed`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from cosinterp.models.anatomy import Anatomy
from cosinterp.models.arguments import image_for_each_row
from cosinterp.models.blocks import RESID, TEXT, BlockCall, Stack, Stream, Sublayer
from cosinterp.models.families.shared import known_pipeline, text_grid
from cosinterp.models.geometry import Geometry, Size
from cosinterp.models.guidance import classifier_free
from cosinterp.models.portions import Element, Joined
from cosinterp.models.vae import decode_scaled
from cosinterp.noise_levels import prediction_type_of

_TAKES_IMAGE = {"CogVideoXPipeline": False, "CogVideoXImageToVideoPipeline": True}


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of a CogVideoX pipeline.

    Raises:
        ModelError: a class of pipeline or a scheduler that is not understood.
    """
    image = _TAKES_IMAGE[known_pipeline(pipeline, _TAKES_IMAGE, name)]
    config = pipeline.transformer.config
    channels = config.num_attention_heads * config.attention_head_dim
    patch, patch_frames = config.patch_size, config.patch_size_t or 1
    spatial = pipeline.vae_scale_factor_spatial
    height, width = config.sample_height * spatial, config.sample_width * spatial
    learned = config.use_learned_positional_embeddings
    table = learned or not config.use_rotary_positional_embeddings
    return Anatomy(
        family="cogvideox",
        stacks=(
            Stack(
                blocks="transformer_blocks",
                count=len(pipeline.transformer.transformer_blocks),
                streams=(
                    Stream(RESID, channels, "hidden_states", output=0),
                    Stream(TEXT, channels, "encoder_hidden_states", output=1, grid=text_grid),
                ),
                sublayers=(
                    Sublayer("self_attn", "attn1", gate=_gate("norm1"), video=Element(0), reads=("norm1",)),
                    Sublayer(
                        "mlp", "ff", gate=_gate("norm2"), video=Joined(text_first=True), reads=("norm2",)
                    ),
                ),
            ),
        ),
        geometry=Geometry(
            patch_size=(patch_frames, patch, patch),
            latent_channels=pipeline.vae.config.latent_channels,
            spatial_scale=spatial,
            temporal_scale=pipeline.vae_scale_factor_temporal,
            size_multiple=(spatial * patch, spatial * patch),
            latent_frame_multiple=patch_frames,
            fixed_sides=(height, width) if learned else None,
            default_size=Size(height, width, config.sample_frames),
        ),
        guidance=classifier_free("doubled"),
        prediction_type=prediction_type_of(pipeline.scheduler, name),
        decode=_decode,
        vae_in_model_dtype=True,
        image="required" if image else "none",
        image_hint="give a first image" if image else "it is a text-to-video model",
        arguments=image_for_each_row,
        fixed_text_length=config.max_text_seq_length if table else None,
        unpack=_unpack,
    )


def _gate(norm: str) -> Callable[[BlockCall], torch.Tensor]:
    def gate(call: BlockCall) -> torch.Tensor:
        # (video, text, gate of the video, gate of the text)
        return call.outputs[norm][2]

    return gate


def _unpack(latents: torch.Tensor, size: Size) -> torch.Tensor:
    """The scheduler sees (batch, frame, channel, row, col)."""
    return latents.transpose(1, 2)


def _decode(pipeline: Any, latents: torch.Tensor, num_frames: int) -> np.ndarray:
    """As `decode_scaled`, without the frames that the pipeline put in front to fill a patch."""
    added = latents.shape[2] - ((num_frames - 1) // pipeline.vae_scale_factor_temporal + 1)
    return decode_scaled(pipeline, latents[:, :, added:], num_frames)
