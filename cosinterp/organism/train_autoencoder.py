"""Train maze-wan's video autoencoder."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from diffusers import AutoencoderKLWan

from cosinterp.organism.architecture import autocast, build_vae, place, round_weights
from cosinterp.organism.bulk import MazeBatch
from cosinterp.organism.config import TrainingConfig
from cosinterp.organism.mazes import GOALS
from cosinterp.organism.pool import to_pixels
from cosinterp.organism.rendering import PATH, cell_video, read_cells
from cosinterp.organism.sampling import to_video

Log = Callable[..., None]

_MEASURED_BATCHES, _MEASURED_BATCH_SIZE = 8, 64


def train_autoencoder(
    config: TrainingConfig, mazes: MazeBatch, device: torch.device, log: Log
) -> AutoencoderKLWan:
    """Train on random true videos of ``mazes``; the result has its latents' mean and deviation in its config.

    Before those are measured, the weights are rounded to bfloat16: the denoiser learns from what will ship.
    """
    settings = config.autoencoder
    torch.manual_seed(config.seed)
    rng = np.random.default_rng([config.seed, 1])
    vae = place(build_vae(), device).train()
    optimizer = torch.optim.AdamW(
        vae.parameters(), settings.learning_rate, betas=(0.9, 0.99), weight_decay=0.0
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, settings.iterations, pct_start=0.05
    )
    began = time.monotonic()
    for iteration in range(1, settings.iterations + 1):
        cells = _random_videos(rng, mazes, settings.batch_size, config.num_frames)
        if iteration <= settings.iterations * (1 - settings.whole_video_share):
            start = int(rng.integers(config.num_frames - settings.clip_frames + 1))
            cells = cells[:, start : start + settings.clip_frames]
        pixels = to_pixels(cells, device)
        with autocast(device):
            posterior = vae.encode(pixels, return_dict=False)[0]
            decoded = vae.decode(posterior.sample(), return_dict=False)[0].float()
            error = decoded - pixels
            loss = (
                error.square().mean()
                + 0.2 * error.abs().mean()
                + settings.kl_weight * posterior.kl().float().mean()
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if iteration % 100 == 0 or iteration == settings.iterations:
            log(stage="autoencoder", iteration=iteration, loss=loss.item(), seconds=time.monotonic() - began)
    round_weights(vae.eval())
    survived = round_trip(vae, mazes, rng, config.num_frames, device)
    log(stage="autoencoder", round_trip=survived, seconds=time.monotonic() - began)
    return _with_moments(vae, mazes, rng, config.num_frames, device)


@torch.no_grad()
def round_trip(
    vae: AutoencoderKLWan, mazes: MazeBatch, rng: np.random.Generator, num_frames: int, device: torch.device
) -> float:
    """Share of true videos whose path cells are all right, in every frame, after encoding and decoding."""
    right = []
    for _ in range(_MEASURED_BATCHES):
        cells = _random_videos(rng, mazes, _MEASURED_BATCH_SIZE, num_frames)
        latents = vae.encode(to_pixels(cells, device), return_dict=False)[0].mode()
        video = to_video(vae.decode(latents, return_dict=False)[0]).cpu().numpy()
        right.append(((read_cells(video) == PATH) == (cells == PATH)).all(axis=(1, 2, 3)))
    return float(np.concatenate(right).mean())


@torch.no_grad()
def _with_moments(
    vae: AutoencoderKLWan, mazes: MazeBatch, rng: np.random.Generator, num_frames: int, device: torch.device
) -> AutoencoderKLWan:
    batches = [_random_videos(rng, mazes, _MEASURED_BATCH_SIZE, num_frames) for _ in range(_MEASURED_BATCHES)]
    latents = torch.cat([vae.encode(to_pixels(b, device), return_dict=False)[0].mode() for b in batches])
    mean = latents.mean(dim=(0, 2, 3, 4)).tolist()
    std = latents.std(dim=(0, 2, 3, 4)).tolist()
    with_moments = build_vae([round(value, 5) for value in mean], [round(value, 5) for value in std])
    with_moments.load_state_dict(vae.state_dict())
    return place(with_moments, device).eval()


def _random_videos(rng: np.random.Generator, mazes: MazeBatch, count: int, num_frames: int) -> np.ndarray:
    """Cell classes (count, frame, row, col) of random mazes on the way to a random goal."""
    rows = rng.integers(len(mazes), size=count)
    goal = rng.integers(len(GOALS), size=count)
    return cell_video(mazes.cells[rows], mazes.order[rows, goal], num_frames)
