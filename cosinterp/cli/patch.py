"""``cosinterp patch``: put one run's activations into another, over a grid."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cosinterp.cli import options
from cosinterp.cli import sweep_options as flags
from cosinterp.cli.options import one_of
from cosinterp.cli.store_options import StorePath

_PRESETS = ("latent-swap",)


class Direction(StrEnum):
    """Which of the two runs is patched."""

    both = "both"
    sufficiency = "sufficiency"
    necessity = "necessity"


def patch(
    ctx: typer.Context,
    store: StorePath,
    donor: Annotated[
        str,
        typer.Option(
            help="The sample that activations come from; or a pattern, as in 'maze-7x7-red-*'.",
            rich_help_panel=flags.RUNS,
            show_default=False,
        ),
    ],
    recipient: Annotated[
        str,
        typer.Option(
            help="The sample that they are put into; its * stands for the same as that of --donor.",
            rich_help_panel=flags.RUNS,
            show_default=False,
        ),
    ],
    donor_store: Annotated[
        Path | None,
        typer.Option(help="Where the donors are.", rich_help_panel=flags.RUNS, show_default="STORE"),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="Of the recipients, such as 0-7.", rich_help_panel=flags.RUNS, show_default="all"),
    ] = None,
    donor_seeds: Annotated[
        str | None,
        typer.Option(
            help="Of the donors: one for each of --seeds, or one for all.",
            rich_help_panel=flags.RUNS,
            show_default="the recipient's",
        ),
    ] = None,
    dataset: flags.Dataset = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="latent-swap: resid of all tokens, layer by layer, at step 0, to the end of the run. Flags "
            "that are given win.",
            rich_help_panel=flags.WHERE,
            show_default=False,
            autocompletion=one_of(*_PRESETS),
        ),
    ] = None,
    steps: flags.Steps = "all",
    layers: flags.Layers = "all",
    sites: flags.Sites = "resid",
    tokens: flags.Tokens = None,
    branches: flags.Branches = "all",
    window: flags.Window = "1",
    layer_window: flags.LayerWindow = 1,
    direction: Annotated[
        Direction,
        typer.Option(
            help="sufficiency: the donor's activations in the recipient's run; necessity: the reverse.",
            rich_help_panel=flags.WHERE,
        ),
    ] = Direction.both,
    horizon: flags.Horizon = None,
    videos: flags.Videos = True,
    measure: flags.Measures = None,
    controls: flags.ControlShare = flags.Controls.some,
    name: flags.Name = "patch",
    effect: flags.Effect = None,
    plot: flags.Plot = None,
    bootstrap_seed: flags.BootstrapSeed = 0,
    resume: flags.Resume = False,
    batch: flags.Batch = 1,
    donors: flags.DonorsFrom = flags.Donors.auto,
    model: flags.StoreModel = None,
    device: options.Device = None,
    dtype: flags.StoreDtype = None,
    offload: options.Offload = None,
    quantize: options.Quantize = None,
    lora: options.Lora = None,
    revision: options.Revision = None,
    local_files_only: options.LocalFilesOnly = False,
    pipeline: options.Pipeline = None,
    dry_run: flags.DryRun = False,
    as_json: flags.AsJson = False,
) -> None:
    """Put activations of one run into another, over a grid, with controls.

    Of each pair of runs, both in stores, one is made again from the step on at which it is changed, exactly;
    what follows is measured, and written to STORE/results as it is done. Interrupted with Ctrl-C it keeps
    what is done; the same command with --resume goes on. All that can be checked is checked before the
    model's weights are read, and --dry-run reads none.
    """
    from cosinterp.cli.store_model import prepare_model_of
    from cosinterp.cli.sweep_command import Asked, carry_out, dataset_samples, names_of, own_measures
    from cosinterp.patching.grid import Grid
    from cosinterp.patching.pairs import find_pairs
    from cosinterp.patching.patch import patch_study
    from cosinterp.patching.sweep import SweepOptions
    from stores import open_store

    chosen: dict[str, Any] = {
        "steps": steps,
        "layers": layers,
        "sites": sites,
        "tokens": tokens or ["all"],
        "branches": branches,
        "window": window,
        "layer_window": layer_window,
        "horizon": horizon,
    }
    chosen = _with_preset(ctx, preset, chosen)
    recipients = open_store(store)
    givers = recipients if donor_store is None else open_store(donor_store)
    asked = Asked(recipients.path, name, resume, dry_run, as_json, effect, plot, bootstrap_seed)
    asked.check()
    made = SweepOptions(
        horizon=chosen["horizon"],
        rows=batch,
        videos=videos,
        measures=own_measures(measure),
        samples=dataset_samples(dataset),
        donors=donors.value,
    )
    pairs = find_pairs(
        recipients, givers, recipient=recipient, donor=donor, seeds=seeds, donor_seeds=donor_seeds
    )
    prepared = prepare_model_of(
        recipients,
        model,
        device=device,
        dtype=dtype,
        offload=offload,
        quantize=quantize,
        lora=lora,
        revision=revision,
        local_files_only=local_files_only,
        pipeline=pipeline,
    )
    grid = Grid(
        chosen["steps"],
        chosen["layers"],
        names_of(chosen["sites"]),
        chosen["tokens"],
        names_of(chosen["branches"]),
        window=chosen["window"],
        layer_window=chosen["layer_window"],
    )
    study = patch_study(
        prepared.model,
        recipients,
        givers,
        pairs,
        grid,
        directions=direction.value,
        controls=controls.value,
    )
    carry_out(prepared, study, made, asked)


def _with_preset(ctx: typer.Context, preset: str | None, chosen: dict[str, Any]) -> dict[str, Any]:
    """The values of the flags, those of a preset where no flag is given.

    Raises:
        InterventionError: there is no such preset.
    """
    from cosinterp.patching.presets import preset as preset_of

    if preset is None:
        return chosen
    values = preset_of(preset)
    given = {name for name in values if _is_given(ctx, name)}
    return chosen | {name: value for name, value in values.items() if name not in given}


def _is_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    # By its name: Typer may bring a Click of its own.
    return source is not None and source.name != "DEFAULT"
