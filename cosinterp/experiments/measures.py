"""Numbers of runs from scores, and their means with intervals; what several experiments share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes import statistics
from probes.claims import Curve
from probes.scores import Reading, ScoreTable
from probes.statistics import Estimate

STEP_AXIS = "denoising step (0 = noisiest)"


def names_of(table: ScoreTable) -> list[str]:
    """The sample of each run."""
    return [run.sample for run in table.runs]


def headline(table: ScoreTable) -> str:
    """The metric that says whether a run is right: of the first reading, else the first of the headline."""
    right = table.readings[0].right
    return table.headline[0] if right is None else right


def label_of(table: ScoreTable, metric: str) -> str:
    """A few words for a metric."""
    return next(one.label for one in table.metrics if one.name == metric)


def labels(table: ScoreTable, reading: Reading) -> list[list[str | None]]:
    """What each run answers by step, (run, step), in a reading; None for no answer."""
    return [list(run.answers[reading.name]) for run in table.runs]


def mean_of(
    values: ArrayLike,
    samples: Sequence[str],
    seed: int,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate | None:
    """The mean over runs of what is known of them (NaN: nothing); None where nothing is known."""
    held = np.asarray(values, dtype=np.float64)
    rows = np.flatnonzero(np.isfinite(held)).tolist()
    if not rows:
        return None
    return statistics.mean(held[rows], [samples[row] for row in rows], seed=seed, bounds=bounds)


def curve_of(
    name: str,
    values: NDArray[np.float64],
    samples: Sequence[str],
    seed: int,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Curve:
    """Means over rows of (row, step), a point a step."""
    found = statistics.means(values, samples, seed=seed, bounds=bounds)
    return Curve(name, tuple(range(values.shape[1])), tuple(found))
