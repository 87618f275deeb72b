"""Tune the decoder of scene-wan's autoencoder: ``python -m cosinterp.organism.scenes.tune_decoder``.

As for maze-wan (`cosinterp.organism.tune_decoder`) the encoder and the latents' moments stay, so the
transformer stays valid. Writes the whole autoencoder into the folder that ``--out`` names.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from diffusers import AutoencoderKLWan

from cosinterp.organism.architecture import place, ready_to_save
from cosinterp.organism.pool import encode_mode, to_pixels
from cosinterp.organism.program import run_program
from cosinterp.organism.sampling import decode_video
from cosinterp.organism.scenes.bulk import make_scenes
from cosinterp.organism.scenes.evaluate import BUNDLED
from cosinterp.organism.scenes.lessons import cell_weights
from cosinterp.organism.scenes.rendering import PALETTE, SIDE, read_cells
from cosinterp.organism.scenes.tasks import TASKS, generate_scene
from cosinterp.organism.tune_decoder import Material, tune_decoder

_TRIED = 20
_FIRST_CHECKED = 2000
_CHECKED_AT_ONCE = 16


def scene_material(count: int, batch_size: int) -> Material:
    """The first ``count`` training scenes of each task."""
    videos = make_scenes(dict.fromkeys(TASKS, count), "train", processes=1).cells
    return Material({SIDE: videos}, ((SIDE, batch_size),), PALETTE, cell_weights)


def affordable(vae: AutoencoderKLWan, material: Material, seconds: float, device: torch.device) -> int:
    """How many iterations take so many seconds, by trying a few."""
    [(size, batch_size)] = material.batches
    few = replace(material, videos={size: material.videos[size][: 2 * batch_size]})
    # What is chosen and allocated the first time is not timed.
    tune_decoder(vae, few, _TRIED, 1e-6, device)
    began = time.monotonic()
    tune_decoder(vae, few, _TRIED, 1e-6, device)
    return max(1, round(_TRIED * seconds / (time.monotonic() - began)))


@torch.no_grad()
def kept_scenes(vae: AutoencoderKLWan, count: int, device: torch.device) -> dict[str, int]:
    """How many of ``count`` held-out true videos of each task keep every cell through the autoencoder."""
    kept = {}
    for task in TASKS:
        scenes = [generate_scene(task, number) for number in range(_FIRST_CHECKED, _FIRST_CHECKED + count)]
        kept[task] = 0
        for start in range(0, count, _CHECKED_AT_ONCE):
            cells = np.stack([scene.cells() for scene in scenes[start : start + _CHECKED_AT_ONCE]])
            latents = encode_mode(vae, to_pixels(cells, device, PALETTE))
            read = read_cells(decode_video(vae, latents).cpu().numpy())
            kept[task] += int((read == cells).all(axis=(1, 2, 3)).sum())
    return kept


def main(
    out: Annotated[Path, typer.Option(help="Folder for the tuned autoencoder.")],
    vae: Annotated[Path, typer.Option(help="The autoencoder to tune.")] = BUNDLED / "vae",
    iterations: Annotated[int, typer.Option(help="Batches.", min=1)] = 2000,
    seconds: Annotated[
        float | None, typer.Option(help="As many batches as take so long, instead.", min=1)
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Videos in a batch.", min=1)] = 32,
    scenes: Annotated[int, typer.Option(help="Training scenes of each task.", min=1)] = 4000,
    learning_rate: Annotated[float, typer.Option(help="Peak of one cycle.")] = 1e-3,
    check: Annotated[int, typer.Option(help="Held-out scenes of each task to count.", min=1)] = 64,
    device: Annotated[str, typer.Option(help="Where to train.")] = "cuda"
    if torch.cuda.is_available()
    else "cpu",
) -> None:
    """Tune the decoder of a scene-wan's autoencoder."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    place_to = torch.device(device)
    before = place(AutoencoderKLWan.from_pretrained(vae, dtype=torch.float32), place_to).eval()
    material = scene_material(scenes, batch_size)
    if seconds is not None:
        iterations = affordable(before, material, seconds, place_to)
    tuned = tune_decoder(before, material, iterations, learning_rate, place_to)
    for name, one in (("before", before), ("now", tuned)):
        kept = kept_scenes(one, check, place_to)
        said = ", ".join(f"{task} {number}" for task, number in kept.items())
        typer.echo(f"held-out videos that keep every cell, of {check} a task, {name}: {said}")
    ready_to_save(tuned.cpu()).save_pretrained(out)
    typer.echo(str(out))


if __name__ == "__main__":
    run_program(main)
