"""``cosinterp scenes``: held-out scenes for scene-wan, as a dataset folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class SceneTask(StrEnum):
    """What the scenes are to show."""

    permanence = "permanence"
    grounding = "grounding"


def scenes(
    out: Annotated[Path, typer.Option(help="Folder to write into.", show_default=False)],
    task: Annotated[
        SceneTask, typer.Option(help="A ball that is hidden for a while, or blocks of which one is named.")
    ] = SceneTask.permanence,
    count: Annotated[int, typer.Option(help="How many scenes.", min=1)] = 16,
    seed: Annotated[int, typer.Option(help="The first scene; the others follow on.", min=0)] = 0,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Write each scene again with one thing changed, for patching.")
    ] = False,
    paraphrase: Annotated[int, typer.Option(help="Which wording of the prompt, 0 to 4.")] = 0,
    train: Annotated[
        bool, typer.Option("--train", help="Scenes that training may have seen, instead of held-out ones.")
    ] = False,
) -> None:
    """Write scenes as a dataset folder.

    [bold]permanence[/bold]: a ball rolls behind a wall and has to come out where, when and in the colour it
    must. [bold]grounding[/bold]: of several blocks the named one has to move to the target.

    Each sample is a folder OUT/TASK/NUMBER with first_frame.png, prompt.txt, final_frame.png,
    ground_truth.mp4 and metadata.json; [bold]cosinterp trace --dataset OUT[/bold] reads them. With
    [bold]--pairs[/bold] the tasks are TASK-own, permanence-colour, permanence-course and grounding-named. The
    same flags always write the same scenes, and samples that are already there are left alone.
    """
    from rich.progress import track

    from cosinterp.cli.console import err
    from cosinterp.cli.console import out as results
    from cosinterp.organism.scenes.dataset import write_scenes
    from stores.units import count_text

    folders: list[Path] = []
    numbers = range(seed, seed + count)
    for number in track(
        numbers, "writing scenes", console=err(), transient=True, disable=not err().is_terminal
    ):
        folders += write_scenes(
            out,
            task=task.value,
            count=1,
            seed=number,
            pairs=pairs,
            split="train" if train else "test",
            paraphrase=paraphrase,
        )
    results().print(f"{count_text(len(folders), 'sample')} in {out}", markup=False, soft_wrap=True)
