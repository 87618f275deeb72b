"""``cosinterp tui``: hand over to the terminal app."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def tui(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="PATH",
            help="A store, or a folder with stores in it.",
            show_default="the last one, else this folder",
        ),
    ] = None,
    readonly: Annotated[
        bool, typer.Option("--readonly", help="Start, stop, remove and write nothing.")
    ] = False,
    low_bandwidth: Annotated[
        bool,
        typer.Option(
            "--low-bandwidth",
            help="For a slow line: paint what changes by itself seldom, and pictures small.",
        ),
    ] = False,
    theme: Annotated[
        str | None,
        typer.Option(
            help="Colours: dark, light, colour-blind or high-contrast.", show_default="the last one"
        ),
    ] = None,
) -> None:
    """Browse stores, start jobs and look after them, in the terminal.

    In it ? lists the keys, ctrl+p has all commands by name, and q leaves; jobs go on.
    """
    from tui.app import run
    from tui.options import Options

    run(path, Options(readonly, low_bandwidth), theme)
