"""Train maze-wan: ``python -m cosinterp.organism.train --out FOLDER``.

Started again on the same folder it goes on where it stopped. The result is ``FOLDER/maze-wan``, a pipeline in
diffusers' layout.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from diffusers import AutoencoderKLWan

from cosinterp.errors import UserError
from cosinterp.organism.architecture import save_pipeline
from cosinterp.organism.bulk import MazeBatch, make_mazes
from cosinterp.organism.config import DEFAULT_CONFIG, TrainingConfig, load_config
from cosinterp.organism.pool import LatentPool, encode_pool
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
    """
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    with (folder / "log.jsonl").open("a") as lines:

        def log(**figures: Any) -> None:
            line = json.dumps({key: round(v, 6) if isinstance(v, float) else v for key, v in figures.items()})
            print(line, flush=True)
            lines.write(line + "\n")
            lines.flush()

        mazes = _make_all_mazes(config, log)
        vae = _autoencoder(config, mazes[7], folder, device, log)
        pools = _encode_all(config, vae, mazes, device, log)
        left = None if seconds is None else seconds - (time.monotonic() - began)
        transformer = train_denoiser(config, pools, vae, folder, device, left, log)
    target = folder / "maze-wan"
    save_pipeline(target, vae.cpu(), transformer.cpu(), SAMPLING)
    return target


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
        return AutoencoderKLWan.from_pretrained(trained, dtype=torch.float32).to(device).eval()
    vae = train_autoencoder(config, mazes, device, log)
    vae.save_pretrained(trained)
    return vae


def _encode_all(
    config: TrainingConfig, vae: AutoencoderKLWan, mazes: dict[int, MazeBatch], device: torch.device, log: Log
) -> dict[int, LatentPool]:
    """Encoded pools by grid side; sizes that are drawn on the same grid share one."""
    began = time.monotonic()
    by_side: dict[int, list[LatentPool]] = defaultdict(list)
    for rooms, batch in mazes.items():
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            by_side[grid_side(rooms)].append(encode_pool(vae, batch, config.num_frames, _ENCODE_BATCH))
    pools = {side: LatentPool.concatenate(parts) for side, parts in by_side.items()}
    log(
        stage="pool",
        sides={side: len(pool.latents) for side, pool in pools.items()},
        seconds=time.monotonic() - began,
    )
    return pools


def export(config: TrainingConfig, folder: Path, iteration: int | None) -> Path:
    """Write the pipeline of one snapshot (the last, if None) into ``folder/maze-wan``.

    Raises:
        UserError: no such snapshot.
    """
    found = snapshots(folder)
    chosen = iteration if iteration is not None else max(found, default=None)
    if chosen not in found:
        raise UserError(f"{folder} holds no snapshot {chosen}; it has {', '.join(map(str, found)) or 'none'}")
    vae = AutoencoderKLWan.from_pretrained(folder / "vae", dtype=torch.float32)
    save_pipeline(folder / "maze-wan", vae, load_snapshot(config, found[chosen]), SAMPLING)
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
    try:
        typer.run(main)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
