"""Solved against cost: single seeds, their votes, and every scheme."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from cosinterp.organism.bulk_ensembles.comparison import ANY, SINGLE, VOTE, Compared
from probes.figures.plots import OKABE_ITO

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
# What solves so much less than a single seed would take the room of all else.
_BELOW = 0.12
# Of names beside dots: where they may stand, and the width of a letter, in pixels.
_PLACES = ((8, 0), (8, 9), (8, -9), (-8, 9), (-8, -9), (-8, 0))
_LETTER = 5.2
_TICKS = (0.5, 1, 2, 4, 8, 16)


def solved_by_cost(
    votes: Sequence[Compared],
    any_of: Sequence[Compared],
    others: Sequence[Compared],
    named: Sequence[str],
    caption: str,
) -> Figure:
    """The share solved by how many times a single seed's evaluations it took.

    Args:
        votes: the single seed, then votes of more and more, drawn as a line with its interval.
        any_of: the single seed, then any of more and more; likewise.
        others: dots, a colour and a marker for each family.
        named: of these, the names are written beside the dots.
        caption: printed under the axes: the place of n, interval and seed.
    """
    figure = Figure(figsize=(9.4, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for line, label, style, colour in (
        (votes, "vote of single seeds", "-", "#000000"),
        (any_of, "any of as many (knows the answer)", "--", "#777777"),
    ):
        times = [one.times for one in line]
        axes.plot(times, [one.solved.value for one in line], style, color=colour, label=label, lw=1.4)
        axes.fill_between(
            times,
            [one.solved.low for one in line],
            [one.solved.high for one in line],
            color=colour,
            alpha=0.12,
            lw=0,
        )
    lowest = max(0.0, min(one.solved.value for one in votes) - _BELOW)
    shown = [one for one in others if one.solved.value >= lowest]
    below = [f"{one.way.name} ({one.solved.value:.3f})" for one in others if one.solved.value < lowest]
    if below:
        caption += f"\nBelow the axis: {', '.join(below)}."
    families = list(dict.fromkeys(one.way.family for one in shown))
    for number, family in enumerate(families):
        dots = [one for one in shown if one.way.family == family]
        axes.scatter(
            [one.times for one in dots],
            [one.solved.value for one in dots],
            s=26,
            marker=_MARKERS[number % len(_MARKERS)],
            color=OKABE_ITO[number % (len(OKABE_ITO) - 1)],
            alpha=0.85,
            lw=0,
            label=family,
            zorder=3,
        )
    axes.set_ylim(bottom=lowest)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(_TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    times = [one.times for one in (*shown, *votes)]
    axes.set_xlim(min(times) / 1.2, max(times) * 1.2)
    _name(axes, [one for one in shown if one.way.name in named], shown)
    axes.set_xlabel("denoiser evaluations, in those of a single seed")
    axes.set_ylabel("mazes solved")
    axes.grid(alpha=0.25)
    figure.legend(fontsize=7.5, loc="outside right center", frameon=False)
    figure.supxlabel(caption, fontsize=7.5)
    return figure


def _name(axes: Axes, told: Sequence[Compared], shown: Sequence[Compared]) -> None:
    """Write names beside dots, each on the side where least is in its way."""
    taken = [axes.transData.transform((one.times, one.solved.value)) for one in shown]
    for one in told:
        at = axes.transData.transform((one.times, one.solved.value))
        width = _LETTER * len(one.way.name)
        others = [other for other in taken if not np.array_equal(other, at)]
        across, up = max(_PLACES, key=partial(_room, at=at, width=width, others=others))
        axes.annotate(
            one.way.name,
            (one.times, one.solved.value),
            xytext=(across, up),
            textcoords="offset pixels",
            fontsize=7,
            ha="left" if across > 0 else "right",
            va="center",
        )
        taken += _spots((across, up), at, width)


def _spots(place: tuple[int, int], at: np.ndarray, width: float) -> list[np.ndarray]:
    """Points along a name that stands at a place beside ``at``, in pixels."""
    across, up = place
    start = at[0] + (across if across > 0 else across - width)
    return [np.array([start + share * width, at[1] + up]) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]


def _room(place: tuple[int, int], at: np.ndarray, width: float, others: Sequence[np.ndarray]) -> float:
    """How far a name there would be from the nearest of what is there already, in pixels."""
    spots = _spots(place, at, width)
    return min((float(np.hypot(*(spot - other))) for spot in spots for other in others), default=0.0)


def shown_in(compared: Sequence[Compared]) -> list[Compared]:
    """Those that are dots: all but what is drawn as lines."""
    lines = (SINGLE, ANY)
    return [
        one
        for one in compared
        if one.way.family not in lines and not (one.way.family == VOTE and one.way.name.startswith("vote of"))
    ]
