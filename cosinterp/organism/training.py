"""Train a bundled model: autoencoder, then transformer, in a folder that can be gone on with."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel

from cosinterp.errors import UserError
from cosinterp.organism.architecture import autocast, place, save_pipeline
from cosinterp.organism.config import TrainingConfig
from cosinterp.organism.lessons import BundledModel, Lessons
from cosinterp.organism.pool import LatentPool, encode_pool
from cosinterp.organism.train_autoencoder import Log, train_autoencoder
from cosinterp.organism.train_denoiser import load_snapshot, snapshots, train_denoiser

# Large, because each call launches many small kernels.
_ENCODE_BATCH = 1000


@dataclass(frozen=True, eq=False)
class Start:
    """Weights that a training begins with; None: random ones."""

    vae: AutoencoderKLWan | None = None
    transformer: WanTransformer3DModel | None = None


def train(
    config: TrainingConfig,
    make_lessons: Callable[[Log], Lessons],
    folder: Path,
    device: torch.device,
    seconds: float | None = None,
    start: Start | None = None,
) -> Path:
    """Train what is not trained yet and write the pipeline; returns its folder.

    Args:
        config: the configuration.
        make_lessons: called with the log; makes what is trained on.
        folder: holds logs, checkpoints, snapshots and the result; a folder begun before goes on.
        device: where to train.
        seconds: upper bound for the whole of it; None trains all iterations.
        start: weights that a training begins with, instead of random ones.

    Raises:
        UserError: the folder was begun with another configuration, or ``seconds`` is too short to begin.
    """
    began = time.monotonic()
    start = start or Start()
    folder.mkdir(parents=True, exist_ok=True)
    _check_config(config, folder)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    with (folder / "log.jsonl").open("a") as lines:

        def log(**figures: Any) -> None:
            line = json.dumps({key: round(v, 6) if isinstance(v, float) else v for key, v in figures.items()})
            print(line, flush=True)
            lines.write(line + "\n")
            lines.flush()

        lessons = make_lessons(log)
        vae = _autoencoder(config, lessons, folder, device, log, start.vae)
        pools = _encode_all(lessons, vae, device, log)
        left = None if seconds is None else seconds - (time.monotonic() - began)
        if left is not None and left <= 0:
            raise UserError(
                f"{seconds:g} seconds were over before the denoiser's training began; "
                f"start again on {folder} with more, what is done is kept"
            )
        transformer = train_denoiser(
            config, lessons, pools, vae, folder, device, left, log, start.transformer
        )
    target = folder / lessons.model.name
    save_pipeline(target, vae.cpu(), transformer.cpu(), lessons.model)
    return target


def _check_config(config: TrainingConfig, folder: Path) -> None:
    """Hold a folder to what its autoencoder and its checkpoints were made with."""
    fixed = {"seed": config.seed, "num_frames": config.num_frames}
    for section in ("transformer", "autoencoder"):
        fixed |= {f"{section}.{key}": value for key, value in asdict(getattr(config, section)).items()}
    noted = folder / "begun.json"
    if not noted.exists():
        noted.write_text(json.dumps(fixed, indent=2) + "\n")
        return
    before = json.loads(noted.read_text())
    wrong = [
        f"{key}: {before.get(key)} there, {value} asked"
        for key, value in fixed.items()
        if before.get(key) != value
    ]
    if wrong:
        raise UserError(f"{folder} was begun with another configuration ({'; '.join(wrong)})")


def _autoencoder(
    config: TrainingConfig,
    lessons: Lessons,
    folder: Path,
    device: torch.device,
    log: Log,
    initial: AutoencoderKLWan | None,
) -> AutoencoderKLWan:
    trained = folder / "vae"
    if trained.exists():
        return place(AutoencoderKLWan.from_pretrained(trained, dtype=torch.float32), device).eval()
    vae = train_autoencoder(config, lessons, device, log, initial)
    partial = folder / "vae.partial"
    vae.save_pretrained(partial)
    partial.rename(trained)
    return vae


def _encode_all(
    lessons: Lessons, vae: AutoencoderKLWan, device: torch.device, log: Log
) -> dict[int, LatentPool]:
    """Encoded pools by grid side."""
    began = time.monotonic()
    by_side: dict[int, list[LatentPool]] = defaultdict(list)
    for drawn in lessons.drawn(_ENCODE_BATCH):
        with autocast(device):
            by_side[drawn.first.shape[-1]].append(encode_pool(vae, drawn, lessons.model.palette))
    pools = {side: LatentPool.concatenate(parts) for side, parts in by_side.items()}
    log(
        stage="pool",
        sides={side: len(pool.latents) for side, pool in pools.items()},
        seconds=time.monotonic() - began,
    )
    return pools


def export(config: TrainingConfig, model: BundledModel, folder: Path, iteration: int) -> Path:
    """Write the pipeline of one snapshot into ``folder``, in a folder of the model's name.

    Raises:
        UserError: no such snapshot.
    """
    found = snapshots(folder)
    if iteration not in found:
        raise UserError(
            f"{folder} holds no snapshot {iteration}; it has {', '.join(map(str, found)) or 'none'}"
        )
    vae = AutoencoderKLWan.from_pretrained(folder / "vae", dtype=torch.float32)
    save_pipeline(folder / model.name, vae, load_snapshot(config, found[iteration]), model)
    return folder / model.name
