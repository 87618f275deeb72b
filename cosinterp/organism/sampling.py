"""Solve many different mazes as one batch.

The pipeline takes one first frame a call. For training and evaluation over hundreds of mazes this module runs
the pipeline's own loop over a batch with a first frame for each row; a test holds the two to the same result.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler

from cosinterp.organism.architecture import LATENT_CHANNELS, TEMPORAL_FACTOR

Denoiser = Callable[..., tuple[torch.Tensor, ...]]


def normalise(vae: AutoencoderKLWan, latents: torch.Tensor) -> torch.Tensor:
    """Latents (batch, channel, frame, row, col) of the autoencoder, scaled to those that are denoised."""
    mean, scale = _moments(vae, latents)
    return (latents - mean) * scale


def denormalise(vae: AutoencoderKLWan, latents: torch.Tensor) -> torch.Tensor:
    """The reverse of ``normalise``."""
    mean, scale = _moments(vae, latents)
    return latents / scale + mean


def _moments(vae: AutoencoderKLWan, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The latents' mean, and 1 over their deviation: the pipeline's own form, for the same rounding."""
    shape = (1, -1, 1, 1, 1)
    mean = torch.tensor(vae.config["latents_mean"], device=like.device, dtype=like.dtype).view(shape)
    std = torch.tensor(vae.config["latents_std"], device=like.device, dtype=like.dtype).view(shape)
    return mean, 1.0 / std


def condition_channels(condition: torch.Tensor) -> torch.Tensor:
    """What the transformer sees beside the noisy latent: the frame mask, then ``condition``.

    ``condition`` is the encoded first frame, (batch, channel, frame, row, col); 2 more channels are returned.
    """
    batch, _, frames, rows, cols = condition.shape
    mask = condition.new_zeros(batch, TEMPORAL_FACTOR, frames, rows, cols)
    mask[:, :, 0] = 1
    return torch.cat([mask, condition], dim=1)


def initial_noise(seeds: Sequence[int], frames: int, rows: int, cols: int) -> torch.Tensor:
    """Each seed's initial noise, float32 (seed, channel, frame, row, col), the same on every machine."""
    return torch.cat(
        [
            torch.randn(
                (1, LATENT_CHANNELS, frames, rows, cols), generator=torch.Generator().manual_seed(seed)
            )
            for seed in seeds
        ]
    )


@torch.no_grad()
def sample_latents(
    denoiser: Denoiser,
    scheduler: UniPCMultistepScheduler,
    noise: torch.Tensor,
    condition: torch.Tensor,
    prompt_embeds: torch.Tensor,
    empty_embeds: torch.Tensor,
    num_steps: int,
    guidance_scale: float,
    on_step: Callable[[int, torch.Tensor], None] | None = None,
) -> torch.Tensor:
    """Denoise a batch, with sequential guidance as in diffusers' Wan pipeline.

    Args:
        denoiser: the transformer.
        scheduler: copied, so a caller's state is left alone.
        noise: float32 (batch, channel, frame, row, col).
        condition: the encoded first frame of each row, same shape.
        prompt_embeds: (batch, token, channel).
        empty_embeds: (1, token, channel), of the empty prompt.
        num_steps: denoising steps.
        guidance_scale: 1 or less runs the ``cond`` branch alone.
        on_step: called with (step, clean estimate) at each step.

    Returns:
        The final latents, float32, shaped as ``noise``.
    """
    scheduler = copy.deepcopy(scheduler)
    scheduler.set_timesteps(num_steps, device=noise.device)
    extra = condition_channels(condition)
    latents = noise
    for step, timestep in enumerate(scheduler.timesteps):
        hidden = torch.cat([latents, extra], dim=1)
        rows = timestep.expand(len(latents))
        prediction = denoiser(hidden, rows, prompt_embeds, return_dict=False)[0].float()
        if guidance_scale > 1:
            empty = empty_embeds.expand(len(latents), -1, -1)
            uncond = denoiser(hidden, rows, empty, return_dict=False)[0].float()
            prediction = uncond + guidance_scale * (prediction - uncond)
        if on_step is not None:
            on_step(step, latents - scheduler.sigmas[step].to(latents) * prediction)
        latents = scheduler.step(prediction, timestep, latents, return_dict=False)[0]
    return latents


def to_video(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 (batch, frame, row, col, rgb) of pixels in -1..1, (batch, rgb, frame, row, col)."""
    return ((pixels.float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 4, 1)


@torch.no_grad()
def decode_video(vae: AutoencoderKLWan, latents: torch.Tensor) -> torch.Tensor:
    """Pixels, uint8 (batch, frame, row, col, rgb), of denoised latents."""
    return to_video(vae.decode(denormalise(vae, latents).to(vae.dtype), return_dict=False)[0])
