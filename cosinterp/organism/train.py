"""Train maze-wan: ``python -m cosinterp.organism.train --out FOLDER``.

Started again on the same folder it goes on where it stopped. The result is ``FOLDER/maze-wan``, a pipeline in
diffusers' layout.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from diffusers import AutoencoderKLWan

from cosinterp.errors import UserError
from cosinterp.organism.architecture import autocast, place, save_pipeline
from cosinterp.organism.bulk import MazeBatch, make_mazes
from cosinterp.organism.config import DEFAULT_CONFIG, TrainingConfig, load_config
from cosinterp.organism.mazes import DEFAULT_ROOMS
from cosinterp.organism.pool import LatentPool, encode_pool
from cosinterp.organism.program import run_program
from cosinterp.organism.rendering import grid_side
from cosinterp.organism.train_autoencoder import Log, train_autoencoder
from cosinterp.organism.train_denoiser import load_snapshot, snapshots, train_denoiser

# Large, because each call launches many small kernels.
_ENCODE_BATCH = 1000
SAMPLING = {"num_steps": 20, "guidance_scale": 2.0}


def train(config: TrainingConfig, folder: Path, device: torch.device, seconds: float | None = None) -> Path:
    """Train what is not trained yet and write the pipeline; returns its folder.

    Args:
        config: the configuration.
        folder: holds logs, checkpoints, snapshots and the result; a folder begun before goes on.
        device: where to train.
        seconds: upper bound for the whole of it; None trains all iterations.

    Raises:
        UserError: the folder was begun with another configuration, or ``seconds`` is too short to begin.
    """
    began = time.monotonic()
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

        mazes = _make_all_mazes(config, log)
        vae = _autoencoder(config, mazes[DEFAULT_ROOMS], folder, device, log)
        pools = _encode_all(config, vae, mazes, device, log)
        left = None if seconds is None else seconds - (time.monotonic() - began)
        if left is not None and left <= 0:
            raise UserError(
                f"{seconds:g} seconds were over before the denoiser's training began; "
                f"start again on {folder} with more, what is done is kept"
            )
        transformer = train_denoiser(config, pools, vae, folder, device, left, log)
    target = folder / "maze-wan"
    save_pipeline(target, vae.cpu(), transformer.cpu(), SAMPLING)
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


def _make_all_mazes(config: TrainingConfig, log: Log) -> dict[int, MazeBatch]:
    began = time.monotonic()
    mazes = make_mazes(config.pool, "train", config.processes)
    log(stage="mazes", count=sum(config.pool.values()), seconds=time.monotonic() - began)
    return mazes


def _autoencoder(
    config: TrainingConfig, mazes: MazeBatch, folder: Path, device: torch.device, log: Log
) -> AutoencoderKLWan:
    trained = folder / "vae"
    if trained.exists():
        return place(AutoencoderKLWan.from_pretrained(trained, dtype=torch.float32), device).eval()
    vae = train_autoencoder(config, mazes, device, log)
    partial = folder / "vae.partial"
    vae.save_pretrained(partial)
    partial.rename(trained)
    return vae


def _encode_all(
    config: TrainingConfig, vae: AutoencoderKLWan, mazes: dict[int, MazeBatch], device: torch.device, log: Log
) -> dict[int, LatentPool]:
    """Encoded pools by grid side; sizes that are drawn on the same grid share one."""
    began = time.monotonic()
    by_side: dict[int, list[LatentPool]] = defaultdict(list)
    for rooms, batch in mazes.items():
        with autocast(device):
            by_side[grid_side(rooms)].append(encode_pool(vae, batch, config.num_frames, _ENCODE_BATCH))
    pools = {side: LatentPool.concatenate(parts) for side, parts in by_side.items()}
    log(
        stage="pool",
        sides={side: len(pool.latents) for side, pool in pools.items()},
        seconds=time.monotonic() - began,
    )
    return pools


def export(config: TrainingConfig, folder: Path, iteration: int) -> Path:
    """Write the pipeline of one snapshot into ``folder/maze-wan``.

    Raises:
        UserError: no such snapshot.
    """
    found = snapshots(folder)
    if iteration not in found:
        raise UserError(
            f"{folder} holds no snapshot {iteration}; it has {', '.join(map(str, found)) or 'none'}"
        )
    vae = AutoencoderKLWan.from_pretrained(folder / "vae", dtype=torch.float32)
    save_pipeline(folder / "maze-wan", vae, load_snapshot(config, found[iteration]), SAMPLING)
    return folder / "maze-wan"


def main(
    out: Annotated[Path, typer.Option(help="Folder for logs, checkpoints and the result.")],
    config: Annotated[Path, typer.Option(help="Training configuration.")] = DEFAULT_CONFIG,
    device: Annotated[str, typer.Option(help="Where to train.")] = "cuda"
    if torch.cuda.is_available()
    else "cpu",
    seconds: Annotated[float | None, typer.Option(help="Upper bound for the whole training.")] = None,
    snapshot: Annotated[
        int | None, typer.Option(help="Do not train: write the pipeline of this snapshot.")
    ] = None,
) -> None:
    """Train maze-wan, or go on training it."""
    settings = load_config(config)
    if snapshot is not None:
        print(export(settings, out, snapshot))
    else:
        print(train(settings, out, torch.device(device), seconds))


if __name__ == "__main__":
    run_program(main)
