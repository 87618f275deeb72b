"""Curves as lines of cells, with a cursor on one of their points."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from rich.style import Style

from tui.charts.axis import Axis
from tui.charts.chart import Curve, Curves
from tui.charts.curve_grid import CurveGrid
from tui.charts.drawing import Drawing
from tui.charts.look import MOST, Look, mark, spread, wrapped
from tui.heatmaps.heatmap import number_text
from tui.widgets.canvas import PLAIN, Line, cells_of

CHOSEN = Style(reverse=True, bold=True)
_LOW = 9
"""Of fewer lines none is given to the names of the axes, and one to the legend."""
_REFERENCE = "┄"


class CurvePlot:
    """Curves with their bands, and a cursor that goes along a curve and between curves.

    Of more curves than can be told apart some are shown, spread evenly; `turn` shows others.

    Attributes:
        chart: what is shown.
        curve, point: the indices of the curve under the cursor and of the point on it.
    """

    def __init__(self, chart: Curves) -> None:
        self.chart = chart
        self.curve, self.point = 0, _first_known(chart.curves[0])
        self._page = 0
        self._grid: CurveGrid | None = None
        self._left = self._top = 0

    @property
    def text(self) -> str:
        """The point under the cursor in words."""
        return self.chart.point_text(self.curve, self.point)

    @property
    def shown(self) -> list[int]:
        """The indices of the curves that are shown."""
        parties = _parties(self.chart.curves)
        places = spread(len(parties), self._most(parties))
        kept = sorted({min(place + self._page, len(parties) - 1) for place in places})
        return [index for place in kept for index in parties[place]][:MOST]

    # The cursor

    def move(self, across: int, down: int) -> bool:
        """Move by points of the curve, or by curves that are shown; whether that led anywhere."""
        before = self.curve, self.point
        if down:
            shown = self.shown
            here = shown.index(self.curve) if self.curve in shown else 0
            self._go_to(shown[max(0, min(here + down, len(shown) - 1))], self._at)
        count = len(self._own.at)
        self.point = max(0, min(self.point + across, count - 1))
        return before != (self.curve, self.point)

    def turn(self, by: int) -> bool:
        """Show other curves, where there are more than are shown; whether that led anywhere."""
        parties = _parties(self.chart.curves)
        if len(self.shown) == len(self.chart.curves):
            return self.move(0, by)
        before = self._page
        places = spread(len(parties), self._most(parties))
        widest = max(np.diff([*places, len(parties)]).tolist())
        self._page = max(0, min(self._page + by, widest - 1))
        if self.curve not in self.shown:
            nearest = min(self.shown, key=lambda one: abs(one - self.curve))
            self._go_to(nearest, self._at)
        return before != self._page

    def take_place(self, other: object) -> None:
        """Put the cursor where it was on another chart, if that has curves, too, over the same axis."""
        if not isinstance(other, CurvePlot) or other.chart.across != self.chart.across:
            return
        names = [curve.name for curve in self.chart.curves]
        same = other.chart.curves[other.curve].name
        self._go_to(names.index(same) if same in names else self.curve, other._at)
        if self.curve not in self.shown:
            self._go_to(min(self.shown, key=lambda one: abs(one - self.curve)), self._at)

    def click(self, x: int, y: int) -> bool:
        """Put the cursor on the point that is nearest to a cell; whether it moved."""
        if self._grid is None:
            return False
        before = self.curve, self.point
        distance = math.inf
        for index in self.shown:
            columns, rows = self._grid.cells(self.chart.curves[index])
            apart = np.abs(columns - (x - self._left)) + 2 * np.abs(rows - (y - self._top))
            if np.isfinite(apart).any() and float(np.nanmin(apart)) < distance:
                distance = float(np.nanmin(apart))
                self.curve, self.point = index, int(np.nanargmin(apart))
        return before != (self.curve, self.point)

    @staticmethod
    def _most(parties: Sequence[Sequence[int]]) -> int:
        """How many parties are shown at a time."""
        return max(1, MOST // max(map(len, parties)))

    @property
    def _own(self) -> Curve:
        return self.chart.curves[self.curve]

    @property
    def _at(self) -> float:
        return float(self._own.at[self.point])

    def _go_to(self, curve: int, at: float) -> None:
        """To the point of a curve that is nearest to a place."""
        self.curve = curve
        self.point = int(np.argmin(np.abs(self._own.at - at)))

    # Drawing

    def draw(self, width: int, height: int, look: Look) -> Drawing:
        """The chart in so many columns and lines."""
        chart = self.chart
        head = [cells_of(self._head(), look.muted)] if height >= _LOW else []
        legend = self._legend(width, max(1, height // 5) if height >= _LOW else 1, look)
        rows = max(1, height - len(head) - 1 - len(legend))
        self._top = len(head)
        vertical = self._vertical()
        ticks = self._rows_of_ticks(vertical, rows)
        self._left = max((len(text) for text in ticks.values()), default=0) + 1
        columns = max(2, width - self._left)
        shown = self.shown
        horizontal = Axis.of(
            [curve.at for curve in chart.curves], is_logarithmic=chart.is_across_logarithmic, spare=0.0
        )
        self._grid = grid = CurveGrid(columns, rows, horizontal, vertical)
        body = grid.drawn(
            [(place, chart.curves[index]) for place, index in enumerate(shown)],
            look,
            chart.reference,
            (shown.index(self.curve), self.point) if self.curve in shown else None,
        )
        lines = [
            [*cells_of(f"{ticks.get(row, ''):>{self._left - 1}}", look.muted),
             ("┤" if row in ticks else "│", look.muted), *line]
            for row, line in enumerate(body)
        ]  # fmt: skip
        return Drawing(head, [*lines, self._ticks_line(grid, horizontal, look), *legend], [])

    def _head(self) -> str:
        chart = self.chart
        scale = " (log)" if chart.is_logarithmic else ""
        across = f"{chart.across}{' (log)' if chart.is_across_logarithmic else ''}"
        return f"{chart.measure}{scale} by {across}"

    def _vertical(self) -> Axis:
        chart = self.chart
        parts = [
            part
            for index in self.shown
            for part in (chart.curves[index].values, chart.curves[index].low, chart.curves[index].high)
            if part is not None
        ]
        reference = [] if chart.reference is None else [np.array([chart.reference])]
        return Axis.of([*parts, *reference], chart.limits, is_logarithmic=chart.is_logarithmic)

    @staticmethod
    def _rows_of_ticks(vertical: Axis, rows: int) -> dict[int, str]:
        ticks = vertical.ticks(max(3, rows * 2 // 5))
        found: dict[int, str] = {}
        for value, text in ticks:
            row = min(rows - 1, max(0, int((1 - vertical.share(value)) * rows)))
            found.setdefault(row, text)
        return found

    def _ticks_line(self, grid: CurveGrid, horizontal: Axis, look: Look) -> Line:
        """Places along the axis, that of the cursor standing out."""
        chart, left = self.chart, self._left
        # Blanks look like the labels beside them, so that the terminal is sent one piece of text.
        line = cells_of(" " * (left + grid.columns), look.muted)
        here = chart.place_name(self._at)
        for at, text in self._ticks(grid, horizontal):
            _write(line, text, left + grid.column(at) - (len(text) - 1) // 2, look.muted)
        at = left + grid.column(self._at) - (len(here) - 1) // 2
        at = max(0, min(at, len(line) - len(here)))
        # A neighbour's label that would touch that of the cursor gives way.
        for x in range(max(0, at - 1), min(len(line), at + len(here) + 1)):
            _wipe(line, x)
        line[at : at + len(here)] = cells_of(here, CHOSEN)
        return line

    def _ticks(self, grid: CurveGrid, horizontal: Axis) -> list[tuple[float, str]]:
        chart = self.chart
        if chart.places:
            places = sorted(chart.places)
            widest = max(len(chart.places[at]) for at in places) + 2
            kept = places[:: max(1, -(-len(places) * widest // grid.columns))]
            return [(at, chart.places[at]) for at in kept]
        whole = all(float(at).is_integer() for curve in chart.curves for at in curve.at)
        longest = max(len(f"{horizontal.low:g}"), len(f"{horizontal.high:g}"))
        between = longest + (2 if whole else 4)
        return horizontal.ticks(max(2, grid.columns // between), whole=whole)

    def _legend(self, width: int, most: int, look: Look) -> list[Line]:
        """The marks of the curves, the reference and what else has to be said; that of the cursor first if
        there is no room for all."""
        chart, shown = self.chart, self.shown
        entries: list[tuple[str, Style, int | None]] = []
        for place, index in enumerate(shown):
            curve = chart.curves[index]
            hollow = curve.marked is not None and not curve.marked.any()
            sign = mark(place, hollow)
            text = f"{_REFERENCE}{sign}{_REFERENCE}" if curve.is_beside else sign
            entries.append((f"{text} {curve.name}", look.style(place), index))
        words = []
        if len(shown) < len(chart.curves):
            words.append(f"{len(shown)} of {len(chart.curves)} curves, pgup pgdn for others")
        if chart.reference is not None:
            name = f"{chart.reference_name} " if chart.reference_name else ""
            words.append(f"{_REFERENCE} {name}{number_text(chart.reference)}")
        if any(curve.marked is not None for curve in chart.curves):
            words.append(f"filled: {chart.mark}")
        entries += [(word, look.muted, None) for word in words]
        rows = wrapped([text for text, _, _ in entries], width)
        if len(rows) > most:
            own = next((one for one in entries if one[2] == self.curve), entries[0])
            entries = [own, *(one for one in entries if one is not own)]
            rows = wrapped([text for text, _, _ in entries], width - 2)[:most]
        cut = sum(map(len, rows)) < len(entries)
        lines: list[Line] = []
        for number, row in enumerate(rows):
            line: Line = []
            for place in row:
                text, style, index = entries[place]
                is_chosen = index == self.curve and len(shown) > 1
                sign, _, name = text.partition(" ") if index is not None else ("", "", text)
                line += cells_of("   ") if line else []
                line += [*cells_of(sign, style), *cells_of(" " if sign else "")]
                line += cells_of(name, CHOSEN if is_chosen else PLAIN if sign else style)
            lines.append([*line, *cells_of(" …" if cut and number == len(rows) - 1 else "")])
        return lines


def _parties(curves: Sequence[Curve]) -> list[list[int]]:
    """The indices of the curves that are shown together, or not: each with the controls that follow it.

    What is held against more than there is room for, as two probes are against their baselines, is shown with
    some of those at a time.
    """
    parties: list[list[int]] = []
    for index, curve in enumerate(curves):
        if curve.is_beside and parties:
            parties[-1].append(index)
        else:
            parties.append([index])
    if max(map(len, parties)) <= MOST // 2 or len(curves) <= MOST:
        return parties
    own = [index for index, curve in enumerate(curves) if not curve.is_beside]
    beside = [index for index, curve in enumerate(curves) if curve.is_beside]
    if len(own) >= MOST:
        return [[index] for index in range(len(curves))]
    room = MOST - len(own)
    return [[*own, *beside[start : start + room]] for start in range(0, len(beside), room)]


def _first_known(curve: Curve) -> int:
    known = np.flatnonzero(np.isfinite(curve.values))
    return int(known[0]) if known.size else 0


def _write(line: Line, text: str, at: int, style: Style) -> None:
    """A label, if it has room with a blank to either side."""
    at = max(0, min(at, len(line) - len(text)))
    around: Sequence[tuple[str, Style]] = line[max(0, at - 1) : at + len(text) + 1]
    if all(cell[0] == " " for cell in around):
        line[at : at + len(text)] = cells_of(text, style)


def _wipe(line: Line, x: int) -> None:
    """Take away the whole label that a column is in."""
    start = end = x
    while 0 <= start < len(line) and line[start][0] != " ":
        start -= 1
    while end < len(line) and line[end][0] != " ":
        end += 1
    for place in range(start + 1, end):
        line[place] = (" ", line[place][1])
