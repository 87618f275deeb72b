"""Dots with intervals as lines of cells, a row each, with a cursor on one of the rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from rich.style import Style

from tui.charts.axis import Axis
from tui.charts.chart import Dot, Dots, value_text
from tui.charts.drawing import Drawing
from tui.charts.look import Look, mark, wrapped
from tui.heatmaps.heatmap import number_text
from tui.widgets.canvas import Line, cells_of

_CHOSEN = Style(reverse=True, bold=True)
_BOLD = Style(bold=True)
_REFERENCE = "┊"
_LEAST_PLOT = 12
_WORDS = 20
"""Columns that words beside a row have at least; the line of the cursor has them anyway."""
_LOW, _NARROW = 8, 60


@dataclass(frozen=True)
class _Row:
    """A line of the chart: a dot by its index, or the heading of a group."""

    heading: str = ""
    dot: int = -1


class DotPlot:
    """Rows of dots on a common scale, or each on its own; a cursor that goes from row to row.

    Attributes:
        chart: what is shown.
        at: the index of the dot under the cursor.
    """

    def __init__(self, chart: Dots) -> None:
        self.chart = chart
        self.at = 0
        self._first = 0
        self._top, self._pitch = 0, 1
        self._rows = _rows_of(chart)
        self._beside = list(dict.fromkeys(name for dot in chart.dots for name, _ in dot.beside))

    @property
    def text(self) -> str:
        """The dot under the cursor in words."""
        return self.chart.dot_text(self.at)

    # The cursor

    def move(self, across: int, down: int) -> bool:
        """Move by rows; whether that led anywhere."""
        before = self.at
        self.at = max(0, min(self.at + down, len(self.chart.dots) - 1))
        return self.at != before

    def turn(self, by: int) -> bool:
        """Move by several rows; whether that led anywhere."""
        return self.move(0, 5 * by)

    def take_place(self, other: object) -> None:
        """Put the cursor on the dot that has the name of that under another chart's."""
        if not isinstance(other, DotPlot):
            return
        names = [(dot.group, dot.name) for dot in self.chart.dots]
        there = other.chart.dots[other.at]
        if (there.group, there.name) in names:
            self.at = names.index((there.group, there.name))

    def click(self, x: int, y: int) -> bool:
        """Put the cursor on the row of a line; whether it moved."""
        before, place = self.at, self._first + (y - self._top) // self._pitch
        if 0 <= place < len(self._rows) and self._rows[place].dot >= 0:
            self.at = self._rows[place].dot
        return self.at != before

    # Drawing

    def draw(self, width: int, height: int, look: Look) -> Drawing:
        """The chart in so many columns and lines."""
        chart = self.chart
        head = [cells_of(chart.measure, look.muted)] if height >= _LOW else []
        legend = self._legend(width, max(1, height // 6), look)
        has_axis = not chart.has_own_scales and height > 2
        room = max(1, height - len(head) - len(legend) - has_axis)
        self._top = len(head)
        self._scroll(room)
        shown = self._rows[self._first : self._first + room]
        # On a tall screen rows are easier to tell apart with a line between.
        self._pitch = 2 if 2 * len(shown) <= room else 1
        longest = max(len(dot.name) for dot in chart.dots) + 1
        names = min(longest, width // 2 if width < _NARROW else width * 2 // 5)
        beside = self._numbers(width - names - 4 - 2 * _LEAST_PLOT)
        numbers = max(map(len, beside))
        plot = max(_LEAST_PLOT, width - names - 2 - (numbers + 2 if numbers else 0))
        common = self._axis()
        body = [
            line
            for row in shown
            for line in [self._line(row, names, plot, beside, numbers, common, look), []][: self._pitch]
        ]
        axis = [self._ticks_line(names + 2, plot, common, look)] if has_axis else []
        return Drawing([], [], [*head, *body, *axis, *legend])

    def _line(
        self, row: _Row, names: int, plot: int, beside: list[str], numbers: int, common: Axis, look: Look
    ) -> Line:
        if row.dot < 0:
            return cells_of(row.heading[: names + plot], _BOLD)
        dot = self.chart.dots[row.dot]
        is_here = row.dot == self.at
        name = dot.name if len(dot.name) < names else dot.name[: names - 2] + "…"
        line = cells_of("> " if is_here else "  ", look.muted)
        line += cells_of(f"{name:<{names}}", _CHOSEN if is_here else Style())
        line += self._drawn(dot, plot, self._own_axis(dot) if self.chart.has_own_scales else common, look)
        if numbers:
            line += cells_of("  " + beside[row.dot])
        return line

    def _drawn(self, dot: Dot, plot: int, axis: Axis, look: Look) -> Line:
        """├──●──┤"""
        line = cells_of(" " * plot)
        style = look.style(0)
        if not (math.isnan(dot.low) or math.isnan(dot.high)):
            low, high = _column(axis, dot.low, plot), _column(axis, dot.high, plot)
            line[low : high + 1] = cells_of("─" * (high + 1 - low), style)
            if high > low:
                line[low] = ("├" if math.isfinite(dot.low) else "◄", style)
                line[high] = ("┤" if math.isfinite(dot.high) else "►", style)
        reference = dot.reference if self.chart.has_own_scales else self.chart.reference
        if reference is not None and 0 <= axis.share(reference) <= 1:
            at = _column(axis, reference, plot)
            crossed = line[at][0] == "─"
            line[at] = (
                ("┼", style) if crossed else line[at] if line[at][0] != " " else (_REFERENCE, look.muted)
            )
        for place, name in enumerate(self._beside):
            for own, value in dot.beside:
                if own == name and math.isfinite(value):
                    line[_column(axis, value, plot)] = (mark(place + 1, hollow=True), look.style(place + 1))
        if math.isfinite(dot.value):
            line[_column(axis, dot.value, plot)] = (mark(0, dot.is_hollow), style)
        return line

    def _numbers(self, room: int) -> list[str]:
        """What stands beside each row: as much of it as there is room for in all of them."""
        dots = self.chart.dots
        stars = [" *" if dot.is_marked else "" for dot in dots]
        values = [value_text(dot.value) + star for dot, star in zip(dots, stars, strict=True)]
        whole = [
            value_text(dot.value, dot.low, dot.high) + star for dot, star in zip(dots, stars, strict=True)
        ]
        widest = max(map(len, whole))
        told = [f"{text:<{widest}}  {dot.told}".rstrip() for text, dot in zip(whole, dots, strict=True)]
        if room >= widest + _WORDS:
            return [text if len(text) <= room else f"{text[: room - 1]}…" for text in told]
        for texts in (whole, values):
            if max(map(len, texts)) <= room:
                return texts
        return [""] * len(dots)

    def _axis(self) -> Axis:
        chart = self.chart
        values = [
            value
            for dot in chart.dots
            for value in (dot.value, dot.low, dot.high, *(one for _, one in dot.beside))
        ]
        values += [] if chart.reference is None else [chart.reference]
        return Axis.of([np.array(values)], chart.limits)

    @staticmethod
    def _own_axis(dot: Dot) -> Axis:
        """As long to either side of what the dot is held against, so that this is in the middle of each."""
        known = [value for value in (dot.value, dot.low, dot.high) if math.isfinite(value)]
        middle = dot.reference if dot.reference is not None else (known or [0.0])[0]
        reach = 1.15 * max((abs(value - middle) for value in known), default=0.0) or 1.0
        return Axis(middle - reach, middle + reach)

    def _ticks_line(self, start: int, plot: int, axis: Axis, look: Look) -> Line:
        line = cells_of(" " * (start + plot))
        free = 0
        for value, text in axis.ticks(max(2, plot // 10)):
            at = start + _column(axis, value, plot) - len(text) // 2
            at = max(start, min(at, start + plot - len(text)))
            if at >= free:
                line[at : at + len(text)] = cells_of(text, look.muted)
                free = at + len(text) + 1
        return line

    def _legend(self, width: int, most: int, look: Look) -> list[Line]:
        chart = self.chart
        entries: list[tuple[str, Style]] = [
            (f"{mark(place + 1, hollow=True)} {name}", look.style(place + 1))
            for place, name in enumerate(self._beside)
        ]
        if chart.has_own_scales:
            entries.append(
                (f"{_REFERENCE} {chart.reference_name}; each row has a scale of its own", look.muted)
            )
        elif chart.reference is not None:
            name = f"{chart.reference_name} " if chart.reference_name else ""
            entries.append((f"{_REFERENCE} {name}{number_text(chart.reference)}", look.muted))
        if any(dot.is_hollow for dot in chart.dots):
            entries.append((f"{mark(0, hollow=True)} {HOLLOW_IS}", look.muted))
        if chart.mark and any(dot.is_marked for dot in chart.dots):
            entries.append((f"* {chart.mark}", look.muted))
        if not entries:
            return []
        lines = []
        for row in wrapped([text for text, _ in entries], width)[:most]:
            line: Line = []
            for place in row:
                line += [*cells_of("   " if line else ""), *cells_of(*entries[place])]
            lines.append(line)
        return lines

    def _scroll(self, room: int) -> None:
        """Bring the cursor's row into view, with the heading of the first group if that is just above it."""
        here = next(place for place, row in enumerate(self._rows) if row.dot == self.at)
        if here == 1 and self._rows[0].dot < 0:
            here = 0
        if not self._first <= here < self._first + room:
            self._first = here - room // 2
        self._first = max(0, min(self._first, len(self._rows) - room))


HOLLOW_IS = "the truth chooses, which nobody can"


def _rows_of(chart: Dots) -> list[_Row]:
    rows: list[_Row] = []
    group = ""
    for index, dot in enumerate(chart.dots):
        if dot.group != group:
            group = dot.group
            rows.append(_Row(heading=group))
        rows.append(_Row(dot=index))
    return rows


def _column(axis: Axis, value: float, plot: int) -> int:
    share = min(1.0, max(0.0, axis.share(value)))
    return min(plot - 1, int(share * plot + 1e-9))
