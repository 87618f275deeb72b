"""Flags that `cosinterp experiment` and `cosinterp reproduce` share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from cosinterp.cli.options import one_of

PresetName: TypeAlias = Annotated[
    str,
    typer.Option(
        "--preset",
        help="smoke: a minute, to see that all runs; small: for two CPU cores; full: for a GPU.",
        autocompletion=one_of("smoke", "small", "full"),
    ),
]
DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done and how long it takes, and stop.")
]
