"""Intervals for what is measured on runs: resampled by sample, with a fixed seed, never without their n.

Runs of one sample are not independent (they share the prompt, the first image and the answer), so the unit
that is drawn is the *sample*, with all its runs. A bootstrap of a handful of samples covers too little (two
samples can draw only three different means), and one of identical outcomes has no width at all; both are
answered with a closed form that is known to hold there, and the estimate says which method it used.

Sources: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 14 (BCa); Davison and
Hinkley, Bootstrap Methods (1997), section 3.8 (drawing clusters); Wilson, JASA 22 (1927) 209; Cochran,
Sampling Techniques (1977), section 6.3 (the variance of a ratio, used for few samples).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtrit

Method = Literal["bca", "percentile"]

LEVEL = 0.95
DRAWS = 10_000
FEW_SAMPLES = 10
"""Below this many samples `mean` and `proportion` use a closed form: the bootstrap would promise too much."""

_CHUNK = 1 << 22
"""Resampling weights held at once, in numbers (32 MiB)."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval and all that is needed to say where it comes from.

    value, low, high   in the unit of what was measured; low and high are NaN where there is no interval
    level              coverage that the interval aims at
    n                  observations (runs)
    samples            independent samples they come from
    method             how the interval was made, in words
    seed, draws        of the bootstrap; None for a closed form, which draws nothing
    """

    value: float
    low: float
    high: float
    level: float
    n: int
    samples: int
    method: str
    seed: int | None
    draws: int | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: NaN becomes None."""
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(self).items()
        }

    @property
    def interval_text(self) -> str:
        """`[0.12, 0.55]`, or a word where there is none."""
        if not math.isfinite(self.low) or not math.isfinite(self.high):
            return "no interval"
        return f"[{self.low:.2f}, {self.high:.2f}]"

    def __str__(self) -> str:
        return f"{self.value:.2f} {self.interval_text}"


def describe(estimates: Sequence[Estimate], unit: str = "run") -> str:
    """One line that names n, interval and seed of figures shown together; `unit` is what n counts.

    All must come from the same observations; methods that differ between them (a step where every run has
    the same outcome, say) are all named.
    """
    if not estimates:
        raise ValueError("describe needs at least one estimate")
    first = estimates[0]
    if any((one.n, one.samples, one.level) != (first.n, first.samples, first.level) for one in estimates):
        raise ValueError("describe joins estimates of the same observations; these have different n")
    methods = list(dict.fromkeys(one.method for one in estimates))
    seeds = list(dict.fromkeys(one.seed for one in estimates if one.seed is not None))
    text = f"n = {_count(first.n, unit)}"
    text += "; " if unit == "sample" else f" of {_count(first.samples, 'sample')}; "
    if methods == [NO_INTERVAL]:
        return text + ("no interval: one sample" if first.samples == 1 else "no interval: samples all alike")
    text += f"{first.level:.0%} interval: {', or '.join(methods)}"
    if seeds:
        text += f"; bootstrap seed {', '.join(map(str, seeds))}"
    else:
        text += "; no random draws"
    return text


NO_INTERVAL = "none where all samples are alike"
WILSON = "Wilson, samples as n"


def wilson(successes: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927): never of zero width, never outside [0, 1].

    `n` may be an effective number of observations and `successes` need not be whole.
    """
    _check_level(level)
    if not n > 0 or not 0 <= successes <= n:
        raise ValueError(f"a proportion needs 0 <= successes <= n and n > 0, not {successes} of {n}")
    z = float(ndtri((1 + level) / 2))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At 0 and at n the bound is exactly 0 and 1; rounding would leave it a hair off.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def proportion(
    outcomes: ArrayLike,
    samples: Sequence[Hashable],
    *,
    seed: int = 0,
    draws: int = DRAWS,
    level: float = LEVEL,
    method: Method = "bca",
) -> Estimate:
    """The share of runs with an outcome: `outcomes` (run,) of 0 and 1, `samples` (run,) the sample of each.

    Cluster bootstrap over samples. With fewer than FEW_SAMPLES samples, or where all outcomes are alike,
    Wilson's interval with n = the number of samples: as if the runs of a sample were copies of one another,
    which is the worst that clustering can do.
    """
    values = _rows(outcomes, samples, columns=False)
    if not np.isin(values, (0.0, 1.0)).all():
        raise ValueError("a proportion is taken of outcomes that are 0 or 1")
    codes, count = _codes(samples)
    share = float(values.mean())
    if count >= FEW_SAMPLES and 0 < share < 1:
        return mean(values, samples, seed=seed, draws=draws, level=level, method=method)
    low, high = wilson(share * count, count, level)
    return Estimate(share, low, high, level, codes.size, count, WILSON, None, None)


def mean(
    values: ArrayLike,
    samples: Sequence[Hashable],
    *,
    seed: int = 0,
    draws: int = DRAWS,
    level: float = LEVEL,
    method: Method = "bca",
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """The mean over runs: `values` (run,), `samples` (run,). See `means`."""
    column = _rows(values, samples, columns=False)[:, None]
    return means(column, samples, seed=seed, draws=draws, level=level, method=method, bounds=bounds)[0]


def means(
    values: ArrayLike,
    samples: Sequence[Hashable],
    *,
    seed: int = 0,
    draws: int = DRAWS,
    level: float = LEVEL,
    method: Method = "bca",
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> list[Estimate]:
    """The mean over runs of each column of `values` (run, column), all from the same draws of samples.

    Cluster bootstrap over samples (every run counts once, so samples with more runs count more). With fewer
    than FEW_SAMPLES samples, and where all are alike, a closed form: if `bounds` (the least and the greatest
    value that the measure can take) are finite, Wilson's interval between them with n = the number of
    samples, which holds because nothing between bounds spreads more than outcomes at the bounds do; else
    Student's t on the between-sample variance of the ratio, cut off at the bounds, and no interval where
    nothing varies.
    """
    matrix = _rows(values, samples, columns=True)
    codes, count = _codes(samples)
    sizes = np.bincount(codes, minlength=count).astype(float)
    sums = np.zeros((count, matrix.shape[1]))
    np.add.at(sums, codes, matrix)
    centre = sums.sum(0) / sizes.sum()
    n = codes.size
    _check_level(level)
    spread = np.sqrt(((sums - sizes[:, None] * centre) ** 2).sum(0))
    flat = spread <= 1e-12 * sizes.sum() * np.maximum(1.0, np.abs(centre))
    closed = [
        _closed_form(float(c), float(s) / sizes.sum(), n, count, level, bounds)
        for c, s in zip(centre, np.where(flat, 0.0, spread), strict=True)
    ]
    if count < FEW_SAMPLES or flat.all():
        return closed

    drawn = np.concatenate(
        [(weights @ sums) / (weights @ sizes)[:, None] for weights in _draw_weights(count, draws, seed)]
    )
    without = (sums.sum(0) - sums) / (sizes.sum() - sizes)[:, None]
    low, high = _interval(drawn, centre, without, level, method)
    name = _method_name(method)
    return [
        without_draws if f else Estimate(float(c), float(lo), float(hi), level, n, count, name, seed, draws)
        for c, lo, hi, f, without_draws in zip(centre, low, high, flat, closed, strict=True)
    ]


def cluster_bootstrap(
    statistic: Callable[[NDArray[np.intp]], float],
    samples: Sequence[Hashable],
    *,
    seed: int = 0,
    draws: int = 2_000,
    level: float = LEVEL,
    method: Method = "bca",
) -> Estimate:
    """Any statistic of the runs, resampled by sample.

    `statistic(rows)` is given row numbers (a sample drawn twice brings its rows twice) and returns one
    number. For means use `mean`, which is far faster. With one sample there is no interval. Raises
    ValueError if the statistic of a draw is not finite.
    """
    codes, count = _codes(samples)
    _check_level(level)
    rows_of = [np.flatnonzero(codes == code) for code in range(count)]
    centre = float(statistic(np.arange(codes.size)))
    if count < 2:
        return Estimate(centre, math.nan, math.nan, level, codes.size, count, NO_INTERVAL, None, None)
    rng = np.random.default_rng(seed)
    drawn = np.empty(draws)
    for index in range(draws):
        drawn[index] = statistic(np.concatenate([rows_of[code] for code in rng.integers(0, count, count)]))
    everything = np.arange(codes.size)
    without = np.array([statistic(everything[codes != code]) for code in range(count)], dtype=float)
    low, high = _interval(
        _finite(drawn)[:, None], np.array([centre]), _finite(without)[:, None], level, method
    )
    return Estimate(
        centre, float(low[0]), float(high[0]), level, codes.size, count, _method_name(method), seed, draws
    )


def of_weights(
    statistics: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    samples: int,
    *,
    n: int,
    seed: int = 0,
    draws: int = 2_000,
    level: float = LEVEL,
    method: Method = "bca",
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> list[Estimate]:
    """Statistics that are computed from sums over samples, all from the same draws of samples.

    For ratios of sums, and what else does not need the runs once their sums by sample are known: a draw is a
    weight for each sample, how often it was drawn.

    Args:
        statistics: takes weights (draw, sample) and gives values (draw, column).
        samples: how many there are.
        n: observations that the sums are of.
        seed, draws, level, method: of the cluster bootstrap.
        bounds: the least and the greatest value that the statistics can take.

    Returns:
        One estimate a column. With fewer than FEW_SAMPLES samples Student's t on the jackknife's variance
        (Efron and Tibshirani, equation 11.5), cut off at the bounds; no interval for one sample, or where
        leaving any sample out changes nothing.

    Raises:
        ValueError: a statistic is not finite.
    """
    _check_level(level)
    if samples < 1:
        raise ValueError("nothing to estimate from: no samples")
    centre = _finite(statistics(np.ones((1, samples))))[0]
    without = _finite(statistics(1 - np.eye(samples))) if samples > 1 else np.repeat(centre[None], 1, 0)
    spread = np.sqrt((samples - 1) / samples * ((without - without.mean(0)) ** 2).sum(0))
    flat = spread <= 1e-12 * np.maximum(1.0, np.abs(centre))
    if samples >= FEW_SAMPLES and not flat.all():
        drawn = np.concatenate(
            [_finite(statistics(weights)) for weights in _draw_weights(samples, draws, seed)]
        )
        low, high = _interval(drawn, centre, without, level, method)
        made = _method_name(method), seed, draws
    else:
        half = float(stdtrit(max(1, samples - 1), (1 + level) / 2)) * spread
        low, high = np.maximum(centre - half, bounds[0]), np.minimum(centre + half, bounds[1])
        made = "Student t over samples, jackknife", None, None
    return [
        _closed_form(float(c), 0.0, n, samples, level, bounds)
        if f
        else Estimate(float(c), float(lo), float(hi), level, n, samples, *made)
        for c, lo, hi, f in zip(centre, low, high, flat, strict=True)
    ]


def _closed_form(
    centre: float, spread: float, n: int, count: int, level: float, bounds: tuple[float, float]
) -> Estimate:
    """The interval of a mean where the bootstrap covers too little.

    `spread` is the root of the sum of squares of what each sample moves the mean by.
    """
    low, high = bounds
    if math.isfinite(low) and math.isfinite(high):
        below, above = wilson(min(max((centre - low) / (high - low), 0.0), 1.0) * count, count, level)
        ends, name = (low + below * (high - low), low + above * (high - low)), WILSON
    elif count < 2 or spread == 0:
        ends, name = (math.nan, math.nan), NO_INTERVAL
    else:
        half = float(stdtrit(count - 1, (1 + level) / 2)) * spread * math.sqrt(count / (count - 1))
        ends, name = (max(centre - half, low), min(centre + half, high)), "Student t over samples"
    return Estimate(centre, *ends, level, n, count, name, None, None)


def _interval(
    drawn: NDArray[np.float64],
    centre: NDArray[np.float64],
    without: NDArray[np.float64],
    level: float,
    method: Method,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds (column,) from draws (draw, column), estimate (column,) and jackknife (sample, column)."""
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    columns = centre.size
    if method == "percentile":
        wanted = np.repeat(tails[:, None], columns, axis=1)
    elif method == "bca":
        # Ties count half: outcomes of 0 and 1 tie often, and z0 would be biased by where they fall.
        tolerance = 1e-12 * np.maximum(1.0, np.abs(centre))
        below = (drawn < centre - tolerance).mean(0) + 0.5 * (np.abs(drawn - centre) <= tolerance).mean(0)
        edge = 0.5 / len(drawn)
        z0 = ndtri(np.clip(below, edge, 1 - edge))
        deviation = without.mean(0) - without
        cube, square = (deviation**3).sum(0), (deviation**2).sum(0)
        flat = square <= tolerance**2
        acceleration = np.where(flat, 0.0, cube / (6 * np.where(flat, 1.0, square) ** 1.5))
        z = z0 + ndtri(tails)[:, None]
        wanted = ndtr(z0 + z / (1 - acceleration * z))
    else:
        raise ValueError(f"unknown bootstrap method {method!r}: bca or percentile")
    low = [float(np.quantile(drawn[:, column], wanted[0, column])) for column in range(columns)]
    high = [float(np.quantile(drawn[:, column], wanted[1, column])) for column in range(columns)]
    return np.array(low), np.array(high)


def _draw_weights(count: int, draws: int, seed: int):
    """How often each sample is drawn: (some draws, sample), a bounded block at a time."""
    if draws < 1:
        raise ValueError(f"a bootstrap needs at least one draw, not {draws}")
    rng = np.random.default_rng(seed)
    block = max(1, _CHUNK // count)
    even = np.full(count, 1 / count)
    for start in range(0, draws, block):
        yield rng.multinomial(count, even, size=min(block, draws - start)).astype(float)


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(values).all():
        raise ValueError("the statistic is not finite for some draws of samples; too few samples carry it")
    return values


def _rows(values: ArrayLike, samples: Sequence[Hashable], *, columns: bool) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=float)
    if array.ndim != (2 if columns else 1):
        raise ValueError(
            f"values must be {'(run, column)' if columns else '(run,)'}, not of shape {array.shape}"
        )
    if len(array) != len(samples):
        raise ValueError(f"{len(array)} values but {len(samples)} samples")
    if not np.isfinite(array).all():
        raise ValueError(
            "values must be finite; leave out runs that have none, so that n says how many count"
        )
    return array


def _codes(samples: Sequence[Hashable]) -> tuple[NDArray[np.intp], int]:
    order: dict[Hashable, int] = {}
    codes = np.array([order.setdefault(sample, len(order)) for sample in samples], dtype=np.intp)
    if not order:
        raise ValueError("nothing to estimate from: no runs")
    return codes, len(order)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not {level}")


def _method_name(method: Method) -> str:
    return {
        "bca": "cluster bootstrap by sample, BCa",
        "percentile": "cluster bootstrap by sample, percentile",
    }[cast("str", method)]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
