"""``cosinterp patch``: put one run's activations into another, over a grid."""

from __future__ import annotations

from dataclasses import fields, replace
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from cosinterp.cli import sweep_options as flags
from cosinterp.cli.flag_groups import with_groups
from cosinterp.cli.options import one_of
from cosinterp.cli.spread_flags import SpreadFlags
from cosinterp.cli.store_model import StoreModelFlags
from cosinterp.cli.store_options import StorePath
from cosinterp.cli.sweep_flags import PairFlags, PlaceFlags, SweepFlags, WindowFlags
from cosinterp.patching.presets import PRESETS

Group = TypeVar("Group", PlaceFlags, WindowFlags, SweepFlags)


class Direction(StrEnum):
    """Which of the two runs is patched."""

    both = "both"
    sufficiency = "sufficiency"
    necessity = "necessity"


@with_groups
def patch(
    ctx: typer.Context,
    store: StorePath,
    *,
    pairs: PairFlags,
    preset: Annotated[
        str | None,
        typer.Option(
            help="latent-swap: resid of all tokens, layer by layer, at step 0, to the end of the run. Flags "
            "that are given win.",
            rich_help_panel=flags.WHERE,
            show_default=False,
            autocompletion=one_of(*PRESETS),
        ),
    ] = None,
    places: PlaceFlags,
    windows: WindowFlags,
    direction: Annotated[
        Direction,
        typer.Option(
            help="sufficiency: the donor's activations in the recipient's run; necessity: the reverse.",
            rich_help_panel=flags.WHERE,
        ),
    ] = Direction.both,
    sweep: SweepFlags,
    name: flags.Name = "patch",
    donors: flags.DonorsFrom = flags.Donors.auto,
    model: StoreModelFlags,
    spreading: SpreadFlags,
) -> None:
    """Put activations of one run into another, over a grid, with controls.

    Of each pair of runs, both in stores, one is made again from the step on at which it is changed, exactly;
    what follows is measured, and written to STORE/results as it is done. Interrupted with Ctrl-C it keeps
    what is done; the same command with --resume goes on. All that can be checked is checked before the
    model's weights are read, and --dry-run reads none.
    """
    from cosinterp.cli.sweep_command import Asked, carry_out
    from cosinterp.patching.patch import patch_study
    from stores import open_store

    places = _with_preset(ctx, preset, places)
    windows = _with_preset(ctx, preset, windows)
    sweep = _with_preset(ctx, preset, sweep)
    recipients = open_store(store)
    givers = pairs.givers(recipients)
    asked = Asked.of(recipients.path, name, sweep)
    made = sweep.options(donors.value)
    found = pairs.find(recipients, givers)
    spread = spreading.over(model.device, [recipients.path, givers.path])
    prepared = replace(model, device=spread.device).prepare(recipients)
    study = patch_study(
        prepared.model,
        recipients,
        givers,
        found,
        places.grid(windows),
        directions=direction.value,
        controls=sweep.controls.value,
    )
    carry_out(prepared, study, made, asked, spread.executor)


def _with_preset(ctx: typer.Context, preset: str | None, group: Group) -> Group:
    """A group of flags, with the values of a preset where no flag is given.

    Raises:
        InterventionError: there is no such preset.
    """
    from cosinterp.patching.presets import preset as preset_of

    values = {} if preset is None else preset_of(preset)
    names = {field.name for field in fields(group)} & values.keys()
    return replace(group, **{name: values[name] for name in names if not _is_given(ctx, name)})


def _is_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    # By its name: Typer may bring a Click of its own.
    return source is not None and source.name != "DEFAULT"
