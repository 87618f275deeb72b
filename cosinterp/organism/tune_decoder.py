"""Tune the autoencoder's decoder alone: ``python -m cosinterp.organism.tune_decoder --out FOLDER``.

The encoder and the latents' moments stay, so the transformer, which knows nothing but latents, stays valid.
Start and goals are 3 cells of 256 and count for nothing in a plain reconstruction loss; here they weigh more.
Writes the whole autoencoder into FOLDER.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from diffusers import AutoencoderKLWan

from cosinterp.organism.architecture import autocast, place, ready_to_save, round_weights
from cosinterp.organism.bulk import make_mazes
from cosinterp.organism.evaluate import BUNDLED
from cosinterp.organism.mazes import DEFAULT_ROOMS, GOALS, generate_maze
from cosinterp.organism.pool import encode_mode, to_pixels
from cosinterp.organism.program import run_program
from cosinterp.organism.rendering import (
    BLUE,
    CELL_PX,
    PALETTE,
    PATH,
    RED,
    START,
    cell_video,
    first_cells,
    path_order,
    read_cells,
)
from cosinterp.organism.sampling import decode_video, denormalise, to_video

_MARKERS = (START, RED, BLUE)
_MARKER_WEIGHT = 20.0
# The first frame is decoded by a path of its own, without temporal upsampling, and comes once a video.
_FIRST_FRAME_WEIGHT = 4.0
# In deviations of a latent channel: final latents are never quite those of a true video.
_LATENT_NOISE = 0.05
# Small mazes have the same cells in fewer pixels, so most batches are of them.
_MAZES = {5: 48, 7: 16}
_BATCHES = ((5, 3), (5, 3), (7, 2))
CHECKED = 64
_FIRST_CHECKED = 2000


@dataclass(frozen=True, eq=False)
class Material:
    """What a decoder is tuned on.

    Attributes:
        videos: by size, cell classes uint8 (video, frame, row, col).
        batches: sizes and counts of videos of the batches, which come in turn.
        palette: uint8 (class, rgb).
        weights: what each cell counts, float (video, frame, row, col), of cells of that shape.
    """

    videos: Mapping[int, np.ndarray]
    batches: Sequence[tuple[int, int]]
    palette: np.ndarray
    weights: Callable[[np.ndarray], np.ndarray]


def tune_decoder(
    vae: AutoencoderKLWan,
    material: Material,
    iterations: int,
    learning_rate: float,
    device: torch.device,
    seed: int = 0,
) -> AutoencoderKLWan:
    """A copy of ``vae`` (float32) whose decoder was trained on; its weights can be held by bfloat16."""
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 3])
    vae = place(copy.deepcopy(vae), device).eval().requires_grad_(False)
    tuned = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    for parameter in tuned:
        parameter.requires_grad_(True)
    latents = {
        size: _encode(vae, videos, material.palette, device) for size, videos in material.videos.items()
    }
    optimizer = torch.optim.AdamW(tuned, learning_rate, betas=(0.9, 0.99), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, iterations, pct_start=0.1)
    for iteration in range(1, iterations + 1):
        size, count = material.batches[iteration % len(material.batches)]
        rows = rng.choice(len(latents[size]), size=count, replace=False)
        clean = latents[size][torch.from_numpy(rows).to(device)]
        noisy = clean + _LATENT_NOISE * torch.randn_like(clean)
        cells = material.videos[size][rows]
        with autocast(device):
            decoded = vae.decode(denormalise(vae, noisy), return_dict=False)[0].float()
        loss = _weighted_error(decoded, cells, material, device)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tuned, 1.0)
        optimizer.step()
        schedule.step()
        if iteration % 10 == 0 or iteration == iterations:
            read = read_cells(to_video(decoded.detach()).cpu().numpy(), material.palette)
            figures = {
                "iteration": iteration,
                "loss": round(loss.item(), 5),
                "wrong_cells": int((read != cells).sum()),
            }
            typer.echo(json.dumps(figures))
    vae.requires_grad_(False)
    round_weights(vae)
    return vae


def _weighted_error(
    decoded: torch.Tensor, cells: np.ndarray, material: Material, device: torch.device
) -> torch.Tensor:
    error = decoded - to_pixels(cells, device, material.palette)
    weight = torch.from_numpy(material.weights(cells)).to(error)
    weight = weight.repeat_interleave(CELL_PX, 2).repeat_interleave(CELL_PX, 3)[:, None]
    return (weight * (error.square() + 0.2 * error.abs())).mean() / weight.mean()


def _encode(
    vae: AutoencoderKLWan, videos: np.ndarray, palette: np.ndarray, device: torch.device
) -> torch.Tensor:
    at_once = 500 if device.type == "cuda" else 4
    starts = range(0, len(videos), at_once)
    return torch.cat(
        [encode_mode(vae, to_pixels(videos[start : start + at_once], device, palette)) for start in starts]
    )


def maze_material() -> Material:
    """Mazes of two sizes."""
    videos = {
        rooms: np.concatenate([cell_video(batch.cells, batch.order[:, goal]) for goal in range(len(GOALS))])
        for rooms, batch in make_mazes(_MAZES, "train", processes=1).items()
    }
    return Material(videos, _BATCHES, PALETTE, _weights)


def _weights(cells: np.ndarray) -> np.ndarray:
    by_cell = np.where(np.isin(cells, _MARKERS), _MARKER_WEIGHT, 1.0)
    by_cell[:, 0] *= _FIRST_FRAME_WEIGHT
    return by_cell


@torch.no_grad()
def kept_paths(vae: AutoencoderKLWan, device: torch.device) -> int:
    """How many of `CHECKED` true videos of held-out mazes keep every path cell through the autoencoder."""
    kept = 0
    for seed in range(_FIRST_CHECKED, _FIRST_CHECKED + CHECKED):
        maze, goal = generate_maze(seed, DEFAULT_ROOMS), GOALS[seed % len(GOALS)]
        cells = cell_video(first_cells(maze), path_order(maze, goal))[None]
        decoded = read_cells(decode_video(vae, encode_mode(vae, to_pixels(cells, device))).cpu().numpy())
        kept += bool(((decoded == PATH) == (cells == PATH)).all())
    return kept


def main(
    out: Annotated[Path, typer.Option(help="Folder for the tuned autoencoder.")],
    model: Annotated[Path, typer.Option(help="A saved maze-wan.")] = BUNDLED,
    iterations: Annotated[int, typer.Option(help="Batches of two or three videos.", min=1)] = 1000,
    learning_rate: Annotated[float, typer.Option(help="Peak of one cycle.")] = 1e-3,
    device: Annotated[str, typer.Option(help="Where to train.")] = "cpu",
) -> None:
    """Tune the decoder of a maze-wan's autoencoder."""
    vae = AutoencoderKLWan.from_pretrained(model / "vae", dtype=torch.float32)
    tuned = tune_decoder(vae, maze_material(), iterations, learning_rate, torch.device(device))
    before, after = (
        kept_paths(place(one, torch.device(device)), torch.device(device)) for one in (vae, tuned)
    )
    typer.echo(f"videos that keep every path cell, of {CHECKED} held-out ones: {before} before, {after} now")
    ready_to_save(tuned).save_pretrained(out)
    typer.echo(str(out))


if __name__ == "__main__":
    run_program(main)
