"""Scores of runs and of their clean estimates, as words, a table and curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

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
    samples = [run.sample for run in table.runs]
    values = np.column_stack([table.metric(metric.name), table.final(metric.name)])
    if metric.kind == "share":
        found = [statistics.proportion(column, samples, seed=seed) for column in values.T]
    else:
        found = statistics.means(values, samples, seed=seed, bounds=metric.bounds)
    return found[:-1], found[-1]


def _summary(dataset: xarray.Dataset) -> list[str]:
    table = ScoreTable.from_dataset(dataset)
    finals = {metric: estimates(table, metric)[1] for metric in table.metrics}
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
