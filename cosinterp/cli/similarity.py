"""``cosinterp similarity``: how alike representations are, between layers, steps, seeds, variants, stores."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from cosinterp.cli import analysis_options
from cosinterp.cli.options import MACHINE, one_of

if TYPE_CHECKING:
    from probes.results.result import Result

_WHAT = "What is compared"
_ACROSS = ("layers", "steps", "grid", "seeds", "samples", "variants", "stores")
_MOST_COLUMNS = 9


def similarity(
    store: analysis_options.StorePath,
    across: Annotated[
        str | None,
        typer.Option(
            help="layers, steps, grid, seeds, samples, variants or stores.",
            rich_help_panel=_WHAT,
            show_default="layers; stores with --with, variants with --other-variant",
            autocompletion=one_of(*_ACROSS),
        ),
    ] = None,
    other: Annotated[
        Path | None,
        typer.Option(
            "--with",
            metavar="STORE",
            help="Another store of the same samples and seeds.",
            rich_help_panel=_WHAT,
            show_default=False,
        ),
    ] = None,
    other_variant: Annotated[
        str | None,
        typer.Option(
            help="The variant that --variant is compared with.",
            rich_help_panel=_WHAT,
            show_default="the only other one; of another store the same",
        ),
    ] = None,
    measure: Annotated[
        str,
        typer.Option(
            help="cka (debiased, linear) or rsa.",
            rich_help_panel=_WHAT,
            autocompletion=one_of("cka", "rsa"),
        ),
    ] = "cka",
    distance: Annotated[
        str,
        typer.Option(
            help="Of rsa, between rows: correlation or euclidean.",
            rich_help_panel=_WHAT,
            autocompletion=one_of("correlation", "euclidean"),
        ),
    ] = "correlation",
    agreement: Annotated[
        str,
        typer.Option(
            help="Of rsa, between distances: spearman, pearson or cosine.",
            rich_help_panel=_WHAT,
            autocompletion=one_of("spearman", "pearson", "cosine"),
        ),
    ] = "spearman",
    samples: analysis_options.Samples = None,
    seeds: analysis_options.Seeds = None,
    variant: analysis_options.Variant = "base",
    site: analysis_options.Site = "resid",
    reduction: analysis_options.Reduction = None,
    branch: analysis_options.Branch = None,
    steps: analysis_options.Steps = "all",
    layers: analysis_options.Layers = "all",
    rows: Annotated[
        str,
        typer.Option(
            help="tokens, a row for each token of each run; or runs, a row for each run's mean.",
            rich_help_panel=analysis_options.WHERE,
            autocompletion=one_of("tokens", "runs"),
        ),
    ] = "tokens",
    tokens: Annotated[
        str,
        typer.Option(
            help='Of each run, drawn at random, the same of all runs; or "all".',
            rich_help_panel=analysis_options.WHERE,
            autocompletion=one_of("all"),
        ),
    ] = "256",
    shuffles: Annotated[
        int, typer.Option(help="Draws of each baseline.", min=0, rich_help_panel=analysis_options.RESULT)
    ] = 1,
    bootstrap_seed: analysis_options.BootstrapSeed = 0,
    host_memory: Annotated[
        float, typer.Option(help="GiB that may be held at once.", rich_help_panel=MACHINE)
    ] = 2.0,
    name: analysis_options.Name = None,
    force: analysis_options.Force = False,
    plot: analysis_options.Plot = None,
    as_json: analysis_options.AsJson = False,
) -> None:
    """Say how alike representations are, between layers, steps, seeds, samples, variants or stores.

    1 is the same geometry up to rotation and scale, 0 is unrelated. Rows that are compared lie at the same
    token of the same run (or of another seed, sample, variant or store), so all that tokens share by their
    position counts; the baselines say how much that is: whole samples exchanged, and tokens shuffled.

    [bold]cosinterp similarity runs/mazes[/bold] compares every layer with every other at each step,
    [bold]--with runs/noised[/bold] base runs with noised ones, as 1 - CKA by step and layer in --plot.
    """
    import sys

    from cosinterp.cli.command_line import command_line
    from cosinterp.cli.counting import counting
    from cosinterp.errors import SelectionError
    from probes.similarity.compare import default_across
    from probes.similarity.compare import similarity as compare
    from stores import open_store
    from stores.layout import BASE

    if not 0 < host_memory < math.inf:
        raise SelectionError(f"--host-memory has to be a number above 0, not {host_memory}")
    kept: int | str = "all" if tokens == "all" else _whole(tokens)
    chosen = default_across(cast("Any", across), other, other_variant)
    # What is asked, as far as results of it stand side by side.
    called = name or analysis_options.result_name(
        *("similarity", measure, chosen),
        None if other is None else other.resolve().name,
        other_variant,
        None if variant == BASE else variant,
        None if site == "resid" else site,
    )
    opened = open_store(store)
    analysis_options.check_result(store, called, force, plot)
    # What is one of a few words is checked where it is used.
    words: dict[str, Any] = {"measure": measure, "rows": rows, "distance": distance, "agreement": agreement}
    with counting(f"comparing {chosen}") as count:
        result = compare(
            opened,
            chosen,
            **words,
            samples=analysis_options.names(samples),
            seeds=seeds,
            variant=variant,
            other=other,
            other_variant=other_variant,
            steps=steps,
            layers=layers,
            site=site,
            reduction=reduction,
            branch=branch,
            tokens=cast("Any", kept),
            shuffles=shuffles,
            seed=bootstrap_seed,
            host_memory=int(host_memory * 1024**3),
            command=command_line(sys.argv),
            progress=count.reach,
        )
    if not as_json:
        _print_table(result)
    analysis_options.report(result, store, called, force=force, plot=plot, as_json=as_json)


def _whole(text: str) -> int:
    from cosinterp.errors import SelectionError

    if not text.isdecimal() or int(text) < 1:
        raise SelectionError(f'--tokens "{text}": write a number from 1, or all')
    return int(text)


def _print_table(result: Result) -> None:
    """The measure by step and layer, where there are no other dimensions."""
    from cosinterp.cli.console import out
    from cosinterp.cli.plain import table

    dataset = result.dataset
    name = str(dataset.attrs["measure"])
    if set(dataset[name].dims) != {"step", "layer"}:
        return
    layers = dataset["layer"].values.tolist()
    stride = -(-len(layers) // _MOST_COLUMNS)
    shown = layers[::stride]
    made = table(f"{name.upper()} by step and layer", "step", *map(str, shown))
    for step in dataset["step"].values.tolist():
        values = dataset[name].sel(step=step, layer=shown).values.tolist()
        made.add_row(str(step), *("–" if math.isnan(value) else f"{value:.2f}" for value in values))
    out().print(made)
