"""How the cells of a heatmap look: colours or digits, numbers where there is room, marks and the cursor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.style import Style

from tui.heatmaps.heatmap import Heatmap, number_text
from tui.heatmaps.scale import LEVELS, UNKNOWN, Colour, Scale, ink
from tui.widgets.canvas import PLAIN, Cell, Line, cells_of

WITH_NUMBERS = 7
"""Columns of a cell from which on it has its number, if that fits."""
CHOSEN = Style(reverse=True, bold=True)


class HeatmapCells:
    """The cells of a map, and of the map beside it, on one scale.

    Args:
        heatmap: what is shown.
        dark: whether the screen is.
    """

    def __init__(self, heatmap: Heatmap, dark: bool) -> None:
        self._heatmap = heatmap
        values = np.stack([heatmap.values, *([heatmap.beside.values] if heatmap.beside else [])])
        self._scale = scale = Scale.of(np.append(values, heatmap.reach or ()), heatmap.centre)
        unknown = np.full(values.shape, UNKNOWN)
        # Of the map, and of that beside it (map, column, row).
        self._levels: NDArray[np.int64] = scale.levels(values) if scale else unknown
        self._digits: NDArray[np.int64] = scale.digits(values) if scale else unknown
        colours = scale.colours(dark) if scale else ()
        self._styles = [Style(color=_rich(ink(colour)), bgcolor=_rich(colour)) for colour in colours]

    def cell(
        self, column: int, row: int, width: int, *, is_beside: bool, is_here: bool, in_digits: bool
    ) -> Cell:
        """The line of a cell that has its text, ``width`` columns, and its style.

        Args:
            column, row: its indices.
            width: in columns of the screen.
            is_beside: it is of the map beside.
            is_here: the cursor is on it.
            in_digits: the map is in digits in place of colours.
        """
        heatmap = self._heatmap.beside if is_beside and self._heatmap.beside else self._heatmap
        level = int(self._levels[int(is_beside), column, row])
        mark = "*" if heatmap.is_marked(column, row) else ""
        digit = str(int(self._digits[int(is_beside), column, row])) if in_digits else ""
        inner = "." if level == UNKNOWN else _inner(float(heatmap.values[column, row]), width, mark, digit)
        if level == UNKNOWN or in_digits:
            style = CHOSEN if is_here else Style(underline=True) if mark and width == 1 else PLAIN
            return inner.center(width), style
        if is_here:
            inner = ("#" if mark else "+") if width == 1 else f"[{inner[: width - 2]:^{width - 2}}"
            inner = inner if width == 1 else f"{inner}]" if width > 2 else f"[{mark or ']'}"
            return inner, self._styles[level] + Style(bold=True)
        return inner.center(width), self._styles[level]

    def scale_line(self, in_digits: bool) -> Line:
        """What colours or digits mean, and marks; empty if nothing is known."""
        heatmap, scale = self._heatmap, self._scale
        if scale is None:
            return []
        low, high = scale.text()
        line = cells_of(f"{heatmap.row_name}  ")
        if in_digits:
            line += cells_of(f"0 is {low}, 9 is {high}")
        else:
            line += cells_of(f"{low} ")
            line += [(" ", Style(bgcolor=style.bgcolor)) for style in self._styles[:LEVELS]]
            line += cells_of(f" {high}")
        if scale.centre is not None:
            line += cells_of(f", centre {number_text(scale.centre)}")
        if heatmap.marked is not None:
            line += cells_of(f"   * {heatmap.mark}")
        return line


def columns_line(labels: tuple[str, ...], shown: range, at: int, gutter: int, width: int) -> Line:
    """The labels of columns, as many as have room, and that of the cursor, which stands out.

    Args:
        labels: of all columns.
        shown: the indices of those that are shown.
        at: the index of the cursor's.
        gutter: columns of the screen before the first.
        width: columns of the screen that each takes.
    """
    end = gutter + len(shown) * width
    line = cells_of(" " * end)
    free = 0
    for place, column in enumerate(shown):
        label, start = labels[column], gutter + place * width
        start += (width - len(label)) // 2 if width > len(label) else 0
        if start >= free and start + len(label) <= end and column != at:
            line[start : start + len(label)] = cells_of(label)
            free = start + len(label) + 1
    here = labels[at]
    start = gutter + (at - shown.start) * width
    start = min(start + max(0, (width - len(here)) // 2), max(gutter, end - len(here)))
    # A neighbour's label that would touch that of the cursor gives way.
    for x in _touching(line, start, start + len(here)):
        line[x] = (" ", PLAIN)
    line[start : start + len(here)] = cells_of(here, CHOSEN)
    return line


def _inner(value: float, width: int, mark: str, digit: str) -> str:
    """What is written in a cell: its number, its digit or nothing, and its mark."""
    if width >= WITH_NUMBERS:
        number = f"{value:.2g}"
        if len(number) + len(mark) <= width - 2:
            return number + mark
    return digit + (mark if width > 1 or not digit else "")


def _rich(colour: Colour) -> Color:
    return Color.from_rgb(*colour)


def _touching(line: Line, start: int, end: int) -> list[int]:
    """The columns of labels that lie at or next to a span."""
    found = list(range(start, min(end, len(line))))
    for at, direction in ((start - 1, -1), (end, 1)):
        while 0 <= at < len(line) and line[at][0] != " ":
            found.append(at)
            at += direction
    return found
