"""Wan Animate (Wan2.2-Animate-14B): a character from an image, driven by the videos of a pose and of a face.

The blocks are Wan's. After every few of them a face adapter adds to the residual stream: layer k is what
leaves block k, and what enters the next block is that plus the adapter's output. The reference image is a
latent frame in front of those of the video, denoised with them and dropped at the end. Longer videos are made
in segments, each by a denoising loop of its own; here a video is one segment.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from cosinterp.models.anatomy import Anatomy
from cosinterp.models.families.shared import known_pipeline
from cosinterp.models.families.wan import blocks, fixed_text_length
from cosinterp.models.geometry import Geometry, Size, multiples, three
from cosinterp.models.guidance import classifier_free
from cosinterp.models.vae import decode_standardised
from cosinterp.noise_levels import FLOW, check_predicts

_REFERENCE_FRAMES = 1
# What the pipeline itself refuses to take other multiples than of.
_MULTIPLE = 16
_DEFAULT_SIZE = Size(720, 1280, 77)


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of a Wan Animate pipeline.

    Raises:
        ModelError: a class of pipeline or a scheduler that is not understood.
    """
    known_pipeline(pipeline, ["WanAnimatePipeline"], name)
    transformer = pipeline.transformer
    patch = three(transformer.config.patch_size)
    spatial, temporal = pipeline.vae_scale_factor_spatial, pipeline.vae_scale_factor_temporal
    return Anatomy(
        family="wan-animate",
        stacks=(blocks(transformer.config, len(transformer.blocks)),),
        geometry=Geometry(
            patch_size=patch,
            latent_channels=pipeline.vae.config.z_dim,
            spatial_scale=spatial,
            temporal_scale=temporal,
            size_multiple=multiples(_MULTIPLE, spatial, patch),
            # The pipeline divides by the frames that a segment has behind its first.
            least_frames=temporal + 1,
            extra_latent_frames=_REFERENCE_FRAMES,
            default_size=_DEFAULT_SIZE,
        ),
        guidance=classifier_free("sequential"),
        prediction_type=check_predicts(pipeline.scheduler, FLOW, name),
        decode=_decode,
        image="required",
        image_hint="give one of the character",
        videos={"pose_video": "required", "face_video": "required"},
        arguments=_arguments,
        fixed_text_length=fixed_text_length(transformer.config),
    )


def _arguments(pipeline: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """One segment that is as long as the video."""
    return {**arguments, "segment_frame_length": arguments["num_frames"]}


def _decode(pipeline: Any, latents: torch.Tensor, num_frames: int) -> np.ndarray:
    return decode_standardised(pipeline, latents[:, :, _REFERENCE_FRAMES:], num_frames)
