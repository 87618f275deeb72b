"""The numbers of one chart: curves over something, or dots by name, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from stores.units import count_text
from tui.heatmaps.heatmap import number_text

Numbers = NDArray[np.float64]
"""(point,)"""
Counts = NDArray[np.int64]
"""(point,)"""
_ROUNDING = 1e-14


@dataclass(frozen=True, eq=False)
class Curve:
    """Values along an axis.

    Attributes:
        name: what tells it from the others of its chart.
        at: where each point stands (point,), from low to high.
        values: (point,), NaN where nothing is known.
        low, high: ends of the intervals (point,), NaN where there is none; None: it has none at all.
        n, samples: of how much each value is (point,), and of how many samples.
        counted: what ``n`` counts, one and several, as "run", "runs"; None: nothing that has a name.
        marked: (point,), points that stand out; the chart's ``mark`` says in words how.
        is_beside: a control or a baseline, which the others are held against: drawn broken, without a band.

    Raises:
        ValueError: arrays that are not as long as ``at``, or places that do not rise.
    """

    name: str
    at: Numbers
    values: Numbers
    low: Numbers | None = None
    high: Numbers | None = None
    n: Counts | None = None
    samples: Counts | None = None
    counted: tuple[str, str] | None = None
    marked: NDArray[np.bool_] | None = None
    is_beside: bool = False

    def __post_init__(self) -> None:
        parts = (self.values, self.low, self.high, self.n, self.samples, self.marked)
        if any(part is not None and part.shape != self.at.shape for part in parts):
            raise ValueError(f"{self.name}: arrays do not have the shape {self.at.shape} (point,)")
        if (np.diff(self.at) <= 0).any():
            raise ValueError(f"{self.name}: places do not rise: {self.at.tolist()}")

    @property
    def has_band(self) -> bool:
        """Whether any of its intervals is known."""
        return self.low is not None and self.high is not None and bool((~np.isnan(self.low)).any())


@dataclass(frozen=True, eq=False, kw_only=True)
class Chart:
    """What all charts have.

    Attributes:
        title: what is shown.
        measure: what the values are, on their axis.
        note: of how much, with which intervals and which seed, in a line or two.
        reference: a value that the others are held against; None: there is none.
        reference_name: what it is, such as "chance".
        limits: of the values' axis; None: by what is there.
        is_logarithmic: the values' axis is.
        mark: in words, how marked points stand out.
    """

    title: str
    measure: str
    note: str = ""
    reference: float | None = None
    reference_name: str = ""
    limits: tuple[float, float] | None = None
    is_logarithmic: bool = False
    mark: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Curves(Chart):
    """Curves over one axis.

    Attributes:
        across: the name of that axis, such as "step".
        curves: with different names; at least one.
        places: names of places on the axis, where these are no numbers, or are spans of several.
        is_across_logarithmic: that axis is.
    """

    across: str
    curves: tuple[Curve, ...]
    places: Mapping[float, str] = field(default_factory=lambda: MappingProxyType({}))
    is_across_logarithmic: bool = False

    def __post_init__(self) -> None:
        names = [curve.name for curve in self.curves]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"{self.title}: curves with different names are needed, not {names}")

    def place_name(self, at: float) -> str:
        """A place on the axis, as it is called there."""
        return self.places.get(at, f"{at:g}")

    def point_text(self, curve: int, point: int) -> str:
        """A point, by the indices of its curve and within it, in words: where, value, interval, n."""
        one = self.curves[curve]
        name = f", {one.name}" if len(self.curves) > 1 else ""
        value = float(one.values[point])
        parts = [value_text(value, _end(one.low, point), _end(one.high, point))]
        if not math.isnan(value):
            parts += _counts(_at(one.n, point), _at(one.samples, point), one.counted)
        if one.marked is not None and one.marked[point]:
            parts.append(f"* {self.mark}")
        return f"{self.across} {self.place_name(float(one.at[point]))}{name}: " + ", ".join(parts)


@dataclass(frozen=True, eq=False)
class Dot:
    """A value that has a name.

    Attributes:
        name: of it.
        value, low, high: with the ends of its interval, NaN where there is none.
        n, samples: of how much it is, and of how many samples; None: not told.
        group: the heading that it stands under; empty: none.
        beside: values that it is held against, such as controls, by name.
        told: what else there is to say of it, such as a cost or a verdict.
        reference: what it is held against, where each dot has a scale of its own.
        is_hollow: it is not of the kind that could be had, as what an oracle chooses.
        is_marked: it stands out; the chart's ``mark`` says in words how.
    """

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    n: int | None = None
    samples: int | None = None
    group: str = ""
    beside: tuple[tuple[str, float], ...] = ()
    told: str = ""
    reference: float | None = None
    is_hollow: bool = False
    is_marked: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Dots(Chart):
    """Values by name, a row each.

    Attributes:
        dots: in the order of the rows; at least one.
        counted: what ``n`` counts, one and several; None: nothing that has a name.
        has_own_scales: the dots are of different units, so each lies on a scale of its own, about its own
            reference.
    """

    dots: tuple[Dot, ...]
    counted: tuple[str, str] | None = None
    has_own_scales: bool = False

    def __post_init__(self) -> None:
        if not self.dots:
            raise ValueError(f"{self.title}: at least one dot is needed")

    def dot_text(self, place: int) -> str:
        """A dot, by its index, in words: its name, value, interval, n, and what it is held against."""
        dot = self.dots[place]
        parts = [value_text(dot.value, dot.low, dot.high)]
        if not math.isnan(dot.value):
            parts += _counts(dot.n, dot.samples, self.counted)
        parts += [f"{name} {number_text(value)}" for name, value in dot.beside]
        parts += [dot.told] if dot.told else []
        if dot.is_marked:
            parts.append(f"* {self.mark}")
        group = f"{dot.group}, " if dot.group else ""
        return f"{group}{dot.name}: " + ", ".join(parts)


def interval_text(low: float, high: float) -> str:
    """An interval, with the ends that it has: ``[0.1, 0.3]``; ``(no interval)`` for NaN."""
    if math.isnan(low) or math.isnan(high):
        return "(no interval)"
    return f"[{number_text(low)}, {number_text(high)}]"


def value_text(value: float, low: float | None = None, high: float | None = None) -> str:
    """A value with its interval: ``0.2 [0.1, 0.3]``; without one where an end is None."""
    if math.isnan(value):
        return "not known"
    # A difference of means that are the same is not 0 by a rounding error.
    told = number_text(0.0 if abs(value) < _ROUNDING else value)
    if low is None or high is None:
        return told
    return f"{told} {interval_text(low, high)}"


def _counts(n: int | None, samples: int | None, counted: tuple[str, str] | None) -> list[str]:
    parts = []
    if n is not None:
        parts.append(f"n = {n:,}" + (f" {counted[n != 1]}" if counted else ""))
    if samples is not None and not (n == samples and counted == ("sample", "samples")):
        parts.append(f"of {count_text(samples, 'sample')}")
    return parts


def _at(numbers: Counts | None, point: int) -> int | None:
    return None if numbers is None else int(numbers[point])


def _end(numbers: Numbers | None, point: int) -> float | None:
    return None if numbers is None else float(numbers[point])
