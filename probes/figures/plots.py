"""Curves over denoising steps: colour-blind safe, axes named, n and interval under the picture.

Figures are made without pyplot: no display, no global state, the same picture everywhere.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from probes.statistics import Estimate

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours that stay apart under the common kinds of colour blindness (Okabe and Ito 2008)."""

ORDERED_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
"""Of curves that have an order, such as layers, beside the colours of `in_order`."""

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def in_order(count: int) -> list[tuple[float, float, float]]:
    """Colours for so many curves that have an order, from dark to light, none too light for white paper."""
    red, green, blue, _ = colormaps["cividis"](np.linspace(0, 0.92, count)).T
    return list(zip(red.tolist(), green.tolist(), blue.tolist(), strict=True))


def spread(numbers: Sequence[int], most: int) -> list[int]:
    """At most so many of the numbers, evenly spaced, the first and the last among them."""
    if len(numbers) <= most:
        return list(numbers)
    places = np.linspace(0, len(numbers) - 1, most).round().astype(int)
    return [numbers[place] for place in places]


def by_step(
    curves: Mapping[str, Sequence[Estimate]],
    *,
    title: str,
    ylabel: str,
    caption: str,
    steps: Sequence[int] | None = None,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Curves over steps with their intervals as bands.

    curves    name -> one Estimate a step. Curves differ in colour and in marker, to be read without colour
    caption   printed under the axes: the place of n, interval and seed (`statistics.describe`)
    steps     step numbers, default 0, 1, ...
    limits    of the vertical axis, (0, 1) for shares
    """
    lengths = {len(curve) for curve in curves.values()}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError("curves must be given, all with the same number of steps")
    if len(curves) > len(OKABE_ITO):
        raise ValueError(
            f"at most {len(OKABE_ITO)} curves can be told apart in one figure, not {len(curves)}"
        )
    at = list(range(lengths.pop())) if steps is None else list(steps)

    lines = textwrap.wrap(caption, 92)
    foot = 0.2 * len(lines) + 0.15
    height = 3.9 + foot
    figure = Figure(figsize=(7.2, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.1, (foot + 0.62) / height, 0.87, (3.9 - 1.12) / height))
    for (name, curve), colour, marker in zip(curves.items(), OKABE_ITO, _MARKERS, strict=False):
        value, low, high = np.array([(one.value, one.low, one.high) for one in curve]).T
        # An edge of its own keeps a band readable where two lie over one another.
        axes.fill_between(at, low, high, facecolor=(colour, 0.15), edgecolor=(colour, 0.6), linewidth=0.8)
        axes.plot(at, value, color=colour, marker=marker, markersize=5, linewidth=1.8, label=name)
    axes.set_xlabel("denoising step (0 = noisiest)")
    axes.set_ylabel(ylabel)
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=14))
    axes.margins(x=0.02)
    if limits is not None:
        spare = 0.02 * (limits[1] - limits[0])
        axes.set_ylim(limits[0] - spare, limits[1] + spare)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if len(curves) > 1:
        axes.legend(frameon=False, loc="best")
    figure.text(
        0.1, 0.12 / height, "\n".join(lines), fontsize=8.5, color="#555555", va="bottom", linespacing=1.35
    )
    return figure
