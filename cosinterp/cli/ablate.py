"""``cosinterp ablate``: take away what runs compute at a place, over a grid."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cosinterp.cli import options
from cosinterp.cli import sweep_options as flags
from cosinterp.cli.store_options import Samples, StorePath, sample_names


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


def ablate(
    store: StorePath,
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
    dataset: flags.Dataset = None,
    steps: flags.Steps = "all",
    layers: flags.Layers = "all",
    sites: flags.Sites = "resid",
    tokens: flags.Tokens = None,
    branches: flags.Branches = "all",
    window: flags.Window = "1",
    layer_window: flags.LayerWindow = 1,
    horizon: flags.Horizon = None,
    videos: flags.Videos = True,
    measure: flags.Measures = None,
    controls: flags.ControlShare = flags.Controls.some,
    name: flags.Name = "ablation",
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
    """Take away what runs compute at a place, over a grid, with controls.

    Runs are made again from the step on at which they are changed; what follows is measured, and written to
    STORE/results as it is done. With --resume an interrupted sweep goes on; --dry-run reads no weights.
    """
    from cosinterp.cli.store_model import prepare_model_of
    from cosinterp.cli.sweep_command import Asked, carry_out, dataset_samples, names_of, own_measures
    from cosinterp.patching.ablate import ablation_study
    from cosinterp.patching.grid import Grid
    from cosinterp.patching.single_runs import runs_alone
    from cosinterp.patching.sweep import SweepOptions
    from stores import open_store

    opened = open_store(store)
    asked = Asked(opened.path, name, resume, dry_run, as_json, effect, plot, bootstrap_seed)
    asked.check()
    made = SweepOptions(
        horizon=horizon,
        rows=batch,
        videos=videos,
        measures=own_measures(measure),
        samples=dataset_samples(dataset),
        donors=donors.value,
    )
    runs = runs_alone(opened, sample_names(samples), seeds)
    prepared = prepare_model_of(
        opened,
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
    study = ablation_study(
        prepared.model,
        opened,
        runs,
        Grid(
            steps,
            layers,
            names_of(sites),
            tokens or ["all"],
            names_of(branches),
            window=window,
            layer_window=layer_window,
        ),
        kind=kind.value,
        over=opened if over is None else open_store(over),
        over_samples=over_samples,
        per=per.value,
        draw=draw,
        controls=controls.value,
    )
    carry_out(prepared, study, made, asked)
