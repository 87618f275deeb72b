"""``cosinterp maps``: energies, principal components and the largest channels on the token grid."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cosinterp.cli import analysis_options as analysis
from cosinterp.cli.options import one_of

FIGURES = (
    "energy-by-step",
    "energy-by-frame",
    "components-by-step",
    "components-by-frame",
    "energy-without-massive-by-step",
    "energy-without-massive-by-frame",
    "massive-by-step",
    "massive-by-frame",
    "channels",
    "side-by-side-by-layer",
    "side-by-side-by-step",
    "side-by-side-by-frame",
    "energy-by-step-and-layer",
    "temporal",
    "largest-channels",
)
_BESIDE, _MAPS, _SHOWN = "A second run beside it", "What is mapped", "What figures show"


def maps(
    store: analysis.StorePath,
    samples: analysis.Samples = None,
    seeds: analysis.Seeds = None,
    variant: analysis.Variant = "base",
    against: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="SAMPLE/SEED or SAMPLE/SEED.VARIANT; one run has to be chosen above.",
            rich_help_panel=_BESIDE,
            show_default="the same, if in another store",
        ),
    ] = None,
    against_store: Annotated[
        Path | None,
        typer.Option(
            metavar="STORE", help="Where it is.", rich_help_panel=_BESIDE, show_default="the same store"
        ),
    ] = None,
    site: analysis.Site = "resid",
    steps: analysis.Steps = "all",
    layers: analysis.Layers = "all",
    branch: analysis.Branch = None,
    reduction: analysis.Reduction = None,
    pca: Annotated[
        str | None,
        typer.Option(
            help="One for the whole sweep, so that colours compare; one for each layer; or none.",
            rich_help_panel=_MAPS,
            show_default="sweep, if channels are kept",
            autocompletion=one_of("sweep", "layer", "none"),
        ),
    ] = None,
    spare_massive: Annotated[
        bool,
        typer.Option("--spare-massive", help="Leave massive channels out of the PCA.", rich_help_panel=_MAPS),
    ] = False,
    massive_least: Annotated[
        float, typer.Option(help="Massive is a magnitude above this...", rich_help_panel=_MAPS)
    ] = 100.0,
    massive_ratio: Annotated[
        float, typer.Option(help="...and at least so many times the median.", rich_help_panel=_MAPS)
    ] = 1000.0,
    channels: Annotated[
        str | None,
        typer.Option(
            help="Channels to map, such as 49,73.", rich_help_panel=_MAPS, show_default="the four largest"
        ),
    ] = None,
    fit_tokens: Annotated[
        int,
        typer.Option(
            help="Tokens of each slab that the PCA is fitted on, at most.", min=1, rich_help_panel=_MAPS
        ),
    ] = 2048,
    show_step: Annotated[
        int | None,
        typer.Option(
            help="In figures that cannot show all.", rich_help_panel=_SHOWN, show_default="the middle one"
        ),
    ] = None,
    show_layer: Annotated[
        int | None, typer.Option(help="As above.", rich_help_panel=_SHOWN, show_default="the middle one")
    ] = None,
    show_frame: Annotated[
        int | None, typer.Option(help="As above.", rich_help_panel=_SHOWN, show_default="the last one")
    ] = None,
    figure: Annotated[
        str | None,
        typer.Option(
            help="Which one --plot draws.",
            rich_help_panel=analysis.RESULT,
            show_default="the first there is",
            autocompletion=one_of(*FIGURES),
        ),
    ] = None,
    name: analysis.Name = None,
    force: analysis.Force = False,
    plot: analysis.Plot = None,
    as_json: analysis.AsJson = False,
    bootstrap_seed: analysis.BootstrapSeed = 0,
) -> None:
    """Map energies, principal components and the largest channels.

    Energy is the L2 norm of a token over its channels. Components are those of one PCA of all chosen runs,
    steps and layers, in red, green and blue, so that a colour means the same everywhere. Massive activations
    are told by the rule of Sun et al. (2024). All of it is one result, with a figure for each view.
    """
    from cosinterp.cli.command_line import command_line
    from cosinterp.cli.counting import counting
    from cosinterp.errors import UserError
    from probes.maps.making import maps as make
    from stores import open_store

    chosen = analysis.names(samples)
    if figure is not None and figure not in FIGURES:
        raise UserError(f"--figure {figure}: choose one of {', '.join(FIGURES)}.")
    if figure is not None and plot is None:
        raise UserError("--figure says what --plot draws; give --plot FILE as well.")
    opened = open_store(store)
    named = name or analysis.result_name(
        "maps",
        site,
        reduction,
        *(chosen or []),
        seeds and f"seeds-{seeds}",
        against and f"against-{against}",
    )
    analysis.check_result(store, named, force, plot)
    with counting("reading") as count:
        result = make(
            opened,
            site=site,
            reduction=reduction,
            steps=steps,
            layers=layers,
            samples=chosen,
            seeds=seeds,
            variant=variant,
            branch=branch,
            against=against,
            against_store=against_store,
            pca=pca,
            spare_massive=spare_massive,
            massive_least=massive_least,
            massive_ratio=massive_ratio,
            channels=channels,
            fit_tokens=fit_tokens,
            seed=bootstrap_seed,
            show_step=show_step,
            show_layer=show_layer,
            show_frame=show_frame,
            progress=count.reach,
            command=command_line(sys.argv),
        )
    saved = analysis.report(result, store, named, force=force, plot=None, as_json=as_json)
    if plot is not None:
        saved.plot(plot, figure)
