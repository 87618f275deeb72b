"""The axis of a chart: where values lie on it, and round numbers along it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_ROUND = (1.0, 2.0, 5.0, 10.0)
_LOG_TICKS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0))
_SPARE = 0.04


@dataclass(frozen=True)
class Axis:
    """What lies between two values.

    Attributes:
        low, high: its ends; low < high.
        is_logarithmic: equal ratios are equally far apart; both ends are then positive.
    """

    low: float
    high: float
    is_logarithmic: bool = False

    @classmethod
    def of(
        cls,
        values: Iterable[Values],
        limits: tuple[float, float] | None = None,
        *,
        is_logarithmic: bool = False,
        spare: float = _SPARE,
    ) -> Axis:
        """An axis that holds all that is finite, with a little to spare, or that has these limits.

        Where nothing is known it goes from 0 to 1; where all values are the same, they lie in its middle.
        """
        if limits is not None and not is_logarithmic:
            return cls(*limits)
        joined = np.concatenate([np.asarray(one, np.float64).reshape(-1) for one in (*values, [])])
        known = joined[np.isfinite(joined)]
        if is_logarithmic and known.size and (known > 0).any():
            logs = np.log(known[known > 0])
            low, high = _spaced(float(logs.min()), float(logs.max()), spare, 0.5)
            return cls(math.exp(low), math.exp(high), True)
        if not known.size:
            return cls(0.0, 1.0)
        low, high = float(known.min()), float(known.max())
        return cls(*_spaced(low, high, spare, abs(low) * 0.1 or 0.5))

    def shares(self, values: Values) -> Values:
        """Where values lie, 0 at the low end and 1 at the high one; beyond them outside; NaN stays NaN."""
        values = np.asarray(values, np.float64)
        low, high = self.low, self.high
        if self.is_logarithmic:
            with np.errstate(divide="ignore", invalid="ignore"):
                values = np.log(values)
            low, high = math.log(low), math.log(high)
        return (values - low) / (high - low)

    def share(self, value: float) -> float:
        """Where one value lies."""
        return float(self.shares(np.array([value]))[0])

    def ticks(self, most: int, *, whole: bool = False) -> list[tuple[float, str]]:
        """At most so many round values between the ends, evenly spaced, with how they are written.

        With ``whole`` only whole numbers.

        >>> Axis(0.0, 1.0).ticks(6)
        [(0.0, '0.0'), (0.2, '0.2'), (0.4, '0.4'), (0.6, '0.6'), (0.8, '0.8'), (1.0, '1.0')]
        """
        most = max(1, most)
        if self.is_logarithmic:
            found = self._logarithmic_ticks(most)
            if len(found) > 1:
                return found
        step = _round_up((self.high - self.low) / most)
        while True:
            if whole:
                step = max(1.0, step)
            first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
            if last - first < most:
                break
            step = _round_up(step * 1.01)
        return [(place * step, _text(place * step, step)) for place in range(first, last + 1)]

    def _logarithmic_ticks(self, most: int) -> list[tuple[float, str]]:
        low, high = self.low * (1 - 1e-9), self.high * (1 + 1e-9)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        best: list[float] = []
        for factors in _LOG_TICKS:
            there = [factor * 10.0**decade for decade in decades for factor in factors]
            there = [value for value in there if low <= value <= high]
            if len(there) <= most:
                best = there
        if not best:
            every = -(-len(decades) // most)
            best = [10.0**decade for decade in decades[::every] if low <= 10.0**decade <= high]
        return [(value, f"{value:g}") for value in best]


def _spaced(low: float, high: float, spare: float, alone: float) -> tuple[float, float]:
    """Ends with a little to spare; ``alone`` to either side where there is one value only."""
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        return low - (alone or 0.5), high + (alone or 0.5)
    return low - spare * (high - low), high + spare * (high - low)


def _round_up(step: float) -> float:
    """The least of 1, 2, 5, 10, 20 ... that is no smaller, of any power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * one for one in _ROUND if power * one >= step * (1 - 1e-9))


def _text(value: float, step: float) -> str:
    """A tick with as many digits as its neighbours differ in."""
    size = max(abs(value), step)
    if size >= 1e5 or step < 1e-4:
        return "0" if value == 0 else f"{value:.6g}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value + 0.0:.{digits}f}"
