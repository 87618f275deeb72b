"""Flags that the commands on sweeps of interventions share, each written once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from cosinterp.cli.options import MACHINE, one_of
from cosinterp.cli.run_flags import BRANCHES, SITES

RUNS, WHERE, MEASURED, RESULT = "Which runs", "What is changed", "What is measured", "The result"
PLACES = ("all", "path", "walls", "floor", "start", "goals", "red_goal", "blue_goal", "frames:", "box:")


class Controls(StrEnum):
    """Of which pairs controls are made."""

    some = "some"
    all = "all"
    none = "none"


class Donors(StrEnum):
    """Where activations of donors come from."""

    auto = "auto"
    store = "store"
    replay = "replay"


Steps: TypeAlias = Annotated[
    str,
    typer.Option(help='"0", "0-3", "0,5,-1" or "all".', rich_help_panel=WHERE, autocompletion=one_of("all")),
]
Layers: TypeAlias = Annotated[
    str,
    typer.Option(
        help='"0-40", "0,3,7-9", "-1" or "all".', rich_help_panel=WHERE, autocompletion=one_of("all")
    ),
]
Sites: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Such as resid or self_attn,mlp, each by itself; `cosinterp anatomy` shows a model's.",
        rich_help_panel=WHERE,
        autocompletion=one_of(*SITES, after=","),
    ),
]
Tokens: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GROUP",
        help="all, frames:0-2, box:2-5,3-8, mask:FILE, truth:NAME, or of a maze path, walls, goals...; "
        "~, & and + combine them. Give it again for more.",
        rich_help_panel=WHERE,
        show_default="all",
        autocompletion=one_of(*PLACES, after="~&+ "),
    ),
]
Branches: TypeAlias = Annotated[
    str,
    typer.Option(
        help="all: together; cond,uncond: each by itself.",
        rich_help_panel=WHERE,
        autocompletion=one_of("all", *BRANCHES, after=","),
    ),
]
Window: TypeAlias = Annotated[
    str,
    typer.Option(
        help="So many steps together, from each of --steps on; or cumulative: the first up to each; "
        "or onward: each to the last.",
        rich_help_panel=WHERE,
        autocompletion=one_of("1", "cumulative", "onward"),
    ),
]
LayerWindow: TypeAlias = Annotated[
    int, typer.Option(help="So many layers together.", min=1, rich_help_panel=WHERE)
]
Horizon: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Stop so many steps after the last change and read the clean estimate there.",
        min=0,
        rich_help_panel=MEASURED,
        show_default="to the end of the run",
    ),
]
Measures: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--measure",
        metavar="MODULE:FUNCTION",
        help="A measure of your own; give it again for more.",
        rich_help_panel=MEASURED,
        show_default=False,
    ),
]
Videos: TypeAlias = Annotated[
    bool,
    typer.Option(
        help="Decode videos, and measure them: pixels, and what the samples' task asks.",
        rich_help_panel=MEASURED,
    ),
]
ControlShare: TypeAlias = Annotated[
    Controls,
    typer.Option(help="Controls of one pair in eight, of all, or none.", rich_help_panel=MEASURED),
]
Effect: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="What is shown: x0_along, final_moved, solved_donor...",
        rich_help_panel=RESULT,
        show_default="goal_donor, else x0_recovered, else x0_relative",
    ),
]
Name: TypeAlias = Annotated[
    str, typer.Option(help="Of the result: STORE/results/NAME.nc.", rich_help_panel=RESULT)
]
Plot: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Draw the effect by step and layer (png, svg or pdf).",
        rich_help_panel=RESULT,
        show_default=False,
    ),
]
BootstrapSeed: TypeAlias = Annotated[
    int, typer.Option(help="Seed of the intervals.", min=0, rich_help_panel=RESULT)
]
Resume: TypeAlias = Annotated[
    bool, typer.Option("--resume", help="Go on with a sweep that stopped.", rich_help_panel=RESULT)
]
DryRun: TypeAlias = Annotated[
    bool,
    typer.Option("--dry-run", help="Say what would be made and what it costs, and stop."),
]
Batch: TypeAlias = Annotated[
    int,
    typer.Option(help="Patches that go through the model side by side.", min=1, rich_help_panel=MACHINE),
]
DonorsFrom: TypeAlias = Annotated[
    Donors,
    typer.Option(
        help="Read donors' activations from their store, replay them, or auto: as is exact.",
        rich_help_panel=MACHINE,
    ),
]
Dataset: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Where the samples lie, if they have videos, which no store keeps.",
        rich_help_panel=RUNS,
        show_default=False,
    ),
]
