"""Curves and dots of estimates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tui.charts.chart import Curve, Dot, Numbers

if TYPE_CHECKING:
    from probes.statistics import Estimate

RUNS, SAMPLES, PATCHES = ("run", "runs"), ("sample", "samples"), ("patch", "patches")


def curve_of(
    name: str,
    at: Sequence[float] | NDArray[Any],
    estimates: Sequence[Estimate],
    counted: tuple[str, str] | None = RUNS,
    *,
    marked: NDArray[np.bool_] | None = None,
    is_beside: bool = False,
) -> Curve:
    """A curve of estimates, one a place; the places rise."""
    return Curve(
        name,
        np.asarray(at, np.float64),
        _parts(estimates, "value"),
        _parts(estimates, "low"),
        _parts(estimates, "high"),
        np.array([one.n for one in estimates], np.int64),
        np.array([one.samples for one in estimates], np.int64),
        counted,
        marked,
        is_beside,
    )


def dot_of(name: str, one: Estimate, **more: Any) -> Dot:
    """A dot of an estimate; ``more`` as `Dot` takes it."""
    return Dot(name, one.value, one.low, one.high, one.n, one.samples, **more)


def how_made(estimates: Iterable[Estimate], counted: tuple[str, str] = RUNS) -> str:
    """Of how much estimates are, which may differ between them, how their intervals were made, and from
    which seed."""
    known = [one for one in estimates if one.n]
    if not known:
        return "nothing is known"
    methods = ", or ".join(dict.fromkeys(one.method for one in known))
    seeds = sorted({one.seed for one in known if one.seed is not None})
    drawn = f"bootstrap seed {', '.join(map(str, seeds))}" if seeds else "no random draws"
    of = "" if counted == SAMPLES else f" of {_span([one.samples for one in known], SAMPLES)}"
    n = f"n = {_span([one.n for one in known], counted)}{of}"
    return f"{n}; {known[0].level:.0%} interval: {methods}; {drawn}"


def _span(numbers: Sequence[int], counted: tuple[str, str]) -> str:
    low, high = min(numbers), max(numbers)
    count = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{count} {counted[high != 1]}"


def sentence(text: str) -> str:
    """With a capital at its beginning."""
    return text[:1].upper() + text[1:]


def _parts(estimates: Sequence[Estimate], name: str) -> Numbers:
    return np.array([getattr(one, name) for one in estimates], np.float64)
