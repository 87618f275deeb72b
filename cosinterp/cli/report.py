"""``cosinterp report``: all results of a store as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosinterp.cli.store_options import AsJson, StorePath

_SUFFIXES = (".html", ".htm")


def report(
    store: StorePath,
    out_path: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page.")] = Path("report.html"),
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Only these results, in this order, separated by commas; or give it again for more.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace FILE even if it is something else than a report.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put all results of a store on one HTML page.

    The page holds everything itself, pictures too, and asks nothing of any network: it can be sent by mail.
    Each result has its summary, figures and numbers, and the command that makes it again. What cannot be
    shown is said in its section, and the exit code is 1.
    """
    from cosinterp.cli.console import out, print_error, print_json
    from cosinterp.cli.counting import counting
    from probes.report import write_report
    from probes.report.page import chosen
    from stores import StoreError, open_store
    from stores.units import count_text, size_text

    if out_path.suffix.lower() not in _SUFFIXES:
        raise StoreError(f"--out {out_path}: the name has to end in .html")
    names = None if only is None else [name.strip() for text in only for name in text.split(",")]
    opened = open_store(store)
    with counting("drawing", len(chosen(opened, names))) as count:
        made = write_report(opened, out_path, names, force=force, progress=count)
    if as_json:
        print_json(
            {
                "path": str(made.path),
                "bytes": made.size,
                "results": [section.name for section in made.sections],
                "figures": sum(len(section.pictures) for section in made.sections),
                "failures": made.failures,
            }
        )
    else:
        what = count_text(len(made.sections), "result")
        out().print(f"{made.path}: {what}, {size_text(made.size)}", markup=False, soft_wrap=True)
    for line in made.failures:
        print_error(line)
    if made.failures:
        raise typer.Exit(1)
