"""Mazes drawn and encoded in bulk, on the device that trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKLWan

from cosinterp.organism.bulk import MazeBatch
from cosinterp.organism.mazes import GOALS
from cosinterp.organism.rendering import CELL_PX, PALETTE, cell_video
from cosinterp.organism.sampling import normalise


def to_pixels(cells: np.ndarray, device: torch.device) -> torch.Tensor:
    """Pixels in -1..1, float32 (batch, rgb, frame, row, col), of cell classes (batch, frame, row, col)."""
    palette = torch.from_numpy(PALETTE).to(device).float() / 127.5 - 1
    pixels = palette[torch.from_numpy(cells).to(device).long()]
    return pixels.permute(0, 4, 1, 2, 3).repeat_interleave(CELL_PX, 3).repeat_interleave(CELL_PX, 4)


def condition_pixels(cells: np.ndarray, num_frames: int, device: torch.device) -> torch.Tensor:
    """What the pipeline encodes as the condition: the first frame, then grey (0) frames."""
    first = to_pixels(cells[:, None], device)
    grey = first.new_zeros(*first.shape[:2], num_frames - 1, *first.shape[3:])
    return torch.cat([first, grey], dim=2)


@dataclass(frozen=True, eq=False)
class LatentPool:
    """Encoded mazes of one drawn size, on the training device.

    Attributes:
        latents: float16 (maze, goal, channel, frame, row, col), normalised.
        condition: float16 (maze, channel, frame, row, col), normalised.
        on_path: bool (maze, row, col), cells on the path to either goal.
    """

    latents: torch.Tensor
    condition: torch.Tensor
    on_path: torch.Tensor

    @staticmethod
    def concatenate(pools: Sequence[LatentPool]) -> LatentPool:
        """One pool of several of the same drawn size."""
        return LatentPool(
            torch.cat([pool.latents for pool in pools]),
            torch.cat([pool.condition for pool in pools]),
            torch.cat([pool.on_path for pool in pools]),
        )


@torch.no_grad()
def encode_pool(vae: AutoencoderKLWan, mazes: MazeBatch, num_frames: int, batch_size: int) -> LatentPool:
    """Encode each maze's two true videos and its condition."""
    device = next(vae.parameters()).device
    latents, conditions = [], []
    for start in range(0, len(mazes), batch_size):
        part = mazes[slice(start, start + batch_size)]
        condition = encode_mode(vae, condition_pixels(part.cells, num_frames, device))
        videos = [
            encode_mode(vae, to_pixels(cell_video(part.cells, part.order[:, goal], num_frames), device))
            for goal in range(len(GOALS))
        ]
        latents.append(torch.stack(videos, dim=1).half())
        conditions.append(condition.half())
    on_path = torch.from_numpy((mazes.order > 0).any(axis=1)).to(device)
    return LatentPool(torch.cat(latents), torch.cat(conditions), on_path)


@torch.no_grad()
def encode_mode(vae: AutoencoderKLWan, pixels: torch.Tensor) -> torch.Tensor:
    """Normalised latents, the posterior's mode, as the pipeline takes it."""
    posterior = vae.encode(pixels.to(vae.dtype), return_dict=False)[0]
    return normalise(vae, posterior.mode().float())
