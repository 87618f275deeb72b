"""``cosinterp probe``: what can be read off activations, by step and layer."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cosinterp.cli import analysis_options as flags
from cosinterp.cli.options import MACHINE, one_of

PREDICTED, FITTED, BESIDE = "What is predicted", "How probes are fitted", "What they are held against"
_NAMED = ("path", "wall", "goal_cell", "distance", "goal", "path_length", "solved", "truth:")


class Labels(StrEnum):
    """What labels are taken for."""

    auto = "auto"
    classes = "classes"
    number = "number"


class Pool(StrEnum):
    """What a row is where a run has one label."""

    mean = "mean"
    frames = "frames"
    tokens = "tokens"


class Model(StrEnum):
    """What kind of probe is fitted."""

    auto = "auto"
    logistic = "logistic"
    ridge = "ridge"


def probe(
    store: flags.StorePath,
    target: Annotated[
        str,
        typer.Option(
            help="A truth of the samples, or their task's: path, wall, goal_cell, distance, truth:NAME; an "
            "outcome: solved...; your own: labels.csv:column, labels.npz, module:function. Compared, if "
            "wanted: 'path_length>20'.",
            rich_help_panel=PREDICTED,
            show_default=False,
            autocompletion=one_of(*_NAMED),
        ),
    ],
    among: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET",
            help="Only rows of which this is true, such as 'wall==no'.",
            rich_help_panel=PREDICTED,
            show_default="all rows",
        ),
    ] = None,
    labels: Annotated[
        Labels, typer.Option(help="Take labels for classes, or for numbers.", rich_help_panel=PREDICTED)
    ] = Labels.auto,
    pool: Annotated[
        Pool,
        typer.Option(
            help="Where a run has one label: a row of its tokens' mean, a row a frame, or a row a token.",
            rich_help_panel=PREDICTED,
        ),
    ] = Pool.mean,
    frames: Annotated[
        str, typer.Option(help="Only these frames of the token grid.", rich_help_panel=PREDICTED)
    ] = "all",
    max_tokens: Annotated[
        int | None,
        typer.Option(
            help="So many tokens at random, the same of every run.",
            min=1,
            rich_help_panel=PREDICTED,
            show_default="all",
        ),
    ] = None,
    site: flags.Site = "resid",
    steps: flags.Steps = "all",
    layers: flags.Layers = "all",
    branch: flags.Branch = None,
    reduction: flags.Reduction = None,
    samples: flags.Samples = None,
    seeds: flags.Seeds = None,
    variant: flags.Variant = "base",
    model: Annotated[
        Model, typer.Option(help="auto: logistic for classes, ridge for numbers.", rich_help_panel=FITTED)
    ] = Model.auto,
    folds: Annotated[
        int, typer.Option(help="Of samples, that scores are taken from.", min=2, rich_help_panel=FITTED)
    ] = 5,
    inner_folds: Annotated[
        int,
        typer.Option(help="Within each, that the penalty is chosen in.", min=2, rich_help_panel=FITTED),
    ] = 3,
    components: Annotated[
        int | None,
        typer.Option(
            help="Probe so many principal components, fitted in each fold.",
            min=1,
            rich_help_panel=FITTED,
            show_default="all channels",
        ),
    ] = None,
    permutations: Annotated[
        int,
        typer.Option(help="Of labels between samples; 0 for no test.", min=0, rich_help_panel=BESIDE),
    ] = 1000,
    control: Annotated[bool, typer.Option(help="Fit the control task too.", rich_help_panel=BESIDE)] = True,
    mdl: Annotated[bool, typer.Option(help="Code the labels too.", rich_help_panel=BESIDE)] = True,
    baselines: Annotated[
        bool, typer.Option(help="Probe the latent, step, position and condition too.", rich_help_panel=BESIDE)
    ] = True,
    untrained: Annotated[
        Path | None,
        typer.Option(
            metavar="STORE",
            help="Probe an untrained model too: `cosinterp trace --untrained 0 --follow` makes such a store.",
            rich_help_panel=BESIDE,
            show_default=False,
        ),
    ] = None,
    transfer: Annotated[
        bool,
        typer.Option("--transfer", help="Test probes at other steps and layers than their own, and no more."),
    ] = False,
    transfer_steps: Annotated[
        str, typer.Option(help="Where probes to be carried over are fitted.", rich_help_panel=FITTED)
    ] = "all",
    transfer_layers: Annotated[
        str, typer.Option(help="Where probes to be carried over are fitted.", rich_help_panel=FITTED)
    ] = "all",
    jobs: Annotated[int, typer.Option(help="Processes.", min=1, rich_help_panel=MACHINE)] = 1,
    host_memory: Annotated[
        float, typer.Option(help="GiB that may be taken.", min=0.001, rich_help_panel=MACHINE)
    ] = 4,
    name: flags.Name = None,
    force: flags.Force = False,
    plot: flags.Plot = None,
    bootstrap_seed: flags.BootstrapSeed = 0,
    as_json: flags.AsJson = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be probed and what it takes, and stop.")
    ] = False,
) -> None:
    """Probe activations: what can a linear probe read off them.

    Folds, intervals and permutations go by sample. Each score stands beside chance, a control task, baselines
    and a p-value that holds over the whole grid. With [bold]--transfer[/bold] probes are tested at other
    steps and layers than those that they were fitted at.
    """
    from cosinterp.cli.command_line import command_line
    from cosinterp.cli.console import err
    from cosinterp.cli.counting import counting
    from cosinterp.cli.probe_plan import as_data, plan_lines, takes_of
    from cosinterp.cli.takes import show
    from cosinterp.errors import SelectionError
    from cosinterp.probing import study_of
    from probes.probing.making import PROBE, TRANSFER, default_name, probe_result, transfer_result
    from probes.probing.transferring import transfer_study
    from stores import open_store

    opened = open_store(store)
    if not transfer and (transfer_steps, transfer_layers) != ("all", "all"):
        raise SelectionError("--transfer-steps and --transfer-layers go with --transfer")
    if transfer and untrained is not None:
        raise SelectionError("--untrained does not go with --transfer")
    study = study_of(
        opened,
        target,
        site=site,
        reduction=reduction,
        branch=branch,
        steps=steps,
        layers=layers,
        samples=flags.names(samples),
        seeds=seeds,
        variant=variant,
        labels=labels.value,
        among=among,
        pool=pool.value,
        frames=frames,
        max_tokens=max_tokens,
        model=model.value,
        outer=folds,
        inner=inner_folds,
        components=components,
        permutations=permutations,
        seed=bootstrap_seed,
        mdl=mdl,
        control=control,
        baselines=baselines and not transfer,
        untrained=untrained,
        jobs=jobs,
        memory=int(host_memory * 2**30),
    )
    carried = transfer_study(study, transfer_steps, transfer_layers) if transfer else None
    cells = study.cells if carried is None else carried.cells
    name = name or default_name(TRANSFER if transfer else PROBE, study.asked)
    if dry_run:
        takes = takes_of(study, cells, lambda: flags.check_result(opened.path, name, force, plot))
        lines = [("", line) for line in plan_lines(study, cells, name)]
        show(takes, lines, as_data(study, cells, name), as_json)
        return
    flags.check_result(opened.path, name, force, plot)
    err().print(plan_lines(study, cells, name)[0], markup=False, soft_wrap=True)
    command = command_line(sys.argv)
    with counting("probing", cells) as count:
        if carried is None:
            result = probe_result(study, command=command, progress=count.reach)
        else:
            result = transfer_result(carried, command=command, progress=count.reach)
    flags.report(result, opened.path, name, force=force, plot=plot, as_json=as_json)
