"""``cosinterp store rm``: remove runs, and what killed traces left behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cosinterp.cli.store_options import AsJson, Samples, Seeds, StorePath, Variant, sample_names

if TYPE_CHECKING:
    from stores.tools.remove import StoredRun

_MOST = 20


def rm(
    store: StorePath,
    samples: Samples = None,
    seeds: Seeds = None,
    variant: Variant = None,
    every: Annotated[bool, typer.Option("--all", help="All runs of the store.")] = False,
    leftovers: Annotated[
        bool,
        typer.Option(
            "--leftovers", help="What killed traces left behind: unfinished runs that nobody makes."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove runs from a store.

    All that is named has to fit: --samples maze-3 --seeds 0-3 removes these seeds of this sample, in every
    variant. Asks first. A process that is reading one of the runs reads on undisturbed; the space is free
    once it is done. Results and media stay.

    A removal that was killed is ended when it is given again.
    """
    from cosinterp.cli.console import out, print_json
    from cosinterp.cli.counting import counting
    from stores import StoreError, open_store
    from stores.tools.remove import (
        find_gone,
        find_leftovers,
        find_runs,
        forget_gone,
        remove_leftovers,
        remove_runs,
    )
    from stores.units import count_text, size_text

    selected = bool(samples) or seeds is not None or variant is not None
    if every and selected:
        raise StoreError("--all takes every run; leave out --samples, --seeds and --variant, or --all")
    if not (every or selected or leftovers):
        raise StoreError("say which runs: --samples, --seeds, --variant, or --all; or --leftovers")
    opened = open_store(store)
    names = sample_names(samples)
    runs = find_runs(opened, names, seeds, variant) if every or selected else []
    gone = find_gone(opened, names, seeds, variant) if every or selected else []
    for name in names or []:
        if all(run.sample != name for run in (*runs, *gone)):
            raise StoreError(f"{store}: no run of sample {name!r} is selected; nothing was removed")
    if selected and not (runs or gone):
        raise StoreError(f"{store}: no run is selected; nothing was removed")
    left = find_leftovers(opened) if leftovers else []
    parts = [
        f"{count_text(len(files), what)} ({size_text(sum(file.size for file in files))})"
        for files, what in ((runs, "run"), (left, "leftover file"))
        if files
    ]
    what = " and ".join(parts) or "nothing"
    if parts and not dry_run:
        _ask(f"{what} from {store}", [*_of_runs(runs), *(file.file for file in left)], yes)
        with counting("removing", sizes=True) as count:
            remove_runs(opened, runs, count.reach)
        removed_left = remove_leftovers(opened, left)
    else:
        removed_left = left
    if not dry_run:
        forget_gone(opened, gone)
    if as_json:
        print_json(
            {
                "path": str(store),
                "dry_run": dry_run,
                "runs": [run.file for run in runs],
                "gone": [entry.file for entry in gone],
                "leftovers": [file.file for file in removed_left],
                "bytes": sum(file.size for file in (*runs, *removed_left)),
            }
        )
        return
    if dry_run:
        for line in _shortened([*_of_runs(runs), *(file.file for file in left)]):
            out().print(f"  {line}", markup=False, soft_wrap=True)
    if parts or not gone:
        verb = "would remove" if dry_run else "removed"
        out().print(f"{store}: {verb} {what}", markup=False, soft_wrap=True)
    if gone:
        verb = "would drop" if dry_run else "dropped"
        runs_gone = f"{count_text(len(gone), 'run')} whose files were gone already"
        out().print(f"{store}: {verb} from the catalog {runs_gone}", markup=False, soft_wrap=True)


def can_ask() -> bool:
    """Whether there is somebody who can answer a question."""
    return sys.stdin.isatty()


def _ask(what: str, lines: Sequence[str], yes: bool) -> None:
    """Asks whether to remove ``what``. Raises StoreError if nobody can be asked, Exit if the answer is no."""
    from cosinterp.cli.console import err
    from stores import StoreError

    if yes:
        return
    if not can_ask():
        raise StoreError(f"to remove {what} without being asked, give --yes")
    for line in _shortened(lines):
        err().print(f"  {line}", markup=False, soft_wrap=True)
    if not typer.confirm(f"remove {what}?", err=True):
        err().print("nothing was removed")
        raise typer.Exit(1)


def _of_runs(runs: Sequence[StoredRun]) -> Iterator[str]:
    """A line for each sample and variant: its seeds and their size."""
    from stores.selection import compact
    from stores.units import size_text

    groups: dict[tuple[str, str], list[StoredRun]] = {}
    for run in runs:
        groups.setdefault((run.sample, run.variant), []).append(run)
    for (sample, variant), members in groups.items():
        size = size_text(sum(run.size for run in members))
        yield f"{sample} {variant}: seeds {compact(run.seed for run in members)}, {size}"


def _shortened(lines: Sequence[str]) -> list[str]:
    more = [f"and {len(lines) - _MOST} more"] if len(lines) > _MOST else []
    return [*lines[:_MOST], *more]
