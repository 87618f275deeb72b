"""Train a bundled model's video autoencoder."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from diffusers import AutoencoderKLWan

from cosinterp.organism.architecture import autocast, build_vae, place, round_weights
from cosinterp.organism.config import TrainingConfig
from cosinterp.organism.lessons import Lessons
from cosinterp.organism.pool import to_pixels
from cosinterp.organism.rendering import CELL_PX, read_cells
from cosinterp.organism.sampling import to_video

Log = Callable[..., None]

_MEASURED_BATCHES, _MEASURED_BATCH_SIZE = 8, 64


def train_autoencoder(
    config: TrainingConfig,
    lessons: Lessons,
    device: torch.device,
    log: Log,
    initial: AutoencoderKLWan | None = None,
) -> AutoencoderKLWan:
    """Train on random true videos; the result has its latents' mean and deviation in its config.

    It begins with the weights of ``initial``, or with random ones. Before mean and deviation are measured,
    the weights are rounded to bfloat16: the denoiser learns from what will ship.
    """
    settings = config.autoencoder
    torch.manual_seed(config.seed)
    rng = np.random.default_rng([config.seed, 1])
    vae = build_vae()
    if initial is not None:
        vae.load_state_dict(initial.state_dict())
    vae = place(vae, device).train()
    optimizer = torch.optim.AdamW(
        vae.parameters(), settings.learning_rate, betas=(0.9, 0.99), weight_decay=0.0
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, settings.iterations, pct_start=0.05
    )
    began = time.monotonic()
    for iteration in range(1, settings.iterations + 1):
        cells = lessons.random_videos(rng, settings.batch_size)
        if iteration <= settings.iterations * (1 - settings.whole_video_share):
            start = int(rng.integers(config.num_frames - settings.clip_frames + 1))
            cells = cells[:, start : start + settings.clip_frames]
        pixels = to_pixels(cells, device, lessons.model.palette)
        weight = _pixel_weights(lessons, cells, device)
        with autocast(device):
            posterior = vae.encode(pixels, return_dict=False)[0]
            decoded = vae.decode(posterior.sample(), return_dict=False)[0].float()
            error = decoded - pixels
            loss = (
                (weight * error.square()).mean()
                + 0.2 * (weight * error.abs()).mean()
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
    survived = round_trip(vae, lessons, rng, device)
    log(stage="autoencoder", round_trip=survived, seconds=time.monotonic() - began)
    return _with_moments(vae, lessons, rng, device)


def _pixel_weights(lessons: Lessons, cells: np.ndarray, device: torch.device) -> torch.Tensor | float:
    """What each pixel counts, of mean 1, float32 (batch, 1, frame, row, col)."""
    by_cell = lessons.weights(cells)
    if by_cell is None:
        return 1.0
    weight = torch.from_numpy(by_cell).to(device)
    weight = weight.repeat_interleave(CELL_PX, 2).repeat_interleave(CELL_PX, 3)[:, None]
    return weight / weight.mean()


@torch.no_grad()
def round_trip(
    vae: AutoencoderKLWan, lessons: Lessons, rng: np.random.Generator, device: torch.device
) -> float:
    """Share of true videos that survive encoding and decoding."""
    right = []
    for _ in range(_MEASURED_BATCHES):
        cells = lessons.random_videos(rng, _MEASURED_BATCH_SIZE)
        latents = vae.encode(to_pixels(cells, device, lessons.model.palette), return_dict=False)[0].mode()
        video = to_video(vae.decode(latents, return_dict=False)[0]).cpu().numpy()
        right.append(lessons.kept(read_cells(video, lessons.model.palette), cells))
    return float(np.concatenate(right).mean())


@torch.no_grad()
def _with_moments(
    vae: AutoencoderKLWan, lessons: Lessons, rng: np.random.Generator, device: torch.device
) -> AutoencoderKLWan:
    batches = [
        to_pixels(lessons.random_videos(rng, _MEASURED_BATCH_SIZE), device, lessons.model.palette)
        for _ in range(_MEASURED_BATCHES)
    ]
    latents = torch.cat([vae.encode(batch, return_dict=False)[0].mode() for batch in batches])
    mean = latents.mean(dim=(0, 2, 3, 4)).tolist()
    std = latents.std(dim=(0, 2, 3, 4)).tolist()
    with_moments = build_vae([round(value, 5) for value in mean], [round(value, 5) for value in std])
    with_moments.load_state_dict(vae.state_dict())
    return place(with_moments, device).eval()
