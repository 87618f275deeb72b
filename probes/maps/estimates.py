"""Means over runs, with intervals over samples, of arrays of any size."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes import statistics

_COLUMNS = 512
"""How many means are drawn together; each holds a number for every draw of the bootstrap."""


@dataclass(frozen=True, eq=False)
class Means:
    """Means of an array over its runs: value, low and high have its other axes.

    ``words`` names n, interval and seed. Places that are unknown (NaN) in some run are unknown here.
    """

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    words: str


def means_over_runs(
    values: NDArray[np.floating], samples: Sequence[Hashable], *, seed: int, level: float = statistics.LEVEL
) -> Means:
    """The means of magnitudes (run, ...), never negative, all of them from the same draws of samples.

    See `statistics.means` for the intervals.
    """
    flat = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    known = np.flatnonzero(np.isfinite(flat).all(axis=0))
    made = np.full((3, flat.shape[1]), np.nan)
    estimates: list[statistics.Estimate] = []
    for start in range(0, len(known), _COLUMNS):
        columns = known[start : start + _COLUMNS]
        some = statistics.means(flat[:, columns], samples, seed=seed, level=level, bounds=(0.0, np.inf))
        made[:, columns] = np.array([(one.value, one.low, one.high) for one in some]).T
        estimates += some
    value, low, high = made.reshape(3, *values.shape[1:])
    return Means(value, low, high, statistics.describe(estimates))
