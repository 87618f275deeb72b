"""``cosinterp mazes``: held-out mazes for maze-wan, as a dataset folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Goals(StrEnum):
    """Which goal the prompts name."""

    alternate = "alternate"
    red = "red"
    blue = "blue"
    both = "both"


def mazes(
    out: Annotated[Path, typer.Option(help="Folder to write into.", show_default=False)],
    count: Annotated[int, typer.Option(help="How many mazes.", min=1)] = 16,
    rooms: Annotated[int, typer.Option(help="Rooms a side, 5 to 9.")] = 7,
    seed: Annotated[int, typer.Option(help="The first maze; the others follow on.", min=0)] = 0,
    goals: Annotated[
        Goals, typer.Option(help="The goal that prompts name: in turn, one of them, or each maze with both.")
    ] = Goals.alternate,
    paraphrase: Annotated[int, typer.Option(help="Which wording of the prompt, 0 to 4.")] = 0,
    train: Annotated[
        bool, typer.Option("--train", help="Mazes that training may have seen, instead of held-out ones.")
    ] = False,
) -> None:
    """Write mazes as a dataset folder.

    Each sample is a folder OUT/TASK/NUMBER with first_frame.png, prompt.txt, final_frame.png,
    ground_truth.mp4 and metadata.json; [bold]cosinterp trace --dataset OUT[/bold] reads them. The same flags
    always write the same mazes, and samples that are already there are left alone.
    """
    from rich.progress import track

    from cosinterp.cli.console import err
    from cosinterp.cli.console import out as results
    from cosinterp.organism.dataset import write_mazes
    from stores.units import count_text

    folders: list[Path] = []
    numbers = range(seed, seed + count)
    for number in track(
        numbers, "writing mazes", console=err(), transient=True, disable=not err().is_terminal
    ):
        folders += write_mazes(
            out,
            count=1,
            rooms=rooms,
            seed=number,
            goals=goals.value,
            split="train" if train else "test",
            paraphrase=paraphrase,
        )
    results().print(f"{count_text(len(folders), 'sample')} in {out}", markup=False, soft_wrap=True)
