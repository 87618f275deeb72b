"""Flags of ``cosinterp ensemble``: what seeds share, which go on, what is recorded of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cosinterp.cli.options import one_of
from cosinterp.cli.run_flags import BRANCHES, CAPTURE, SITES
from cosinterp.errors import SelectionError

MERGED = "What is merged"
SELECTED = "Which seeds go on"
NOTHING = "none"
WHATS = ("latent", "x0", "prediction", "hidden", NOTHING)
HOWS = ("mean", "norm-mean", "median", "medoid")
THENS = ("one", "all")


@dataclass(frozen=True)
class MergeFlags:
    """What the seeds share."""

    merge: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(WHATS),
            help="latent: what leaves a step; x0: clean estimates, each seed keeps its noise; prediction: "
            "guided predictions; hidden: tokens at --layers of --site.",
            rich_help_panel=MERGED,
            show_default="latent; none with --select",
            autocompletion=one_of(*WHATS),
        ),
    ] = None
    steps: Annotated[
        str,
        typer.Option(help='Denoising steps at which it is: "0", "0-3".', rich_help_panel=MERGED),
    ] = "0"
    how: Annotated[
        str,
        typer.Option(
            metavar="|".join(HOWS),
            help="norm-mean: as long as the seeds are on average; medoid: the one nearest to the others.",
            rich_help_panel=MERGED,
            autocompletion=one_of(*HOWS),
        ),
    ] = "mean"
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="W,W,...",
            help="Of a mean, one for each seed in ascending order.",
            rich_help_panel=MERGED,
            show_default="all alike",
        ),
    ] = None
    layers: Annotated[
        str | None,
        typer.Option(
            help='Of hidden states: "20-29".',
            rich_help_panel=MERGED,
            show_default=False,
            autocompletion=one_of("all"),
        ),
    ] = None
    site: Annotated[
        str,
        typer.Option(help="Of hidden states.", rich_help_panel=MERGED, autocompletion=one_of(*SITES[1:])),
    ] = "resid"
    branch: Annotated[
        str | None,
        typer.Option(
            help="Of hidden states.",
            rich_help_panel=MERGED,
            show_default="all",
            autocompletion=one_of(*BRANCHES),
        ),
    ] = None
    then: Annotated[
        str,
        typer.Option(
            metavar="|".join(THENS),
            help="Who goes on after the last merge: the smallest seed alone, or all.",
            rich_help_panel=MERGED,
            autocompletion=one_of(*THENS),
        ),
    ] = "one"
    select: Annotated[
        str | None,
        typer.Option(
            metavar="agreement|METRIC|module:function",
            help="Judge seeds by their clean estimates at a step, and stop all but the best.",
            rich_help_panel=SELECTED,
            show_default=False,
            autocompletion=one_of("agreement", "valid_path"),
        ),
    ] = None
    at_step: Annotated[
        int | None,
        typer.Option(
            help="Step after which seeds are judged.",
            rich_help_panel=SELECTED,
            show_default="a quarter of the steps",
        ),
    ] = None
    keep: Annotated[int, typer.Option(help="How many seeds go on then.", min=1, rich_help_panel=SELECTED)] = 1

    def check(self) -> None:
        """Refuse what is wrong for every model before one is loaded.

        Raises:
            SelectionError: it is.
        """
        for flag, value, known in (
            ("--merge", self.merge, WHATS),
            ("--how", self.how, HOWS),
            ("--then", self.then, THENS),
        ):
            if value is not None and value not in known:
                raise SelectionError(f"{flag} {value}: {', '.join(known[:-1])} or {known[-1]}")
        if self.merge == NOTHING and self.select is None:
            raise SelectionError("--merge none: then give --select, or there is no ensemble")
        if self.select is None and (self.at_step is not None or self.keep != 1):
            flag = "--at-step" if self.at_step is not None else "--keep"
            raise SelectionError(f"{flag} says how seeds are selected: give --select")
        if self.merge == "hidden" and self.layers is None:
            raise SelectionError("--merge hidden: give --layers, such as 20-29")
        if self.merge != "hidden" and (self.layers is not None or self.branch is not None):
            flag = "--layers" if self.layers is not None else "--branch"
            raise SelectionError(f"{flag} goes with --merge hidden")
        _numbers(self.weights)

    def settings(self) -> dict[str, Any]:
        """The arguments of `cosinterp.ensemble`."""
        return {
            "merge": None if self.merge == NOTHING else self.merge,
            "steps": self.steps,
            "how": self.how,
            "weights": _numbers(self.weights),
            "layers": self.layers,
            "site": self.site,
            "branches": self.branch,
            "then": self.then,
            "select": self.select,
            "select_step": self.at_step,
            "keep": self.keep,
        }


@dataclass(frozen=True)
class RecordFlags:
    """What is recorded of the activations of the runs; nothing unless it is asked for."""

    record: Annotated[
        str | None,
        typer.Option(
            metavar="SITES",
            help="Keep activations of these sites, such as resid,mlp.",
            rich_help_panel=CAPTURE,
            show_default="none",
            autocompletion=one_of(*SITES, after=","),
        ),
    ] = None
    record_layers: Annotated[
        str | None,
        typer.Option(help='Such as "0-8".', rich_help_panel=CAPTURE, show_default="all"),
    ] = None
    record_steps: Annotated[
        str | None,
        typer.Option(help='Such as "0-3".', rich_help_panel=CAPTURE, show_default="all"),
    ] = None
    record_branches: Annotated[
        str | None,
        typer.Option(
            help="Such as cond.",
            rich_help_panel=CAPTURE,
            show_default="all",
            autocompletion=one_of("all", *BRANCHES, after=","),
        ),
    ] = None
    reduce: Annotated[
        list[str] | None,
        typer.Option(
            help="As of `cosinterp trace`: frames, mean, norm, tokens:K, project:K.",
            rich_help_panel=CAPTURE,
            show_default="full",
        ),
    ] = None
    store_dtype: Annotated[
        str | None,
        typer.Option(
            help="bf16, fp16, fp32 or fp8.",
            rich_help_panel=CAPTURE,
            show_default="the model's",
            autocompletion=one_of("bf16", "fp16", "fp32", "fp8"),
        ),
    ] = None
    video: Annotated[bool, typer.Option(help="Decode and keep the videos.", rich_help_panel=CAPTURE)] = True

    def settings(self, writers: int | None) -> dict[str, Any]:
        """The argument `record` of `cosinterp.ensemble`; ``writers``: threads that write.

        Raises:
            SelectionError: it is said how, but not what.
        """
        told = {
            "layers": self.record_layers,
            "save_steps": self.record_steps,
            "branches": self.record_branches,
            "reduce": self.reduce,
            "dtype": self.store_dtype,
        }
        given = {name: value for name, value in told.items() if value is not None}
        if self.record is None and given:
            raise SelectionError("what is recorded of activations begins with --record SITES")
        return {"sites": self.record or "none", "writers": writers, **given}


def _numbers(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise SelectionError(f"--weights {text}: numbers with commas between them, such as 2,1,1") from None
