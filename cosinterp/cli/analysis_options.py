"""Flags that the offline analyses of a store share, each written once, and what they do with a result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from cosinterp.cli.options import one_of

if TYPE_CHECKING:
    from probes.results.result import Result

RUNS, WHERE, RESULT = "Which runs", "What is read of them", "The result"
FORMATS = (".png", ".svg", ".pdf")
_REDUCTIONS = ("full", "frames", "mean", "norm", "tokens:", "project:")

StorePath: TypeAlias = Annotated[
    Path, typer.Argument(metavar="STORE", help="The store's folder.", show_default=False)
]
Samples: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--samples",
        "--sample",
        metavar="NAMES",
        help="Names, or patterns such as maze-7x7-red-*, separated by commas; or give it again for more.",
        rich_help_panel=RUNS,
        show_default="all",
    ),
]
Seeds: TypeAlias = Annotated[
    str | None,
    typer.Option("--seeds", "--seed", help="Such as 0-7 or 0,3.", rich_help_panel=RUNS, show_default="all"),
]
Variant: TypeAlias = Annotated[str, typer.Option(help="Runs of this variant.", rich_help_panel=RUNS)]
Site: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Such as resid, self_attn or mlp; `cosinterp store info` shows a store's.",
        rich_help_panel=WHERE,
        autocompletion=one_of("resid", "self_attn", "cross_attn", "mlp"),
    ),
]
Steps: TypeAlias = Annotated[
    str,
    typer.Option(help='"0-9", "0,5,-1" or "all".', rich_help_panel=WHERE, autocompletion=one_of("all")),
]
Layers: TypeAlias = Annotated[
    str,
    typer.Option(
        help='"0-40", "0,3,7-9", "-1" or "all".', rich_help_panel=WHERE, autocompletion=one_of("all")
    ),
]
Branch: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="cond or uncond.",
        rich_help_panel=WHERE,
        show_default="cond, else the only one",
        autocompletion=one_of("cond", "uncond"),
    ),
]
Reduction: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="As the site was kept: full, frames, mean, project:64...",
        rich_help_panel=WHERE,
        show_default="full, else the only one",
        autocompletion=one_of(*_REDUCTIONS),
    ),
]
Name: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Of the result: STORE/results/NAME.nc.",
        rich_help_panel=RESULT,
        show_default="after what is asked",
    ),
]
Force: TypeAlias = Annotated[
    bool, typer.Option("--force", help="Replace a result of this name.", rich_help_panel=RESULT)
]
Plot: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Draw the main figure into this file (png, svg or pdf).",
        rich_help_panel=RESULT,
        show_default=False,
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
BootstrapSeed: TypeAlias = Annotated[
    int,
    typer.Option(
        help="Seed of the intervals, and of all else that is drawn at random.", min=0, rich_help_panel=RESULT
    ),
]


def names(given: Sequence[str] | None) -> list[str] | None:
    """The names and patterns that `Samples` gives, None if it gives none and so means all.

    Raises:
        SelectionError: a name is empty.
    """
    from cosinterp.cli.store_options import sample_names

    return sample_names(given)


def result_name(*parts: str | None) -> str:
    """What a result is called if it is not said: these parts, in the signs that a name may have.

    >>> result_name("maps", "resid", None, "maze-*")
    'maps-resid-maze'
    """
    import re

    text = "-".join(part for part in parts if part)
    return re.sub(r"[^A-Za-z0-9._]+", "-", text)[:120].strip("-.")


def check_result(store: Path, name: str, force: bool, plot: Path | None) -> None:
    """Refuse before anything is computed what would be refused when a result is saved and drawn.

    Raises:
        StoreError: a result of this name is there and not to be replaced, or the name cannot be one.
        UserError: the figure cannot be written.
    """
    from cosinterp.errors import StoreError, UserError
    from probes.results.files import result_path

    path = result_path(store, name)
    if path.exists() and not force:
        raise StoreError(f"{path} exists; give --force to replace it, or another --name")
    if plot is not None and plot.suffix not in FORMATS:
        raise UserError(f"--plot {plot}: the name has to end in .png, .svg or .pdf.")
    if plot is not None and plot.is_dir():
        raise UserError(f"--plot {plot}: this is a folder; name a file.")


def report(
    result: Result, store: Path, name: str, *, force: bool, plot: Path | None, as_json: bool
) -> Result:
    """Save a result, draw its main figure if one is asked for, and print what it says.

    JSON has the keys ``name``, ``path``, ``summary``, ``provenance`` and ``rows``, the table of the result;
    what is no finite number there is null.

    Raises:
        StoreError: as `Result.save`.
    """
    from cosinterp.cli.console import out, print_json, print_sentence

    saved = result.save(store, name, force=force)
    if plot is not None:
        saved.plot(plot)
    if as_json:
        print_json(as_data(saved))
        return saved
    for line in saved.summary():
        print_sentence(out(), line, indent=0)
    out().print(f"result: {saved.path}", markup=False, soft_wrap=True)
    return saved


def as_data(result: Result) -> dict[str, object]:
    """A result as JSON: see `report`."""
    from probes.results.export import records

    return {
        "name": result.name,
        "path": None if result.path is None else str(result.path),
        "summary": result.summary(),
        "provenance": result.provenance,
        "rows": records(result.table()),
    }
