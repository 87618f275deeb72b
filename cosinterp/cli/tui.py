"""``cosinterp tui``: hand over to the terminal app."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def tui(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="A store, or a folder with stores in it.", show_default="this folder"
        ),
    ] = Path("."),
) -> None:
    """Browse stores in the terminal.

    In it ? lists the keys, / filters the runs, and q leaves.
    """
    from tui.app import run

    run(path)
