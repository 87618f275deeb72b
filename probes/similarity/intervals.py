"""Intervals and baselines: samples left out one by one, and samples exchanged.

The debiased estimators count no row with itself. A bootstrap draws a sample more than once, and its copies
are one another's equals, so it would put that bias back in. The jackknife over samples leaves each out once:
the estimate without it is exact, from sums that are less by its rows. Its standard error with Student's t
over samples makes the interval (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 11).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from probes.similarity.moments import Float64
from probes.statistics import LEVEL

JACKKNIFE = "jackknife over samples, Student t"

Shuffle = Literal["samples", "tokens"]
SHUFFLED: dict[Shuffle, str] = {
    "samples": "whole samples exchanged, so that what is left is what all samples share, such as position",
    "tokens": "tokens shuffled within each run, so that what is left is which run it is",
}
"""What is shuffled for a baseline, with what that leaves."""


def jackknife(
    value: Float64, without: Float64, bounds: tuple[float, float] = (-1.0, 1.0), level: float = LEVEL
) -> tuple[Float64, Float64]:
    """Lower and upper bounds (entry,) of an estimate.

    Args:
        value: (entry,), the estimate from all samples.
        without: (entry, sample), without each of them.
        bounds: that the measure cannot pass.
        level: coverage that the interval aims at.

    Returns:
        Two arrays (entry,); NaN for fewer than two samples, where something is not known, and where nothing
        varies.
    """
    from scipy.special import stdtrit

    samples = without.shape[1]
    if samples < 2:
        return np.full(value.shape, np.nan), np.full(value.shape, np.nan)
    away = without - without.mean(axis=1, keepdims=True)
    error = np.sqrt((samples - 1) / samples * (away**2).sum(axis=1))
    error[error <= 1e-12] = np.nan
    half = float(stdtrit(samples - 1, (1 + level) / 2)) * error
    return np.clip(value - half, *bounds), np.clip(value + half, *bounds)


@dataclass(frozen=True)
class Shuffles:
    """How rows are exchanged for baselines, the same ones for every feature.

    Attributes:
        kinds: which of `SHUFFLED`.
        draws: how many of each.
        seed: of the draws.
        samples, per_sample: how many samples there are, and blocks of each, lying side by side.
        rows: of a block.
    """

    kinds: tuple[Shuffle, ...]
    draws: int
    seed: int
    samples: int
    per_sample: int
    rows: int

    def block(self, kind: Shuffle, draw: int, block: int) -> int:
        """The block whose rows are put beside those of ``block``: with samples, one of another sample."""
        if kind == "tokens":
            return block
        order = np.random.default_rng([self.seed, draw]).permutation(self.samples)
        # One round over all samples in random order: none stays with itself.
        after = dict(zip(order.tolist(), np.roll(order, -1).tolist(), strict=True))
        sample, run = divmod(block, self.per_sample)
        return after[sample] * self.per_sample + run

    def positions(self, kind: Shuffle, draw: int, block: int) -> NDArray[np.intp]:
        """Which row of that block is put beside each of this: (row,)."""
        if kind == "samples":
            return np.arange(self.rows, dtype=np.intp)
        drawn = np.random.default_rng([self.seed, draw, block]).permutation(self.rows)
        return drawn.astype(np.intp)


def offered(asked: Sequence[Shuffle], samples: int, rows: int) -> tuple[Shuffle, ...]:
    """Those of the shuffles that can be made: samples of at least two, tokens of at least two a run."""
    possible: dict[Shuffle, bool] = {"samples": samples > 1, "tokens": rows > 1}
    return tuple(kind for kind in asked if possible[kind])
