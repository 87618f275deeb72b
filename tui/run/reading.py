"""What the screen of one run reads from disk. It may block: call it from `tui.background` only."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from stores import open_store
from stores.errors import UserError
from tui.browser.reading import Detail, detail_of, smaller
from tui.browser.rows import Row
from tui.heatmaps.choices import OfResult, OfRun
from tui.heatmaps.of_run import places_of, quantities_of

_WITHOUT_MAPS = ("scores",)
"""Kinds of results of which nothing is by step and layer."""


@dataclass(frozen=True)
class RunView:
    """What the screen of one run shows.

    Attributes:
        detail: its prompt and facts.
        image: the first image (row, col, rgb) uint8, if it has one.
        quantities: what can be shown of it, the first one first.
        results: of its store.
        problems: results that cannot be read, and why.
    """

    detail: Detail
    image: NDArray[np.uint8] | None
    quantities: tuple[OfRun, ...]
    results: tuple[OfResult, ...]
    problems: tuple[str, ...]


def read_run(row: Row) -> RunView:
    """A run and what there is to show of it.

    Raises:
        UserError: its file cannot be read.
    """
    store = open_store(row.store)
    with store.run(row.sample, row.seed, row.variant) as run:
        detail, image = detail_of(store, run), None if run.image is None else smaller(run.image)
        quantities = tuple(
            OfRun(row, quantity, place)
            for place in places_of(run)
            for quantity in quantities_of(run.sites[place.site])
        )
    results, problems = _results_of(row)
    return RunView(detail, image, quantities, tuple(results), tuple(problems))


def prepare(run: RunView) -> None:
    """Load what results are opened with, so that the first one opens as quickly as the others."""
    if run.results:
        import_module("xarray")


def _results_of(row: Row) -> tuple[list[OfResult], list[str]]:
    from probes.results.files import list_results, read_header, result_path

    found: list[OfResult] = []
    problems: list[str] = []
    for name in list_results(row.store):
        path = result_path(row.store, name)
        try:
            kind = str(read_header(path).provenance.get("kind", ""))
        except UserError as error:
            problems.append(str(error))
        else:
            if kind not in _WITHOUT_MAPS:
                found.append(OfResult(row, path, kind))
    return found, problems
