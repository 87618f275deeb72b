"""Sana-Video 2B, from text and from an image (480p with Wan's VAE, 720p with that of LTX-2).

Linear self-attention and a convolutional feed-forward layer, both gated by the timestep, and cross-attention
without a gate (`SanaVideoTransformerBlock.forward` in diffusers). The feed-forward layer sees the grid,
(batch, frame, row, col, channel). From an image each token has a timestep of its own: 0 on the first frame,
which the scheduler is not shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from cosinterp.models.anatomy import Anatomy, Pinned, nothing_pinned
from cosinterp.models.blocks import BlockCall, Sublayer
from cosinterp.models.families.shared import known_pipeline, one_stack
from cosinterp.models.geometry import Geometry, Size, multiples, three
from cosinterp.models.guidance import classifier_free
from cosinterp.models.portions import OnGrid
from cosinterp.models.vae import decode_standardised, decoded, on_vae
from cosinterp.noise_levels import FLOW, check_predicts

_TAKES_IMAGE = {"SanaVideoPipeline": False, "SanaImageToVideoPipeline": True}
_SELF_ATTENTION_GATE = 2
_FEED_FORWARD_GATE = 5
# What the pipeline itself refuses to take other multiples than of.
_MULTIPLE = 32
# The transformer's ``sample_size``: rows of tokens of a square video of its resolution.
_DEFAULT_SIZES = {30: Size(480, 832, 81), 22: Size(704, 1280, 81)}


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of a Sana-Video pipeline.

    Raises:
        ModelError: a class of pipeline or a scheduler that is not understood.
    """
    image = _TAKES_IMAGE[known_pipeline(pipeline, _TAKES_IMAGE, name)]
    config = pipeline.transformer.config
    patch = three(config.patch_size)
    spatial = pipeline.vae_scale_factor_spatial
    return Anatomy(
        family="sana-video",
        stacks=one_stack(
            pipeline.transformer,
            Sublayer("self_attn", "attn1", gate=_gate(_SELF_ATTENTION_GATE)),
            Sublayer("cross_attn", "attn2"),
            Sublayer("mlp", "ff", gate=_gate(_FEED_FORWARD_GATE), video=OnGrid()),
        ),
        geometry=Geometry(
            patch_size=patch,
            latent_channels=config.in_channels,
            spatial_scale=spatial,
            temporal_scale=pipeline.vae_scale_factor_temporal,
            size_multiple=multiples(_MULTIPLE, spatial, patch),
            default_size=_DEFAULT_SIZES.get(config.sample_size),
        ),
        guidance=classifier_free("doubled"),
        prediction_type=check_predicts(pipeline.scheduler, FLOW, name),
        decode=_decode,
        image="required" if image else "none",
        image_hint="give a first image"
        if image
        else "load it as SanaImageToVideoPipeline to start from an image",
        arguments=_arguments,
        pinned=_pinned if image else nothing_pinned,
    )


def _gate(index: int) -> Callable[[BlockCall], torch.Tensor]:
    def gate(call: BlockCall) -> torch.Tensor:
        """One of the six modulation vectors of the block: one for all tokens, or one for each."""
        timestep = call.argument("timestep")
        table: torch.Tensor = call.block.scale_shift_table  # type: ignore[assignment]
        rows, tokens, _ = timestep.shape
        return table[index] + timestep.reshape(rows, tokens, 6, -1)[:, :, index]

    return gate


def _arguments(pipeline: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Frames under the name that this pipeline has for them, and no other size than the one asked for."""
    return {**arguments, "frames": arguments["num_frames"], "use_resolution_binning": False}


def _pinned(prepared: torch.Tensor, size: Size) -> Pinned:
    """The latents that are prepared have the image as their first frame."""
    return Pinned.first_frame(prepared)


def _decode(pipeline: Any, latents: torch.Tensor, num_frames: int) -> np.ndarray:
    """The VAE of LTX-2 keeps what its latents are standardised by among its buffers, Wan's in its config."""
    vae = pipeline.vae
    if "latents_mean" in vae.config:
        return decode_standardised(pipeline, latents, num_frames)
    latents = on_vae(pipeline, latents)
    mean, std = (part.view(1, -1, 1, 1, 1).to(latents) for part in (vae.latents_mean, vae.latents_std))
    return decoded(pipeline, latents / (1.0 / std) + mean)
