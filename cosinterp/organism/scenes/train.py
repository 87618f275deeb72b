"""Train scene-wan: ``python -m cosinterp.organism.scenes.train --out FOLDER``.

Started again on the same folder it goes on where it stopped. The result is ``FOLDER/scene-wan``, a pipeline
in diffusers' layout. With ``--snapshot N`` it trains nothing and writes the pipeline of a snapshot.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from diffusers import AutoencoderKLWan

from cosinterp.organism.evaluate import BUNDLED
from cosinterp.organism.program import run_program
from cosinterp.organism.scenes.config import DEFAULT_CONFIG, load_scene_config
from cosinterp.organism.scenes.lessons import SCENE_WAN, SceneLessons
from cosinterp.organism.training import export, train


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
    """Train scene-wan, or go on training it."""
    settings = load_scene_config(config)
    if snapshot is not None:
        print(export(settings, SCENE_WAN, out, snapshot))
        return
    initial = AutoencoderKLWan.from_pretrained(BUNDLED / "vae", dtype=torch.float32)
    lessons = partial(SceneLessons, settings)
    print(train(settings, lessons, out, torch.device(device), seconds, initial))


if __name__ == "__main__":
    run_program(main)
