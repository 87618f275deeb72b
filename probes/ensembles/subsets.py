"""What choosing among k of K seeds gives on average over all subsets of k: exactly, without drawing any.

A rule that chooses one seed of a subset (or shares the choice between several that are tied) gives each seed
a weight: how often it is chosen, over all subsets of size k. The weights of the seeds sum to 1, and the mean
of what is chosen is the weighted mean of what the seeds give. Ties are shared between the tied seeds alike,
which is what choosing blindly among them gives on average, so no number depends on how seeds are numbered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from functools import lru_cache
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

Weights = NDArray[np.float64]
"""(seed,) how often each is chosen; they sum to 1."""


def greatest_weights(scores: ArrayLike, size: int) -> Weights:
    """The seed of the greatest score of each subset is chosen.

    Args:
        scores: (seed,).
        size: of the subsets, from 1 to the number of seeds.

    Raises:
        ValueError: no such subsets, or a score is NaN.
    """
    values = np.asarray(scores, dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError("a score is NaN; leave its sample out")
    _check(len(values), size)
    subsets = comb(len(values), size)
    weights = np.zeros(len(values))
    for level in np.unique(values):
        here = values == level
        up_to, below = int((values <= level).sum()), int((values < level).sum())
        weights[here] = float(Fraction(comb(up_to, size) - comb(below, size), subsets)) / here.sum()
    return weights


def most_common_weights(answers: Sequence[Hashable], size: int) -> Weights:
    """A seed that gives the most common answer of each subset is chosen; a tie is shared between answers.

    Args:
        answers: (seed,) what each gives; None is an answer like any other.
        size: of the subsets.

    Raises:
        ValueError: no such subsets.
    """
    _check(len(answers), size)
    counts = Counter(answers)
    # Weights depend on the sizes alone, so that few patterns are computed for many samples.
    names = sorted(counts, key=lambda name: -counts[name])
    shares = _plurality(tuple(counts[name] for name in names), size)
    each = {name: share / counts[name] for name, share in zip(names, shares, strict=True)}
    return np.array([each[answer] for answer in answers])


def agreed_weights(answers: Sequence[Hashable | None], size: int) -> Weights:
    """The seed whose answer most others of each subset share is chosen, among those that give one.

    A seed without an answer (None) is chosen only where no seed of the subset gives one.

    Args:
        answers: (seed,).
        size: of the subsets.

    Raises:
        ValueError: no such subsets.
    """
    count = len(answers)
    _check(count, size)
    given = np.array([answer is not None for answer in answers])
    answering = int(given.sum())
    weights = np.zeros(count)
    said = [answer for answer in answers if answer is not None]
    for held in range(max(0, size - (count - answering)), min(size, answering) + 1):
        share = float(
            Fraction(comb(answering, held) * comb(count - answering, size - held), comb(count, size))
        )
        if held:
            weights[given] += share * most_common_weights(said, held)
        else:
            weights[~given] += share / (count - answering)
    return weights


def chosen_means(
    values: NDArray[np.float64],
    choices: Sequence[Sequence[Hashable]],
    weigh: Callable[..., Weights],
    size: int,
) -> NDArray[np.float64]:
    """The mean over subsets of what a rule chooses, of each sample.

    Args:
        values: (sample, seed) what each seed gives.
        choices: (sample, seed) what the rule goes by: scores or answers.
        weigh: the rule, one of this module.
        size: of the subsets.

    Returns:
        (sample,)
    """
    return np.array([weigh(by, size) @ row for by, row in zip(choices, values, strict=True)])


def greatest_means(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The mean over subsets of their greatest value, (sample,) of values (sample, seed)."""
    count = values.shape[1]
    _check(count, size)
    weights = [float(Fraction(comb(below, size - 1), comb(count, size))) for below in range(count)]
    return np.sort(values, axis=1) @ np.array(weights)


def least_means(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The mean over subsets of their least value, (sample,) of values (sample, seed)."""
    return -greatest_means(-values, size)


@lru_cache(maxsize=4096)
def _plurality(sizes: tuple[int, ...], size: int) -> tuple[float, ...]:
    """How often each of these groups has the most members of a subset, a tie shared between the tied."""
    subsets = comb(sum(sizes), size)
    shares = []
    for place, own in enumerate(sizes):
        others = sizes[:place] + sizes[place + 1 :]
        won = Fraction(0)
        for most in range(1, min(own, size) + 1):
            ways = _tied_ways(others, most, size - most)
            won += comb(own, most) * sum(Fraction(number, tied + 1) for tied, number in enumerate(ways))
        shares.append(float(won / subsets))
    return tuple(shares)


@lru_cache(maxsize=65536)
def _tied_ways(sizes: tuple[int, ...], most: int, taken: int) -> tuple[int, ...]:
    """In how many ways groups give so many members, none more than `most`: by how many give just `most`."""
    if not sizes:
        return (1,) if taken == 0 else (0,)
    ways = [0] * (len(sizes) + 1)
    for given in range(min(sizes[0], most, taken) + 1):
        is_tied = given == most
        for tied, number in enumerate(_tied_ways(sizes[1:], most, taken - given)):
            ways[tied + is_tied] += comb(sizes[0], given) * number
    return tuple(ways)


def _check(count: int, size: int) -> None:
    if not 1 <= size <= count:
        raise ValueError(f"subsets have 1 to {count} of the seeds, not {size}")
