"""Decoding latents as the pipelines do, in the few ways that they have."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from diffusers.utils.torch_utils import get_module_execution_device


def decode_standardised(pipeline: Any, latents: torch.Tensor, num_frames: int) -> np.ndarray:
    """Decode latents that were standardised by the VAE's ``latents_mean`` and ``latents_std``.

    ``latents``: (batch, channel, frame, row, col) of a video of ``num_frames``; returns float32 (batch,
    frame, row, col, rgb) in [0, 1].
    """
    config = pipeline.vae.config
    latents = on_vae(pipeline, latents)
    shape = (1, -1, 1, 1, 1)
    mean = torch.tensor(config.latents_mean).view(shape).to(latents.device, latents.dtype)
    inverse_std = 1.0 / torch.tensor(config.latents_std).view(shape).to(latents.device, latents.dtype)
    # Dividing by the inverse, as the pipelines do, keeps the decoded video equal bit for bit.
    return decoded(pipeline, latents / inverse_std + mean)


def decode_scaled(pipeline: Any, latents: torch.Tensor, num_frames: int) -> np.ndarray:
    """Decode latents that were multiplied by the VAE's ``scaling_factor``; as `decode_standardised`."""
    return decoded(pipeline, on_vae(pipeline, latents) / pipeline.vae.config.scaling_factor)


def on_vae(pipeline: Any, latents: torch.Tensor) -> torch.Tensor:
    """Latents in the dtype of the VAE and where it runs."""
    vae = pipeline.vae
    return latents.to(get_module_execution_device(vae), dtype=vae.dtype)


@torch.no_grad()
def decoded(pipeline: Any, latents: torch.Tensor, **arguments: Any) -> np.ndarray:
    """What the VAE makes of latents on its own scale: float32 (batch, frame, row, col, rgb) in [0, 1]."""
    video = pipeline.vae.decode(latents, return_dict=False, **arguments)[0]
    return pipeline.video_processor.postprocess_video(video, output_type="np")


def decode_image(pipeline: Any, latents: torch.Tensor, num_frames: int) -> np.ndarray:
    """Decode latents of images that the VAE's ``scaling_factor`` multiplied, and its ``shift_factor`` shifted
    before that if it has one; as `decode_standardised`.
    """
    config = pipeline.vae.config
    scaled = on_vae(pipeline, latents[:, :, 0]) / config.scaling_factor
    return decoded_image(pipeline, scaled if config.shift_factor is None else scaled + config.shift_factor)


@torch.no_grad()
def decoded_image(pipeline: Any, latents: torch.Tensor) -> np.ndarray:
    """What the VAE makes of latents (batch, channel, row, col) on its own scale; as `decoded`."""
    images = pipeline.vae.decode(latents, return_dict=False)[0]
    pixels = (images * 0.5 + 0.5).clamp(0, 1)
    return pixels.cpu().permute(0, 2, 3, 1).float().numpy()[:, None]
