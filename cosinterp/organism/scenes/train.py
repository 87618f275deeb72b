"""Train scene-wan: ``python -m cosinterp.organism.scenes.train --out FOLDER``.

It begins with the weights of maze-wan's autoencoder, or with ``--start FOLDER`` with all weights of a saved
scene-wan. Started again on the same folder it goes on where it stopped. The result is ``FOLDER/scene-wan``, a
pipeline in diffusers' layout. With ``--snapshot N`` it trains nothing and writes the pipeline of a snapshot.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from diffusers import AutoencoderKLWan, WanTransformer3DModel

from cosinterp.organism.evaluate import BUNDLED as MAZE_WAN
from cosinterp.organism.program import run_program
from cosinterp.organism.scenes.config import DEFAULT_CONFIG, load_scene_config
from cosinterp.organism.scenes.lessons import SCENE_WAN, SceneLessons
from cosinterp.organism.training import Start, export, train


def main(
    out: Annotated[Path, typer.Option(help="Folder for logs, checkpoints and the result.")],
    config: Annotated[Path, typer.Option(help="Training configuration.")] = DEFAULT_CONFIG,
    device: Annotated[str, typer.Option(help="Where to train.")] = "cuda"
    if torch.cuda.is_available()
    else "cpu",
    seconds: Annotated[float | None, typer.Option(help="Upper bound for the whole training.")] = None,
    start: Annotated[
        Path | None, typer.Option(help="A saved scene-wan whose weights the training begins with.")
    ] = None,
    snapshot: Annotated[
        int | None, typer.Option(help="Do not train: write the pipeline of this snapshot.")
    ] = None,
) -> None:
    """Train scene-wan, or go on training it."""
    settings = load_scene_config(config)
    if snapshot is not None:
        print(export(settings, SCENE_WAN, out, snapshot))
        return
    lessons = partial(SceneLessons, settings)
    print(train(settings, lessons, out, torch.device(device), seconds, load_start(start)))


def load_start(folder: Path | None) -> Start:
    """The weights of a saved scene-wan; without one those of maze-wan's autoencoder."""
    if folder is None:
        return Start(AutoencoderKLWan.from_pretrained(MAZE_WAN / "vae", dtype=torch.float32))
    return Start(
        AutoencoderKLWan.from_pretrained(folder / "vae", dtype=torch.float32),
        WanTransformer3DModel.from_pretrained(folder / "transformer", dtype=torch.float32),
    )


if __name__ == "__main__":
    run_program(main)
