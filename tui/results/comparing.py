"""Two results beside one another: what both show, and what differs in what was asked. Blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tui.charts.chart import Chart
from tui.charts.comparing import compared
from tui.charts.views import View, made
from tui.heatmaps.heatmap import Heatmap
from tui.results.tabs import Opened, open_result

Which = tuple[Path, str]
"""A store and the name of a result."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A view of each of two results; ``name`` is what it is chosen by."""

    name: str
    first: View
    second: View


@dataclass(frozen=True, eq=False)
class Shown:
    """What a pair shows.

    Attributes:
        first, second: each by itself.
        together: both laid over one another, or their difference; None: they do not compare.
    """

    first: Heatmap | Chart
    second: Heatmap | Chart
    together: Heatmap | Chart | None


@dataclass(frozen=True, eq=False)
class Two:
    """Two results.

    Attributes:
        names: what tells them apart.
        pairs: the views that both have, by their names; if they share none, the main one of each.
        differences: what differs in what was asked and made: what, in the first, in the second.
        same: how many things are the same.
    """

    first: Opened
    second: Opened
    names: tuple[str, str]
    pairs: tuple[Pair, ...]
    differences: tuple[tuple[str, str, str], ...]
    same: int


def open_two(first: Which, second: Which) -> Two:
    """Two results and what can be seen of both.

    Raises:
        UserError: one of them cannot be read.
    """
    opened = open_result(*first), open_result(*second)
    told = [dict([*one.asked, *((name, text) for name, text in one.made)]) for one in opened]
    every = list(dict.fromkeys([*told[0], *told[1]]))
    all_of_them = [(name, told[0].get(name, "-"), told[1].get(name, "-")) for name in every]
    differing = tuple(one for one in all_of_them if one[1] != one[2])
    return Two(
        *opened, names_of(first, second), pairs_of(*opened), differing, len(all_of_them) - len(differing)
    )


def show_pair(pair: Pair, names: tuple[str, str]) -> Shown:
    """What a pair shows. Raises UserError: a result lacks what its kind tells of."""
    first, second = made(pair.first), made(pair.second)
    together = compared(first, second, names)
    if isinstance(first, Heatmap) and isinstance(second, Heatmap) and first.measure == second.measure:
        reach = _reach(first, second)
        first, second = replace(first, reach=reach), replace(second, reach=reach)
    return Shown(first, second, together)


def _reach(*maps: Heatmap) -> tuple[float, float] | None:
    """The least and the greatest of all values that are known, so that equal colours mean equal values."""
    values = np.concatenate([one.values.ravel() for one in maps])
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else None


def names_of(first: Which, second: Which) -> tuple[str, str]:
    """The shortest names that tell two results apart.

    >>> names_of((Path("a"), "x"), (Path("a"), "y")), names_of((Path("a"), "x"), (Path("b"), "x"))
    (('x', 'y'), ('a/x', 'b/x'))
    """
    if first[0] == second[0]:
        return first[1], second[1]
    if first[0].name != second[0].name:
        return f"{first[0].name}/{first[1]}", f"{second[0].name}/{second[1]}"
    return f"{first[0]}/{first[1]}", f"{second[0]}/{second[1]}"


def pairs_of(first: Opened, second: Opened) -> tuple[Pair, ...]:
    """The views that both have; the main one of each, if they share none."""
    theirs = {tab.view.name: tab.view for tab in second.charts}
    shared = tuple(Pair(tab.name, tab.view, theirs[tab.name]) for tab in first.charts if tab.name in theirs)
    if shared or not first.charts or not second.charts:
        return shared
    one, other = first.charts[0].view, second.charts[0].view
    return (Pair(f"{one.name}, {other.name}", one, other),)
