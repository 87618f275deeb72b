"""Draw true scenes as film strips: ``python -m cosinterp.organism.scenes.picture --out scenes.png``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from cosinterp.organism.program import run_program
from cosinterp.organism.scenes.rendering import colour
from cosinterp.organism.scenes.tasks import TASKS, Scene, generate_scene
from probes.figures.pictures import StripRow, film_strip


def draw_scenes(task: str, number: int) -> Image.Image:
    """A held-out scene and its counterfactuals, a row each, frames to the right.

    Raises:
        UserError: an unknown task, or a negative number.
    """
    scene = generate_scene(task, number)
    rows = {"own": scene, **scene.counterfactuals()}
    return film_strip(
        [StripRow(name, _said(one), colour(one.cells())) for name, one in rows.items()],
        title=f"{task}: held-out scene {number}, true videos",
        caption=["First row: the scene. Others: the same with one thing changed, named at the left."],
        least=96,
    )


def _said(scene: Scene) -> str:
    truth = scene.truth()
    if scene.task == "permanence":
        return f"{truth['colour']}, exit in row {truth['exit_row']}"
    return f"named: {truth['named']}"


def main(
    out: Annotated[Path, typer.Option(help="Where the picture goes.")],
    number: Annotated[int, typer.Option(help="Which held-out scene of each task.", min=0)] = 0,
) -> None:
    """Draw a scene of each task, with its counterfactuals."""
    strips = [draw_scenes(task, number) for task in TASKS]
    picture = Image.new(
        "RGB", (max(one.width for one in strips), sum(one.height for one in strips)), (255, 255, 255)
    )
    top = 0
    for strip in strips:
        picture.paste(strip, (0, top))
        top += strip.height
    picture.save(out)


if __name__ == "__main__":
    run_program(main)
