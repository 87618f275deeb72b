"""``cosinterp compare``: what ensembles gain over the seeds they are made of, and at what cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosinterp.cli import analysis_options as options
from cosinterp.cli.flag_groups import with_groups
from cosinterp.cli.options import one_of

if TYPE_CHECKING:
    from stores import Store

HOW = "How they are compared"


@dataclass(frozen=True)
class ComparisonFlags:
    """How variants are compared with single seeds, and what becomes of it."""

    metric: Annotated[
        str | None,
        typer.Option(
            help="Of the task; the greater the better.",
            rich_help_panel=HOW,
            show_default="what answers are right by",
        ),
    ] = None
    choose: Annotated[
        str,
        typer.Option(
            metavar="agreement|METRIC|-METRIC",
            help="How the best of K seeds is chosen: the one that most others agree with, or the one with "
            "the most (the least) of a metric that needs no right answer.",
            rich_help_panel=HOW,
            autocompletion=one_of("agreement", "valid_path", "-walls_broken"),
        ),
    ] = "agreement"
    by: Annotated[
        str | None,
        typer.Option(
            metavar="TRUTH",
            help="Also in groups of samples, by a number or a text of their truth such as path_length.",
            rich_help_panel=HOW,
            show_default=False,
        ),
    ] = None
    plot: options.Plot = None
    bootstrap_seed: options.BootstrapSeed = 0

    def name_of(self, *variants: str) -> str:
        """What the result is called if it is not said: after what is compared."""
        return options.result_name(
            *("ensemble", *(one for one in variants if one != "ensemble"), self.metric),
            *(() if self.choose == "agreement" else ("choose", self.choose)),
            *(() if self.by is None else ("by", self.by)),
        )

    def settings(self) -> dict[str, Any]:
        """The arguments of `probes.ensembles.compare`."""
        return {
            "metric": self.metric,
            "choose": self.choose,
            "by": self.by,
            "bootstrap_seed": self.bootstrap_seed,
        }


@with_groups
def compare(
    store: options.StorePath,
    *,
    variants: Annotated[
        str | None,
        typer.Option(
            help="Such as ensemble,x0; each was made by an ensemble.",
            rich_help_panel=options.RUNS,
            show_default="all that ensembles made",
        ),
    ] = None,
    samples: options.Samples = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            help="Those that the variants are held against, such as 0-7.",
            rich_help_panel=options.RUNS,
            show_default="those that the variants are made of",
        ),
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option(
            help="The result of `cosinterp score` that holds the scores of the base runs.",
            rich_help_panel=options.WHERE,
            show_default="the only one",
        ),
    ] = None,
    comparison: ComparisonFlags,
    name: options.Name = None,
    force: options.Force = False,
    as_json: options.AsJson = False,
) -> None:
    """Say what ensembles gain over the seeds they are made of, and at what cost.

    Beside each variant stand a single seed, the best of K seeds (chosen without the truth), the majority
    answer, and what any and all of K solve. Costs are evaluations of the denoiser, so that a gain is one at
    equal cost, or said not to be. Base runs and variants have to be scored ([bold]cosinterp score[/bold]);
    [bold]cosinterp ensemble[/bold] does that. No model is loaded.

    [bold]Examples[/bold]

    cosinterp compare runs/ensembles --by path_length --plot gain.svg

    cosinterp compare runs/ensembles --variants x0,latent --choose valid_path
    """
    import sys

    from cosinterp.cli.command_line import command_line
    from cosinterp.cli.ensemble_report import report
    from probes.ensembles import compare as compared
    from stores import open_store

    opened = open_store(store)
    chosen = _named(variants) if variants is not None else _found(opened)
    called = name or comparison.name_of(*chosen)
    options.check_result(store, called, force, comparison.plot)
    result = compared(
        opened,
        variants=chosen,
        scores=scores,
        samples=options.names(samples),
        seeds=seeds,
        command=command_line(sys.argv),
        **comparison.settings(),
    )
    report(result, store, called, force=force, plot=comparison.plot, as_json=as_json)


def _named(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _found(store: Store) -> tuple[str, ...]:
    """The variants of a store that ensembles made.

    Raises:
        SelectionError: there are none.
    """
    from cosinterp.errors import SelectionError
    from probes.ensembles.costs import ensemble_variants

    found = ensemble_variants(store)
    if not found:
        raise SelectionError(
            f"{store.path} has no variant that an ensemble made; cosinterp ensemble makes one"
        )
    return found
