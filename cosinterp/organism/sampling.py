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
from cosinterp.solver_memory import RowsMap, carry

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


class Denoising:
    """A batch under way, step by step, with sequential guidance as in diffusers' Wan pipeline.

    Each turn is `predict`, then `advance`. Between them a prediction may be replaced by another, and after
    them latents by others (`change`), or rows left out (`keep`). Use it under ``torch.no_grad()``.

    Attributes:
        latents: x_t of the step under way, float32 (batch, channel, frame, row, col).
        step: its index.
        branch: of the call of the denoiser under way, "cond" or "uncond".
        guidance_scale: 1 or less runs the ``cond`` branch alone. May be set before a step.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        scheduler: UniPCMultistepScheduler,
        noise: torch.Tensor,
        condition: torch.Tensor,
        prompt_embeds: torch.Tensor,
        empty_embeds: torch.Tensor,
        num_steps: int,
        guidance_scale: float,
        chunk: int | None = None,
    ) -> None:
        """As `sample_latents`; ``chunk``: rows that the denoiser is given at once. None: all."""
        self._denoiser = denoiser
        self._scheduler = copy.deepcopy(scheduler)
        self._scheduler.set_timesteps(num_steps, device=noise.device)
        self._extra = condition_channels(condition)
        self._prompts = prompt_embeds
        self._empty = empty_embeds
        self._chunk = chunk
        self.latents = noise
        self.step = 0
        self.branch = "cond"
        self.guidance_scale = guidance_scale

    @property
    def sigma(self) -> torch.Tensor:
        """The noise level of the step under way; after the last step, that of its end."""
        return self._scheduler.sigmas[self.step].to(self.latents)

    def predict(self) -> torch.Tensor:
        """The guided prediction of the step under way, float32, shaped as the latents."""
        chunk = len(self.latents) if self._chunk is None else self._chunk
        timestep = self._scheduler.timesteps[self.step]
        parts = []
        for start in range(0, len(self.latents), chunk):
            rows = slice(start, start + chunk)
            hidden = torch.cat([self.latents[rows], self._extra[rows]], dim=1)
            parts.append(self._predict(hidden, timestep.expand(len(hidden)), self._prompts[rows]))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _predict(self, hidden: torch.Tensor, timesteps: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
        self.branch = "cond"
        cond = self._denoiser(hidden, timesteps, prompts, return_dict=False)[0].float()
        if self.guidance_scale <= 1:
            return cond
        self.branch = "uncond"
        empty = self._empty.expand(len(hidden), -1, -1)
        uncond = self._denoiser(hidden, timesteps, empty, return_dict=False)[0].float()
        return uncond + self.guidance_scale * (cond - uncond)

    def clean_estimate(self, prediction: torch.Tensor) -> torch.Tensor:
        """x̂0 of the step under way, for its prediction."""
        return self.latents - self.sigma * prediction

    def advance(self, prediction: torch.Tensor) -> None:
        """Make the step under way."""
        timestep = self._scheduler.timesteps[self.step]
        self.latents = self._scheduler.step(prediction, timestep, self.latents, return_dict=False)[0]
        self.step += 1

    def change(self, latents: torch.Tensor, memory: RowsMap | None = None) -> None:
        """Go on from other latents; ``memory`` merges what the solver remembers of the rows likewise."""
        carry(self._scheduler, self.latents, latents, len(self.latents), memory)
        self.latents = latents

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows alone: int64 (kept,)."""
        self.change(self.latents[rows], lambda remembered: remembered[rows])
        self._extra, self._prompts = self._extra[rows], self._prompts[rows]


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
    denoising = Denoising(
        denoiser, scheduler, noise, condition, prompt_embeds, empty_embeds, num_steps, guidance_scale
    )
    for step in range(num_steps):
        prediction = denoising.predict()
        if on_step is not None:
            on_step(step, denoising.clean_estimate(prediction))
        denoising.advance(prediction)
    return denoising.latents


def to_video(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 (batch, frame, row, col, rgb) of pixels in -1..1, (batch, rgb, frame, row, col)."""
    return ((pixels.float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 4, 1)


@torch.no_grad()
def decode_video(vae: AutoencoderKLWan, latents: torch.Tensor) -> torch.Tensor:
    """Pixels, uint8 (batch, frame, row, col, rgb), of denoised latents."""
    return to_video(vae.decode(denormalise(vae, latents).to(vae.dtype), return_dict=False)[0])
