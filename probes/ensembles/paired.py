"""Differences that are paired by sample: how likely they are by chance, and what they say at equal cost.

Sources: Good, Permutation, Parametric and Bootstrap Tests of Hypotheses (2005), section 3.2 (signs flipped);
Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39 (p-values that are never 0); Holm, Scand. J.
Statist. 6 (1979) 65.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.statistics import DRAWS, Estimate

GAIN = "a gain at equal cost"
NO_GAIN = "no gain at equal cost"
NOT_TOLD = "not told apart at equal cost"
VERDICTS = (GAIN, NO_GAIN, NOT_TOLD)
RULE = (
    f'"{GAIN}": the intervals of the differences from both best and majority of as many seeds as the cost '
    f'pays for lie above 0; "{NO_GAIN}": one of them lies below 0; else "{NOT_TOLD}".'
)
"""The rule of `verdict`, in words."""


def sign_flip_p(differences: ArrayLike, *, seed: int = 0, draws: int = DRAWS) -> float:
    """How likely a mean so far from 0, on either side, is if each sample's difference had either sign alike.

    Exact where there are no more ways to choose signs than `draws`, else of so many drawn at random, of which
    the one that was seen counts as one more.

    Args:
        differences: (sample,); samples without a difference say nothing and are passed over.
        seed: of the draws.
        draws: how many.

    Raises:
        ValueError: a difference is not finite, or there are none.
    """
    from scipy.stats import permutation_test

    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError("differences are finite numbers, one a sample")
    told = values[values != 0]
    if told.size < 2:
        # Either sign of the only one is as far from 0.
        return 1.0
    found = permutation_test(
        (told,),
        _mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=draws,
        # Bounds the memory: draws are held a batch at a time.
        batch=max(1, (1 << 22) // told.size),
        alternative="two-sided",
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """p-values that hold over all tests together: the chance of any false finding is bounded (Holm 1979).

    Raises:
        ValueError: not numbers between 0 and 1, or none.
    """
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not values.size or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p-values are numbers between 0 and 1, one a test")
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(values.size, 0, -1)
    adjusted = np.empty(values.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def verdict(differences: Iterable[Estimate]) -> str:
    """What the differences from the rules that need no right answer say, at equal cost; see `RULE`."""
    bounds = [(one.low, one.high) for one in differences]
    if all(low > 0 for low, _ in bounds):
        return GAIN
    return NO_GAIN if any(high < 0 for _, high in bounds) else NOT_TOLD


def seeds_paid(cost: float, one: float, most: int) -> float:
    """How many seeds the cost of something pays for: at least one, and no more than there are.

    A part of a seed is one seed more for that part of the samples.

    Args:
        cost: of it.
        one: of one seed.
        most: seeds that there are.
    """
    # A mean of costs may be off by a rounding.
    return min(max(1.0, round(cost / one, 9)), float(most))


def at_size(curve: Sequence[NDArray[np.float64]], seeds: float) -> NDArray[np.float64]:
    """What a rule gives of so many seeds; of a part of a seed, if that part of the samples had one more.

    Args:
        curve: (sample,) what it gives of 1, 2, ... seeds.
        seeds: from 1 to as many as the curve has.

    Returns:
        (sample,) the mean of both ways to spend it on a sample, each as often as is paid for.
    """
    whole = int(seeds)
    part = seeds - whole
    return curve[whole - 1] if not part else (1 - part) * curve[whole - 1] + part * curve[whole]


def turned(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """By sample, the share of its pairs of runs that turn right, and the share that turn wrong.

    Args:
        before, after: (sample, pair) 0 or 1, of the same samples.

    Returns:
        (sample,) wrong before and right after; (sample,) right before and wrong after. Their difference is
        the difference of the means.
    """
    return ((1 - before) * after).mean(axis=1), (before * (1 - after)).mean(axis=1)


def pairs(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    seeds: Sequence[int],
    seeds_after: Sequence[int],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Runs paired: those of the same seed where there are as many of both, else each with each.

    Args:
        before: (sample, seed); after: (sample, run).
        seeds, seeds_after: what the columns are called.

    Returns:
        Both as (sample, pair).
    """
    if tuple(seeds) == tuple(seeds_after):
        return before, after
    return np.repeat(before, after.shape[1], axis=1), np.tile(after, (1, before.shape[1]))


def _mean(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    return values.mean(axis=axis)
