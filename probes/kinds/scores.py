"""Scores of runs and of their clean estimates, as words, a table and curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes import statistics
from probes.kinds import Kind
from probes.scores import Metric, ScoreTable
from probes.statistics import Estimate, describe

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure


def estimates(table: ScoreTable, metric: Metric, *, seed: int = 0) -> tuple[list[Estimate], Estimate]:
    """The mean of a metric over runs: at each step, and of the final videos."""
    values = np.column_stack([table.metric(metric.name), table.final(metric.name)])
    *by_step, final = _means(table, metric, values, seed)
    return by_step, final


def final_estimate(table: ScoreTable, metric: Metric, *, seed: int = 0) -> Estimate:
    """The mean of a metric over the final videos of runs: that of `estimates` up to rounding, but sooner."""
    return _means(table, metric, table.final(metric.name)[:, None], seed)[0]


def _means(table: ScoreTable, metric: Metric, values: NDArray[np.float64], seed: int) -> list[Estimate]:
    """Of each column of values (run, column)."""
    samples = [run.sample for run in table.runs]
    if metric.kind == "share":
        return [statistics.proportion(column, samples, seed=seed) for column in values.T]
    return statistics.means(values, samples, seed=seed, bounds=metric.bounds)


def _summary(dataset: xarray.Dataset) -> list[str]:
    table = ScoreTable.from_dataset(dataset)
    finals = {metric: final_estimate(table, metric) for metric in table.metrics}
    variant = "" if table.variant == "base" else f", variant {table.variant}"
    lines = [f"Task {table.task}{variant}: {table.num_steps} steps. Final videos, means over runs:"]
    lines += [f"{metric.label} {estimate}" for metric, estimate in finals.items()]
    return [*lines, f"{describe(list(finals.values()))}."]


def _table(dataset: xarray.Dataset) -> pandas.DataFrame:
    import pandas as pd

    table = ScoreTable.from_dataset(dataset)
    rows = []
    for metric in table.metrics:
        by_step, final = estimates(table, metric)
        for step, one in [*enumerate(by_step), ("final", final)]:
            numbers = {"value": one.value, "low": one.low, "high": one.high, "n": one.n}
            rows.append({"metric": metric.name, "step": step, **numbers, "samples": one.samples})
    return pd.DataFrame(rows)


def _figures(dataset: xarray.Dataset) -> Mapping[str, Callable[[], Figure]]:
    return {"by-step": partial(_by_step, dataset)}


def _by_step(dataset: xarray.Dataset) -> Figure:
    table = ScoreTable.from_dataset(dataset)
    shown = [metric for metric in table.metrics if metric.name in table.headline]
    return by_step_figure({metric: estimates(table, metric)[0] for metric in shown})


def by_step_figure(curves: Mapping[Metric, Sequence[Estimate]]) -> Figure:
    """Means of metrics of the clean estimate by step, as curves with bands."""
    from probes.figures import plots

    return plots.by_step(
        {metric.label: curve for metric, curve in curves.items()},
        title="Score of the clean estimate by step",
        ylabel="mean over runs",
        caption=describe([one for curve in curves.values() for one in curve]) + ".",
        limits=(0, 1) if all(metric.bounds == (0, 1) for metric in curves) else None,
    )


KIND = Kind("Scores of runs and of their clean estimates by step", _summary, _table, _figures)
