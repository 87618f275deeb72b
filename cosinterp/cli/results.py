"""``cosinterp results``: what was found in a store, to be read, drawn, taken elsewhere and removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from cosinterp.cli.options import one_of
from cosinterp.cli.store_options import AsJson, StorePath

if TYPE_CHECKING:
    from rich.console import Console

    from probes.results.result import Result

_NO_WIDTH = 10_000


def result_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """What the shell completes a result's name with: those of the store that stands before it."""
    from probes.results.files import list_results

    store = ctx.params.get("store")
    return [] if store is None else [name for name in list_results(store) if name.startswith(incomplete)]


Name: TypeAlias = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Of a result.", show_default=False, autocompletion=result_names),
]


def ls(store: StorePath, as_json: AsJson = False) -> None:
    """List the results of a store.

    A file that is damaged, or no result, is listed with a word; show says what is wrong with it. n is the
    number of entries along each dimension.
    """
    from cosinterp.cli.console import err, print_json
    from cosinterp.cli.plain import table
    from probes.results.listing import COLUMNS, results

    found = results(store)
    if as_json:
        print_json([entry.to_json() for entry in found.entries])
        return
    if not found:
        err().print(f"{store}: no results yet", markup=False, soft_wrap=True)
        return
    console = wide_out()
    rows: list[dict[str, str]] = [dict(zip(COLUMNS, entry.cells(), strict=True)) for entry in found.entries]
    columns = fitting_columns(rows, console.width)
    shown = table("", *columns)
    for column in shown.columns:
        column.justify = "right" if column.header == "size" else "left"
    for row in rows:
        # What its file cannot tell stands in its title.
        row["kind"] = row["kind"] or row["title"]
        shown.add_row(*(row[name] for name in columns))
    console.print(shown)


def show(
    store: StorePath,
    name: Name,
    rows: Annotated[int, typer.Option(metavar="N", help="Rows of its table.", min=0)] = 10,
    as_json: AsJson = False,
) -> None:
    """Say what a result says, how it was made, and how to make it again."""
    from cosinterp.cli.console import out, print_json, print_sentence
    from cosinterp.cli.results_show import lines_of, table_of
    from probes.results.export import as_data

    result = opened(store, name)
    if as_json:
        print_json(as_data(result))
        return
    lines_of(result, out())
    table_of(result, rows, wide_out())
    print_sentence(out(), f"figures: {', '.join(result.figures()) or 'none'}", indent=0)
    command = result.provenance.get("command")
    if command:
        out().print(f"to make it again: {command}", markup=False, soft_wrap=True)


def plot(
    store: StorePath,
    name: Name,
    out_path: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="PATH",
            help="A file (.png, .svg or .pdf); with --all a folder.",
            show_default=False,
        ),
    ],
    figure: Annotated[
        str | None, typer.Option(help="Which figure; show names all.", show_default="the main one")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All figures, into a folder.")] = False,
    format_: Annotated[
        str,
        typer.Option(
            "--format", help="With --all: png, svg or pdf.", autocompletion=one_of("png", "svg", "pdf")
        ),
    ] = "pdf",
) -> None:
    """Draw figures of a result into files.

    PDF and SVG keep texts as texts, which publishers ask for; PNG has 200 dots an inch.
    """
    from cosinterp.cli.console import out
    from cosinterp.cli.counting import counting
    from probes.figures.drawing import FORMATS
    from stores import StoreError

    if every and figure is not None:
        raise StoreError("--all draws every figure; leave out --figure, or --all")
    result = opened(store, name)
    if not every:
        if out_path.is_dir():
            raise StoreError(f"--out {out_path}: this is a folder; name a file, or give --all")
        made = [result.plot(out_path, figure)]
    else:
        if f".{format_}" not in FORMATS:
            raise StoreError(f"--format {format_}: choose png, svg or pdf")
        if out_path.is_file():
            raise StoreError(f"--out {out_path}: this is a file; --all takes a folder")
        names, made = result.figures(), []
        if not names:
            raise StoreError(f"{name}: a result of the kind {result.kind} has no figures")
        with counting("drawing", len(names)) as count:
            for one in names:
                made.append(result.plot(out_path / f"{name}-{one}.{format_}", one))
                count()
    for path in made:
        out().print(str(path), markup=False, soft_wrap=True)


def export(
    store: StorePath,
    name: Name,
    out_path: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FILE",
            help=".csv, .parquet: its table. .json: also what it says and how it was made. .nc: all of it.",
            show_default=False,
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
) -> None:
    """Write a result for other programs: its table, or all of it."""
    from cosinterp.cli.console import out
    from probes.results.export import export_result

    made = export_result(opened(store, name), out_path, force=force)
    out().print(str(made), markup=False, soft_wrap=True)


def rm(
    store: StorePath,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="Of results.", show_default=False, autocompletion=result_names
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove results from a store.

    Asks first. Runs stay; a damaged result can be removed as any other.
    """
    from cosinterp.cli.console import err, out, print_json
    from cosinterp.cli.store_rm import can_ask
    from probes.results.files import remove_result
    from probes.results.listing import results
    from stores import StoreError
    from stores.units import count_text, size_text

    wanted = list(dict.fromkeys(names))
    entries = {entry.name: entry for entry in results(store).entries}
    lacking = [name for name in wanted if name not in entries]
    if lacking:
        there = ", ".join(entries) or "none"
        raise StoreError(
            f"{store}: no such result: {', '.join(lacking)}; there are: {there}. Nothing removed"
        )
    chosen = [entries[name] for name in wanted]
    size = sum(entry.path.stat().st_size for entry in chosen)
    what = f"{count_text(len(chosen), 'result')} ({size_text(size)})"
    if not (dry_run or yes):
        if not can_ask():
            raise StoreError(f"to remove {what} from {store} without being asked, give --yes")
        for entry in chosen:
            err().print(f"  {entry.name}: {entry.title}", markup=False, soft_wrap=True)
        if not typer.confirm(f"remove {what} from {store}?", err=True):
            err().print("nothing was removed")
            raise typer.Exit(1)
    if not dry_run:
        for entry in chosen:
            remove_result(entry.path)
    if as_json:
        print_json({"path": str(store), "dry_run": dry_run, "results": wanted, "bytes": size})
        return
    verb = "would remove" if dry_run else "removed"
    out().print(f"{store}: {verb} {what}", markup=False, soft_wrap=True)


def fitting_columns(rows: Sequence[Mapping[str, str]], width: int) -> list[str]:
    """The columns of a list that go beside one another; titles go first, for the kind says nearly as much."""
    columns = list(rows[0])
    for name in ("title", "n"):
        if sum(max(len(name), *(len(row[name]) for row in rows)) + 2 for name in columns) > width:
            columns.remove(name)
    return columns


def wide_out() -> Console:
    """Where tables go: a pipe has no width that a name would have to be cut to."""
    from rich.console import Console

    from cosinterp.cli.console import out

    return out() if out().is_terminal else Console(highlight=False, emoji=False, width=_NO_WIDTH)


def opened(store: Path, name: str) -> Result:
    """A result of a store.

    Raises:
        StoreError: the folder is no store, or has no such result, or it cannot be read.
    """
    from probes.results.files import result_path
    from probes.results.result import Result
    from stores import open_store

    return Result.open(result_path(open_store(store).path, name))
