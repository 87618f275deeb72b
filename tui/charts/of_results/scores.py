"""Scores: the headline metrics by step, and all metrics of the final videos."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from tui.charts.chart import Curves, Dots
from tui.charts.making import RUNS, curve_of, dot_of
from tui.charts.view import Made

if TYPE_CHECKING:
    import xarray


def views(dataset: xarray.Dataset) -> Iterator[Made]:
    """The ways to look at scores, the main one first."""
    yield Made("by step", partial(_by_step, dataset))
    yield Made("final videos", partial(_final, dataset))


def _by_step(dataset: xarray.Dataset) -> Curves:
    from probes.kinds.scores import estimates
    from probes.scores import ScoreTable
    from probes.statistics import describe

    table = ScoreTable.from_dataset(dataset)
    shown = [metric for metric in table.metrics if metric.name in table.headline]
    found = {metric: estimates(table, metric)[0] for metric in shown}
    return Curves(
        title="Score of the clean estimate by step",
        measure="mean over runs",
        across="step",
        curves=tuple(curve_of(metric.label, range(len(curve)), curve) for metric, curve in found.items()),
        limits=(0.0, 1.0) if all(metric.bounds == (0, 1) for metric in shown) else None,
        note=describe([one for curve in found.values() for one in curve]),
    )


def _final(dataset: xarray.Dataset) -> Dots:
    from probes.kinds.scores import final_estimate
    from probes.scores import ScoreTable
    from probes.statistics import describe

    table = ScoreTable.from_dataset(dataset)
    found = {metric: final_estimate(table, metric) for metric in table.metrics}
    return Dots(
        title="Scores of the final videos",
        measure="mean over runs",
        dots=tuple(dot_of(metric.label, one) for metric, one in found.items()),
        counted=RUNS,
        limits=(0.0, 1.0) if all(metric.bounds == (0, 1) for metric in found) else None,
        note=describe(list(found.values())),
    )
