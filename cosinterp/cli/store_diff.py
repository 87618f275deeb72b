"""``cosinterp store diff``: what differs between two stores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosinterp.cli.store_options import AsJson, Samples, Seeds, Variant, sample_names

if TYPE_CHECKING:
    from stores import Difference, StoreDiff

_MOST = 20


def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help="A store's folder.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another store's folder.", show_default=False)],
    samples: Samples = None,
    seeds: Seeds = None,
    variant: Variant = None,
    tolerance: Annotated[
        float, typer.Option(help="Numbers that differ by at most this are equal. 0: bit for bit.", min=0)
    ] = 0.0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not read what has equal checksums in both.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what differs between two stores.

    Compares settings, the runs that only one has, and all of the runs that both have: attributes, schedule,
    latents, condition, truth, video, and each site. Of a site it says how many (step, layer, branch) differ,
    by how much at most, and where. When a run was finished does not count.

    Ends with exit code 1 if anything differs.
    """
    from cosinterp.cli.console import out, print_json
    from cosinterp.cli.counting import counting
    from stores import diff_stores, open_store

    first, second = open_store(a), open_store(b)
    with counting("comparing", sizes=True) as count:
        found = diff_stores(
            first,
            second,
            samples=sample_names(samples),
            seeds=seeds,
            variant=variant,
            tolerance=tolerance,
            quick=quick,
            progress=count.reach,
        )
    if as_json:
        print_json(_as_data(a, b, found))
    else:
        for line in _lines(a, b, found):
            out().print(line, markup=False, soft_wrap=True)
    if not found.equal:
        raise typer.Exit(1)


def _as_data(a: Path, b: Path, found: StoreDiff) -> dict[str, Any]:
    return {
        "a": str(a),
        "b": str(b),
        "equal": found.equal,
        "settings": list(found.settings),
        "only_a": [entry.file for entry in found.only_a],
        "only_b": [entry.file for entry in found.only_b],
        "same": len(found.same),
        "different": [
            {
                "sample": run.sample,
                "seed": run.seed,
                "variant": run.variant,
                "differences": [_difference(each) for each in run.differences],
            }
            for run in found.different
        ],
    }


def _difference(found: Difference) -> dict[str, Any]:
    from stores.json_value import json_value

    return {
        "what": found.what,
        "how": found.how,
        "differing": found.differing,
        "compared": found.compared,
        "largest": json_value(found.largest),
        "place": found.place or None,
    }


def _lines(a: Path, b: Path, found: StoreDiff) -> Iterable[str]:
    from stores.units import count_text

    yield f"A: {a}"
    yield f"B: {b}"
    if found.settings:
        yield "settings"
        yield from (f"  {line}" for line in found.settings)
    for name, entries in (("A", found.only_a), ("B", found.only_b)):
        if entries:
            yield f"only in {name}: {count_text(len(entries), 'run')}"
            yield from _some([f"  {entry.sample} seed {entry.seed} {entry.variant}" for entry in entries])
    for run in found.different[:_MOST]:
        yield f"{run.sample} seed {run.seed} {run.variant}"
        yield from (f"  {each}" for each in run.differences)
    yield from _some([""] * len(found.different), shown=False)
    common = len(found.same) + len(found.different)
    if found.equal:
        yield f"equal: {count_text(common, 'run')}"
    else:
        yield (
            f"different: {len(found.different)} of {count_text(common, 'run')} that both have, "
            f"{len(found.only_a)} only in A, {len(found.only_b)} only in B"
            + (f", {count_text(len(found.settings), 'setting')}" if found.settings else "")
        )


def _some(lines: Sequence[str], shown: bool = True) -> Iterable[str]:
    if shown:
        yield from lines[:_MOST]
    if len(lines) > _MOST:
        yield f"  and {len(lines) - _MOST} more; --json names all"
