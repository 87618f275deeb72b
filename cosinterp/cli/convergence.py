"""``cosinterp convergence``: how the seeds of samples agree by step, and when runs commit."""

from __future__ import annotations

from typing import Annotated

import typer

from cosinterp.cli import analysis_options as options
from cosinterp.cli.options import one_of

_HOW = "How it is measured"


def convergence(
    store: options.StorePath,
    samples: options.Samples = None,
    seeds: options.Seeds = None,
    variant: options.Variant = "base",
    scores: Annotated[
        str | None,
        typer.Option(
            help="The result of `cosinterp score` that holds the answers.",
            rich_help_panel=options.WHERE,
            show_default="the only one of the variant",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="TRUTH",
            help="Also in groups of samples, by a number or a text of their truth such as path_length.",
            rich_help_panel=_HOW,
            show_default=False,
        ),
    ] = None,
    hold: Annotated[
        int, typer.Option(help="Steps from which an answer counts as held.", min=1, rich_help_panel=_HOW)
    ] = 2,
    tolerance: Annotated[
        float,
        typer.Option(
            help="A metric has settled so near its final value: a share of its range.", rich_help_panel=_HOW
        ),
    ] = 0.05,
    normaliser: Annotated[
        str,
        typer.Option(
            help="What distances are divided by: norm, final or none.",
            rich_help_panel=_HOW,
            autocompletion=one_of("norm", "final", "none"),
        ),
    ] = "norm",
    name: options.Name = None,
    force: options.Force = False,
    plot: options.Plot = None,
    as_json: options.AsJson = False,
    bootstrap_seed: options.BootstrapSeed = 0,
) -> None:
    """Tell how seeds agree by step, and when runs commit to an answer.

    Distances of clean estimates come from the stored latents. Answers (how many, which are right, when a run
    commits, how often it corrects itself) come from the scores that [bold]cosinterp score[/bold] keeps in the
    store. No model is loaded.
    """
    import sys
    from typing import cast

    from cosinterp.cli.command_line import command_line
    from cosinterp.cli.counting import counting
    from probes.convergence import Normaliser
    from probes.convergence.analysis import convergence as analyse
    from stores import open_store

    opened = open_store(store)
    called = name or _default_name(variant, by, hold, tolerance, normaliser)
    options.check_result(store, called, force, plot)
    with counting("comparing seeds") as count:
        result = analyse(
            opened,
            scores=scores,
            samples=options.names(samples),
            seeds=seeds,
            variant=variant,
            by=by,
            hold=hold,
            tolerance=tolerance,
            normaliser=cast("Normaliser", normaliser),
            seed=bootstrap_seed,
            command=command_line(sys.argv),
            progress=count.reach,
        )
    options.report(result, store, called, force=force, plot=plot, as_json=as_json)


def _default_name(variant: str, by: str | None, hold: int, tolerance: float, normaliser: str) -> str:
    """After what is not asked usually, so that other questions do not replace one another."""
    from probes.convergence import HOLD
    from probes.convergence.analysis import TOLERANCE

    parts = ["convergence"]
    parts += [] if variant == "base" else [variant]
    parts += [] if by is None else ["by", by]
    parts += [] if hold == HOLD else ["hold", str(hold)]
    parts += [] if tolerance == TOLERANCE else ["tolerance", f"{tolerance:g}"]
    parts += [] if normaliser == "norm" else [normaliser]
    return "-".join(parts)
