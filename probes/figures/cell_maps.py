"""Maps of cells, steps downwards and layers to the right: what all figures of such grids have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.markers import MarkerStyle
from numpy.typing import NDArray

MOST_NUMBERS = 15
"""Maps of more rows or columns have no numbers in their cells."""
NOTHING = "#e4e4e4"
"""Cells of which nothing is known."""
MOST_TICKS = 21
"""Of longer axes some rows or columns are named, evenly spaced."""


def draw_cells(
    axes: Axes,
    values: NDArray[np.float64],
    rows: Sequence[int] | Sequence[str],
    columns: Sequence[int] | Sequence[str],
    colours: ScalarMappable,
    has_numbers: bool,
) -> None:
    """Colours each cell of (row, column) by its value, NaN as `colours` say, with its number in it."""
    image = axes.imshow(np.ma.masked_invalid(values), aspect="auto")
    image.set(cmap=colours.cmap, norm=colours.norm)
    for axis, labels in ((axes.yaxis, rows), (axes.xaxis, columns)):
        shown = range(0, len(labels), -(-len(labels) // MOST_TICKS))
        axis.set_ticks(list(shown), [str(labels[index]) for index in shown], fontsize=8.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    # Thin white lines keep neighbours of one colour apart.
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.8 if has_numbers else 0.3)
    axes.tick_params(which="minor", length=0)
    if has_numbers:
        shades = colours.to_rgba(values)
        for (row, column), value in np.ndenumerate(values):
            if math.isfinite(value):
                shade = ink(shades[row, column])
                axes.text(
                    column, row, number_text(value), ha="center", va="center", fontsize=7.5, color=shade
                )


def mark_cells(
    axes: Axes,
    marked: NDArray[np.bool_],
    values: NDArray[np.float64],
    colours: ScalarMappable,
    has_numbers: bool,
    marker: str = "o",
) -> None:
    """A small mark on each of these cells: in its corner beside a number."""
    rows, columns = np.nonzero(marked)
    inks = [ink(colours.to_rgba(one)) for one in values[rows, columns]]
    shift, size, strength = (0.36, 9, 0.8) if has_numbers else (0.0, 4, 0.45)
    marks = axes.scatter(
        *(columns + shift, rows - shift, size), marker=marker, c=inks, linewidths=0.7, alpha=strength
    )
    if marker in MarkerStyle.filled_markers:
        marks.set(facecolors="none", edgecolors=inks)


def ink(colour: Any) -> str:
    """Black or white, whichever stands out more on a colour (relative luminance as in WCAG 2)."""
    rgb = np.array(colour[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "black" if float(linear @ np.array([0.2126, 0.7152, 0.0722])) > 0.18 else "white"


def number_text(value: float) -> str:
    """Two digits that matter, in the four or five characters that fit a cell."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    text = f"{value:.2f}"
    return text.replace("-0.00", "0.00").replace("-", "−")
