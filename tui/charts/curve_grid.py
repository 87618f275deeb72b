"""The cells that curves run through: bands as background, lines in braille, marks on points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.style import Style

from tui.charts.axis import Axis
from tui.charts.chart import Curve, Numbers
from tui.charts.look import BAND, Look, blended, mark, style_of
from tui.heatmaps.scale import Colour
from tui.widgets.canvas import Line

_BRAILLE = 0x2800
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Of a cell: four dots high, two wide."""
_REFERENCE, _BAR = "┄", "│"
_MARK_EVERY = 4
"""Columns from a mark of a curve to its next, where its points lie closer."""
_MOST_EDGES = 3
"""Curves whose bands can be told apart by their edges alone."""
_HERE = Style(reverse=True, bold=True)


class CurveGrid:
    """A field of cells with an axis to the right and one upwards."""

    def __init__(self, columns: int, rows: int, horizontal: Axis, vertical: Axis) -> None:
        self.columns, self.rows = columns, rows
        self._horizontal, self._vertical = horizontal, vertical
        self._margin = 1 if columns > 20 else 0

    # Where things are

    def across(self, at: Numbers) -> Numbers:
        """Places as columns, 0 for the middle of the first."""
        room = self.columns - 1 - 2 * self._margin
        return self._margin + self._horizontal.shares(at) * room

    def column(self, at: float) -> int:
        """The column of a place."""
        return int(self.across(np.array([at]))[0] + 0.5)

    def row(self, value: float) -> int:
        """The line of a value; the first or last for what lies beyond the axis."""
        share = min(1.0, max(0.0, self._vertical.share(value)))
        return min(self.rows - 1, int((1 - share) * self.rows))

    def cells(self, curve: Curve) -> tuple[Numbers, Numbers]:
        """The column and the line of each point, NaN where it is not known."""
        shares = np.clip(self._vertical.shares(_known(curve.values)), 0, 1)
        return np.floor(self.across(curve.at) + 0.5), np.minimum(
            np.floor((1 - shares) * self.rows), self.rows - 1
        )

    # Drawing

    def drawn(
        self,
        curves: Sequence[tuple[int, Curve]],
        look: Look,
        reference: float | None,
        here: tuple[int, int] | None,
    ) -> list[Line]:
        """The field as lines.

        Args:
            curves: with their places in the order of colours and marks.
            look: colours.
            reference: a value to draw a line at.
            here: place of a curve and index of its point, where the cursor is.
        """
        bands = self._bands(curves, look)
        dots = np.zeros((self.rows, self.columns), np.int64)
        owner = np.full((self.rows, self.columns), -1)
        glyphs: dict[tuple[int, int], tuple[str, Style]] = {}
        if reference is not None:
            glyphs |= {(self.row(reference), x): (_REFERENCE, look.muted) for x in range(self.columns)}
        banded = [(place, curve) for place, curve in curves if curve.has_band and not curve.is_beside]
        if not look.colours and len(banded) <= _MOST_EDGES:
            for place, curve in banded:
                self._draw_edges(dots, owner, place, curve)
        for place, curve in sorted(curves, key=lambda one: not one[1].is_beside):
            self._draw_line(dots, owner, place, curve)
            glyphs |= self._bars(place, curve, look)
        for place, curve in sorted(curves, key=lambda one: not one[1].is_beside):
            glyphs |= self._marks(place, curve, len(curves), look)
        cursor = None
        if here is not None:
            cursor = self._draw_cursor(glyphs, dict(curves)[here[0]], *here, look)
        return [
            [
                self._cell(x, y, dots, owner, glyphs, bands, look, (y, x) == cursor)
                for x in range(self.columns)
            ]
            for y in range(self.rows)
        ]

    def _cell(
        self,
        x: int,
        y: int,
        dots: NDArray[np.int64],
        owner: NDArray[np.int64],
        glyphs: dict[tuple[int, int], tuple[str, Style]],
        bands: list[list[Colour | None]],
        look: Look,
        is_here: bool,
    ) -> tuple[str, Style]:
        upper, lower = bands[2 * y][x], bands[2 * y + 1][x]
        glyph = glyphs.get((y, x))
        has_dots = bool(dots[y, x])
        if glyph is not None and not (glyph[0] == _REFERENCE and has_dots):
            text, style = glyph
            behind = upper or lower
            style = style + style_of(None, behind) if behind else style
            return text, style + _HERE if is_here else style
        if has_dots:
            text = chr(_BRAILLE + int(dots[y, x]))
            return text, style_of(look.colour(int(owner[y, x])), upper or lower)
        if upper == lower:
            return " ", style_of(None, upper)
        return ("▀", style_of(upper, lower)) if upper else ("▄", style_of(lower, None))

    def _bands(self, curves: Sequence[tuple[int, Curve]], look: Look) -> list[list[Colour | None]]:
        """The colour of each half line of each column, None where there is no band."""
        halves = 2 * self.rows
        found: list[list[Colour | None]] = [[None] * self.columns for _ in range(halves)]
        for place, curve in curves:
            colour = look.colour(place)
            if colour is None or not curve.has_band or curve.is_beside:
                continue
            low, high = self._ends(curve, np.arange(self.columns, dtype=np.float64))
            for x in np.flatnonzero(np.isfinite(low) & np.isfinite(high)):
                top = min(halves - 1, int((1 - high[x]) * halves))
                bottom = min(halves - 1, int((1 - low[x]) * halves))
                for y in range(top, bottom + 1):
                    found[y][x] = blended(found[y][x] or look.background, colour, BAND)
        return found

    def _ends(self, curve: Curve, columns: Numbers) -> tuple[Numbers, Numbers]:
        """The ends of a band at columns, 0 to 1 upwards; NaN between points of which one has none."""
        at = self.across(curve.at)
        assert curve.low is not None
        assert curve.high is not None
        known = np.isfinite(curve.values)
        low, high = (
            np.where(known, np.clip(self._vertical.shares(values), 0, 1), np.nan)
            for values in (curve.low, curve.high)
        )
        return _between(columns, at, low, np.fmin), _between(columns, at, high, np.fmax)

    def _draw_edges(
        self, dots: NDArray[np.int64], owner: NDArray[np.int64], place: int, curve: Curve
    ) -> None:
        """Both ends of a band as dots with gaps."""
        columns = np.arange(0, 2 * self.columns, 2)
        for share in self._ends(curve, (columns - 0.5) / 2):
            for x in np.flatnonzero(np.isfinite(share)):
                self._dot(dots, owner, place, int(columns[x]), self._dot_row(float(share[x])))

    def _draw_line(self, dots: NDArray[np.int64], owner: NDArray[np.int64], place: int, curve: Curve) -> None:
        across = np.floor(2 * (self.across(curve.at) + 0.5))
        shares = np.clip(self._vertical.shares(_known(curve.values)), 0, 1)
        for index in range(len(shares) - 1):
            if not np.isfinite(shares[index : index + 2]).all():
                continue
            (x0, x1), (y0, y1) = (
                across[index : index + 2],
                [self._dot_row(float(one)) for one in shares[index : index + 2]],
            )
            count = int(max(abs(x1 - x0), abs(y1 - y0))) + 1
            steps = zip(np.linspace(x0, x1, count), np.linspace(y0, y1, count), strict=True)
            for x, y in steps:
                if curve.is_beside and int(x) % 4 > 1:
                    continue
                self._dot(dots, owner, place, int(x + 0.5), int(y + 0.5))

    def _dot_row(self, share: float) -> int:
        return min(4 * self.rows - 1, int((1 - share) * 4 * self.rows))

    def _dot(self, dots: NDArray[np.int64], owner: NDArray[np.int64], place: int, x: int, y: int) -> None:
        """One dot of braille; in a cell of another curve's, that other gives way."""
        column, row = min(x, 2 * self.columns - 1) // 2, y // 4
        if owner[row, column] != place:
            dots[row, column], owner[row, column] = 0, place
        dots[row, column] |= _DOTS[y % 4, x % 2]

    def _bars(self, place: int, curve: Curve, look: Look) -> dict[tuple[int, int], tuple[str, Style]]:
        """The intervals of points that have no neighbours for a band between them."""
        if curve.low is None or curve.high is None:
            return {}
        known = np.isfinite(curve.values) & ~np.isnan(curve.low) & ~np.isnan(curve.high)
        beside = np.zeros(len(known), bool)
        beside[:-1] |= known[1:]
        beside[1:] |= known[:-1]
        found = {}
        for index in np.flatnonzero(known & ~beside):
            top, bottom = self.row(float(curve.high[index])), self.row(float(curve.low[index]))
            x = self.column(float(curve.at[index]))
            found |= {(y, x): (_BAR, look.style(place)) for y in range(top, bottom + 1)}
        return found

    def _marks(
        self, place: int, curve: Curve, curves: int, look: Look
    ) -> dict[tuple[int, int], tuple[str, Style]]:
        """The marks of a curve, on some of its points where they lie close, others than its neighbours'."""
        columns, rows = self.cells(curve)
        is_close = len(columns) > 1 and float(np.diff(columns).min()) < _MARK_EVERY
        every = max(_MARK_EVERY, min(2 * curves, 12)) if is_close else 0
        last = (2 * place) % every - every if every else -1.0
        found = {}
        for index, (x, y) in enumerate(zip(columns, rows, strict=True)):
            if np.isfinite(y) and x - last >= every:
                hollow = curve.marked is not None and not curve.marked[index]
                found[int(y), int(x)] = mark(place, hollow), look.style(place)
                last = x
        return found

    def _draw_cursor(
        self,
        glyphs: dict[tuple[int, int], tuple[str, Style]],
        curve: Curve,
        place: int,
        point: int,
        look: Look,
    ) -> tuple[int, int]:
        value = float(curve.values[point])
        # What is not known is on no line; the cursor then stands on the axis.
        row = self.row(value) if np.isfinite(value) else self.rows - 1
        at = row, self.column(float(curve.at[point]))
        hollow = curve.marked is not None and not curve.marked[point]
        glyphs[at] = (mark(place, hollow) if np.isfinite(value) else "?", look.style(place))
        return at


def _known(values: Numbers) -> Numbers:
    """Infinite values have no place on an axis."""
    return np.where(np.isfinite(values), values, np.nan)


def _between(columns: Numbers, at: Numbers, shares: Numbers, of_several: np.ufunc) -> Numbers:
    """Values at columns, straight between neighbours that are both known; NaN elsewhere.

    The columns that first and last points stand in are theirs whole; ``of_several`` decides where several
    points share a column.
    """
    found = np.full(columns.shape, np.nan)
    known = np.isfinite(shares)
    joined = known[:-1] & known[1:]
    for index in np.flatnonzero(joined):
        start, end = at[index], at[index + 1]
        here = (columns >= start - 0.5) & (columns <= end + 0.5)
        between = np.interp(columns[here], at[index : index + 2], shares[index : index + 2])
        found[here] = of_several(found[here], between)
    return found
