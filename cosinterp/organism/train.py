"""Train maze-wan: ``python -m cosinterp.organism.train --out FOLDER``.

Started again on the same folder it goes on where it stopped. The result is ``FOLDER/maze-wan``, a pipeline in
diffusers' layout.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer

from cosinterp.organism.config import DEFAULT_CONFIG, load_config
from cosinterp.organism.maze_lessons import MAZE_WAN, MazeLessons
from cosinterp.organism.program import run_program
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
    """Train maze-wan, or go on training it."""
    settings = load_config(config)
    if snapshot is not None:
        print(export(settings, MAZE_WAN, out, snapshot))
    else:
        print(train(settings, partial(MazeLessons, settings), out, torch.device(device), seconds))


if __name__ == "__main__":
    run_program(main)
