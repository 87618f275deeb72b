"""``cosinterp ablate``: take away what runs compute at a place, over a grid."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cosinterp.cli import sweep_options as flags
from cosinterp.cli.flag_groups import with_groups
from cosinterp.cli.spread_flags import SpreadFlags
from cosinterp.cli.store_model import StoreModelFlags
from cosinterp.cli.store_options import Samples, StorePath, sample_names
from cosinterp.cli.sweep_flags import PlaceFlags, SweepFlags, WindowFlags


class Kind(StrEnum):
    """What is put in place of what is taken away."""

    zero = "zero"
    mean = "mean"
    resample = "resample"
    skip = "skip"


class Per(StrEnum):
    """What a mean is taken of."""

    token = "token"
    channel = "channel"


@with_groups
def ablate(
    store: StorePath,
    *,
    kind: Annotated[
        Kind,
        typer.Option(
            help="zero; mean: over runs; resample: what another sample's run has; skip: the whole block.",
            rich_help_panel=flags.WHERE,
            show_default=False,
        ),
    ],
    samples: Samples = None,
    seeds: Annotated[
        str | None, typer.Option(help="Such as 0-7.", rich_help_panel=flags.RUNS, show_default="all")
    ] = None,
    over: Annotated[
        Path | None,
        typer.Option(
            help="The store that means are taken over and runs drawn from.",
            rich_help_panel=flags.WHERE,
            show_default="STORE",
        ),
    ] = None,
    over_samples: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these of its samples, by name or pattern; give it again for more.",
            rich_help_panel=flags.WHERE,
            show_default="all",
        ),
    ] = None,
    per: Annotated[
        Per,
        typer.Option(help="Means of each token, or of channels alone.", rich_help_panel=flags.WHERE),
    ] = Per.token,
    draw: Annotated[
        int, typer.Option(help="Seed by which runs are drawn.", min=0, rich_help_panel=flags.WHERE)
    ] = 0,
    places: PlaceFlags,
    windows: WindowFlags,
    sweep: SweepFlags,
    name: flags.Name = "ablation",
    donors: flags.DonorsFrom = flags.Donors.auto,
    model: StoreModelFlags,
    spreading: SpreadFlags,
) -> None:
    """Take away what runs compute at a place, over a grid, with controls.

    Runs are made again from the step on at which they are changed; what follows is measured, and written to
    STORE/results as it is done. With --resume an interrupted sweep goes on; --dry-run reads no weights.
    """
    from cosinterp.cli.sweep_command import Asked, carry_out
    from cosinterp.patching.ablate import ablation_study
    from cosinterp.patching.single_runs import runs_alone
    from stores import open_store

    opened = open_store(store)
    asked = Asked.of(opened.path, name, sweep)
    made = sweep.options(donors.value)
    runs = runs_alone(opened, sample_names(samples), seeds)
    spread = spreading.over(model.device, [opened.path])
    prepared = replace(model, device=spread.device).prepare(opened)
    study = ablation_study(
        prepared.model,
        opened,
        runs,
        places.grid(windows),
        kind=kind.value,
        over=opened if over is None else open_store(over),
        over_samples=over_samples,
        per=per.value,
        draw=draw,
        controls=sweep.controls.value,
    )
    carry_out(prepared, study, made, asked, spread.executor)
