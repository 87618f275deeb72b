"""True videos encoded in bulk, on the device that trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from diffusers import AutoencoderKLWan

from cosinterp.organism.rendering import CELL_PX, PALETTE
from cosinterp.organism.sampling import normalise

if TYPE_CHECKING:
    from cosinterp.organism.lessons import Drawn


def to_pixels(cells: np.ndarray, device: torch.device, palette: np.ndarray = PALETTE) -> torch.Tensor:
    """Pixels in -1..1, float32 (batch, rgb, frame, row, col), of cell classes (batch, frame, row, col)."""
    colours = torch.from_numpy(palette).to(device).float() / 127.5 - 1
    pixels = colours[torch.from_numpy(cells).to(device).long()]
    return pixels.permute(0, 4, 1, 2, 3).repeat_interleave(CELL_PX, 3).repeat_interleave(CELL_PX, 4)


def condition_pixels(
    cells: np.ndarray, num_frames: int, device: torch.device, palette: np.ndarray = PALETTE
) -> torch.Tensor:
    """What the pipeline encodes as the condition: the first frame, then grey (0) frames."""
    first = to_pixels(cells[:, None], device, palette)
    grey = first.new_zeros(*first.shape[:2], num_frames - 1, *first.shape[3:])
    return torch.cat([first, grey], dim=2)


@dataclass(frozen=True, eq=False)
class LatentPool:
    """Encoded scenes (mazes, say) of one drawn size, on the training device.

    Attributes:
        latents: float16 (scene, answer, channel, frame, row, col), normalised.
        condition: float16 (scene, channel, frame, row, col), normalised.
        crossed: bool (scene, row, col), as in `lessons.Drawn`.
        kinds: int64 (scene, answer), as in `lessons.Drawn`.
    """

    latents: torch.Tensor
    condition: torch.Tensor
    crossed: torch.Tensor
    kinds: torch.Tensor

    @staticmethod
    def concatenate(pools: Sequence[LatentPool]) -> LatentPool:
        """One pool of several of the same drawn size."""
        return LatentPool(
            torch.cat([pool.latents for pool in pools]),
            torch.cat([pool.condition for pool in pools]),
            torch.cat([pool.crossed for pool in pools]),
            torch.cat([pool.kinds for pool in pools]),
        )


@torch.no_grad()
def encode_pool(vae: AutoencoderKLWan, drawn: Drawn, palette: np.ndarray) -> LatentPool:
    """Encode each scene's true videos and its condition."""
    device = next(vae.parameters()).device
    num_frames = drawn.videos.shape[2]
    condition = encode_mode(vae, condition_pixels(drawn.first, num_frames, device, palette))
    videos = [
        encode_mode(vae, to_pixels(drawn.videos[:, answer], device, palette))
        for answer in range(drawn.videos.shape[1])
    ]
    return LatentPool(
        torch.stack(videos, dim=1).half(),
        condition.half(),
        torch.from_numpy(drawn.crossed).to(device),
        torch.from_numpy(drawn.kinds).to(device),
    )


@torch.no_grad()
def encode_mode(vae: AutoencoderKLWan, pixels: torch.Tensor) -> torch.Tensor:
    """Normalised latents, the posterior's mode, as the pipeline takes it."""
    posterior = vae.encode(pixels.to(vae.dtype), return_dict=False)[0]
    return normalise(vae, posterior.mode().float())
