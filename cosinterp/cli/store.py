"""``cosinterp store``: what an activation store holds, and whether it is whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from cosinterp.cli.store_options import AsJson, Samples, Seeds, StorePath, Variant, sample_names

if TYPE_CHECKING:
    from stores import RunEntry, Store

_NO_WIDTH = 10_000
# What is left of 80 columns for the sites of a run with a name such as maze-7x7-00000.
_SITES_WIDTH = 12


def ls(
    store: StorePath,
    samples: Samples = None,
    seeds: Seeds = None,
    variant: Variant = None,
    as_json: AsJson = False,
) -> None:
    """List the runs of a store.

    Each line is a finished run; what is being made right now is not listed. Of many sites the first are named
    and the others counted: --json names all.
    """
    from rich.console import Console

    from cosinterp.cli.console import err, out, print_json
    from cosinterp.cli.plain import table
    from stores import open_store
    from stores.units import count_text, size_text

    opened = open_store(store)
    entries = opened.runs(sample_names(samples), seeds, variant)
    if as_json:
        print_json([entry.to_json() for entry in entries])
        return
    if not entries:
        what = "no finished runs" if not opened.runs() else "no run is selected"
        err().print(f"{store}: {what}", markup=False, soft_wrap=True)
        return
    runs = table("", "sample", "seed", "variant", "steps", "sites", "size", "finished (UTC)")
    for entry in entries:
        row = (entry.sample, entry.seed, entry.variant, entry.num_steps, sites_in_short(entry.sites))
        runs.add_row(*map(str, row), size_text(entry.size), _minute(entry.finished))
    # A pipe has no width that a name would have to be cut to.
    (out() if out().is_terminal else Console(highlight=False, emoji=False, width=_NO_WIDTH)).print(runs)
    out().print(f"{count_text(len(entries), 'run')}, {size_text(sum(entry.size for entry in entries))}")


def info(store: StorePath, as_json: AsJson = False) -> None:
    """Say what a store holds and how it was made.

    The settings that all its runs share, how many runs there are, and the shape of what is recorded.
    """
    from cosinterp.cli.console import out, print_json
    from stores import open_store
    from stores.json_value import json_value
    from stores.layout import VERSION

    opened = open_store(store)
    entries = opened.runs()
    sites = _sites(opened, entries)
    if as_json:
        print_json(
            json_value(
                {
                    "path": str(store),
                    "version": VERSION,
                    "model": opened.settings.model,
                    "capture": opened.settings.capture,
                    "sampling": opened.settings.sampling,
                    "runs": len(entries),
                    "samples": sorted({entry.sample for entry in entries}),
                    "seeds": sorted({entry.seed for entry in entries}),
                    "variants": sorted({entry.variant for entry in entries}),
                    "bytes": sum(entry.size for entry in entries),
                    "sites": sites,
                }
            )
        )
        return
    for title, pairs in (
        ("store", [("path", str(store)), ("format version", str(VERSION)), *_totals(entries)]),
        ("model", _lines(opened.settings.model)),
        ("capture", _lines(opened.settings.capture)),
        ("sampling", _lines(opened.settings.sampling)),
        ("sites", [(name, _site_line(site)) for name, site in sites.items()]),
    ):
        if not pairs:
            continue
        out().print(title, style="bold")
        width = max(len(name) for name, _ in pairs)
        for name, text in pairs:
            out().print(f"  {name:{width}}  {text}", markup=False, soft_wrap=True)


def verify(store: StorePath, as_json: AsJson = False) -> None:
    """Check every file of a store.

    Reads everything once: the checksum of every chunk, shapes, NaN and infinity, schedules, the catalog
    against the files, and what killed processes left behind. Ends with exit code 1 if something is wrong.
    """
    from cosinterp.cli.console import out, print_json
    from cosinterp.cli.counting import counting
    from stores import open_store
    from stores.units import count_text

    opened = open_store(store)
    with counting("verifying", sizes=True) as count:
        problems = opened.verify(count.reach)
    runs = len(opened.runs())
    if as_json:
        found = [
            {"file": problem.file, "kind": problem.kind, "message": problem.message} for problem in problems
        ]
        print_json({"path": str(store), "runs": runs, "problems": found})
    else:
        for problem in problems:
            line = f"{problem.file}: {problem.kind}: {problem.message}"
            out().print(line, markup=False, soft_wrap=True)
        verdict = "nothing wrong" if not problems else count_text(len(problems), "problem")
        out().print(f"{store}: {count_text(runs, 'run')}, {verdict}", markup=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)


def reindex(store: StorePath, as_json: AsJson = False) -> None:
    """Rebuild the catalog of a store from its files.

    Nothing is lost without a catalog, it only saves opening every file. Ends with exit code 1 if a file
    could not be read; it is then left out.
    """
    from cosinterp.cli.console import err, out, print_json
    from cosinterp.cli.counting import counting
    from stores import open_store
    from stores.units import count_text

    opened = open_store(store)
    with counting("reading") as count:
        failures = opened.reindex(count.reach)
    runs = len(opened.runs())
    if as_json:
        print_json({"path": str(store), "runs": runs, "unreadable": [str(failure) for failure in failures]})
    else:
        out().print(f"{store}: {count_text(runs, 'run')} in the catalog", markup=False, soft_wrap=True)
        for failure in failures:
            err().print(f"left out: {failure}", markup=False, soft_wrap=True)
    if failures:
        raise typer.Exit(1)


def _minute(finished: str) -> str:
    """A time such as 2026-11-23T01:09:22Z without its seconds: a run's line is to fit in 80 columns."""
    return finished[:16].replace("T", " ")


def sites_in_short(sites: Sequence[str]) -> str:
    """As many sites as there is room for, and how many more there are: ``resid,+3``."""
    for named in range(len(sites), 0, -1):
        more = f",+{len(sites) - named}" if named < len(sites) else ""
        text = ",".join(sites[:named]) + more
        if len(text) <= _SITES_WIDTH:
            return text
        if named == 1:
            return sites[0][: _SITES_WIDTH - len(more) - 2] + ".." + more
    return "-"


def _sites(store: Store, entries: list[RunEntry]) -> dict[str, dict[str, Any]]:
    """What each site holds, read from one run a sample: samples may differ in size, all else is shared."""
    found: dict[str, dict[str, Any]] = {}
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        new = {(entry.sample, name) for name in entry.sites} - seen
        if not new:
            continue
        seen |= new
        with store.run(*entry.key) as run:
            for name, site in run.sites.items():
                kept = {
                    "site": site.site,
                    "reduction": site.reduction,
                    "layers": list(site.layers),
                    "steps": list(site.steps),
                    "branches": list(site.branches),
                    "axes": list(site.axes),
                    "channels": site.channels,
                    "dtype": site.dtype,
                    "compression": site.compression,
                    "grids": [],
                }
                grids = found.setdefault(name, kept)["grids"]
                grid = {
                    "grid": list(site.grid),
                    "shape": list(site.shape),
                    "slab_bytes": site.slab_bytes,
                }
                if grid not in grids:
                    grids.append(grid)
    return found


def _site_line(site: dict[str, Any]) -> str:
    from stores.selection import compact
    from stores.units import size_text

    grids = " or ".join(" x ".join(map(str, one["grid"])) for one in site["grids"])
    sizes = " or ".join(size_text(one["slab_bytes"]) for one in site["grids"])
    packed = "" if site["compression"] == "none" else f", {site['compression']}"
    if site["reduction"] == "full":
        kept = f"{grids} tokens of {site['channels']} channels"
    else:
        shapes = " or ".join(" x ".join(map(str, one["shape"])) for one in site["grids"])
        kept = f"{shapes} ({', '.join(site['axes'])})"
    return (
        f"layers {compact(site['layers'])}, steps {compact(site['steps'])}, {'+'.join(site['branches'])}, "
        f"{kept} in {site['dtype']}{packed}, {sizes} each"
    )


def _totals(entries: list[RunEntry]) -> list[tuple[str, str]]:
    from stores.selection import compact
    from stores.units import size_text

    pairs = [("runs", str(len(entries))), ("size", size_text(sum(entry.size for entry in entries)))]
    if entries:
        samples = sorted({entry.sample for entry in entries})
        shown = ", ".join(samples[:5]) + (f", and {len(samples) - 5} more" if len(samples) > 5 else "")
        pairs += [
            ("samples", f"{len(samples)}: {shown}"),
            ("seeds", compact(entry.seed for entry in entries)),
        ]
        pairs += [("variants", ", ".join(sorted({entry.variant for entry in entries})))]
    return pairs


def _lines(settings: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, dict):
            lines += _lines(value, f"{prefix}{name}.")
        else:
            lines.append((f"{prefix}{name}", _shown(value)))
    return lines


def _shown(value: Any) -> str:
    from stores.selection import compact

    if value is None:
        return "-"
    if isinstance(value, list) and value and all(type(item) is int and item >= 0 for item in value):
        return compact(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
