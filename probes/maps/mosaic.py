"""Small pictures of token grids in rows and columns, with their names, colour bars and a caption.

A token is a square of whole pixels of the PNG that `probes.figures.drawing` makes, so nothing is smoothed and
nothing is lost.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from probes.figures.drawing import DPI

Pictures = NDArray[np.floating]
"""Red, green and blue from 0 to 1: (row of pictures, column of pictures, row, col, rgb)"""

MOST_ROWS, MOST_COLUMNS = 12, 12
SEQUENTIAL, DIVERGING = "cividis", "PuOr_r"
UNKNOWN = (0.9, 0.9, 0.9)

# Lengths are in points of 1/130 inch, but for the board of pictures, which is in pixels.
_POINTS = 130
_PIXELS = DPI / _POINTS
_BOARD, _PICTURE, _LEAST_PICTURE = (560, 860), (80, 128), 24
_GAP, _WIDE_GAP = round(4 * _PIXELS), round(22 * _PIXELS)
_MARGIN, _LINE = 14, 19
_BAR, _BAR_LENGTH, _BAR_ROOM = 13, 170, 78
_GREY = "#555555"


@dataclass(frozen=True)
class Bar:
    """A colour bar: a colour map between two ends, each in words, and what it shows."""

    colours: str
    ends: tuple[str, str]
    label: str


def coloured(
    maps: NDArray[np.floating], limits: tuple[Any, Any], colours: str = SEQUENTIAL
) -> NDArray[np.float64]:
    """Maps (..., row, col) in colours: (..., row, col, rgb). Limits may be arrays that broadcast.

    What is not known (NaN) is grey.
    """
    low, high = (np.asarray(end, dtype=np.float64) for end in limits)
    width = np.where(high > low, high - low, 1.0)
    share = np.clip((np.asarray(maps, dtype=np.float64) - low) / width, 0.0, 1.0)
    return on_grey(colormaps[colours](np.nan_to_num(share))[..., :3], np.isfinite(share))


def on_grey(pictures: NDArray[np.floating], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The pictures (..., rgb), grey where nothing is known (...)."""
    return np.where(known[..., None], pictures, np.array(UNKNOWN))


def mosaic(
    pictures: Pictures,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    row_axis: str,
    column_axis: str,
    title: str,
    subtitle: str,
    caption: str,
    bars: Sequence[Bar] = (),
    row_notes: Sequence[str] = (),
    column_notes: Sequence[str] = (),
    blocks: Sequence[int] = (),
) -> Figure:
    """Pictures beside and below one another.

    Args:
        pictures: all of one size.
        rows, columns: the name of each.
        row_axis, column_axis: what the names are of.
        title, subtitle: above.
        caption: below: n, what was left out, what colours mean.
        bars: colour bars, on the right.
        row_notes, column_notes: beside each row and above each column, such as the range of its colours.
        blocks: columns before which a wider gap stands.
    """
    height, width = pictures.shape[2:4]
    side = min(_BOARD[0] // len(columns), _BOARD[1] // len(rows))
    side = min(max(side, _PICTURE[0]), _PICTURE[1]) * _PIXELS
    least = _LEAST_PICTURE * _PIXELS
    scale = max(1, math.ceil(least / max(height, width)), round(side / max(height, width)))
    tall, wide = height * scale, width * scale
    lefts = [
        column * (wide + _GAP) + sum(block <= column for block in blocks) * (_WIDE_GAP - _GAP)
        for column in range(len(columns))
    ]
    board = np.ones((len(rows) * (tall + _GAP) - _GAP, lefts[-1] + wide, 3))
    for row in range(len(rows)):
        for column, left in enumerate(lefts):
            large = pictures[row, column].repeat(scale, axis=0).repeat(scale, axis=1)
            board[row * (tall + _GAP) : row * (tall + _GAP) + tall, left : left + wide] = large
    size = board.shape[0] / _PIXELS, board.shape[1] / _PIXELS
    page = _Page(size, rows, row_notes, bool(column_notes), (title, subtitle, caption), bars)
    axes = page.picture_axes()
    axes.imshow(board, interpolation="nearest", aspect="auto", extent=(0, board.shape[1], board.shape[0], 0))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=3)
    centres = [left + wide / 2 for left in lefts]
    shown = _apart(centres, columns)
    axes.xaxis.set_ticks_position("top")
    axes.xaxis.set_label_position("top")
    notes = [f"\n{note}" for note in column_notes] or [""] * len(columns)
    axes.set_xticks(
        [centres[index] for index in shown], [columns[index] + notes[index] for index in shown], fontsize=8
    )
    axes.set_xlabel(column_axis, fontsize=9)
    middles = [row * (tall + _GAP) + tall / 2 for row in range(len(rows))]
    axes.set_yticks(middles, list(rows), fontsize=8)
    axes.set_ylabel(row_axis, fontsize=9)
    for middle, note in zip(middles, row_notes, strict=False):
        axes.text(board.shape[1] + 8 * _PIXELS, middle, note, fontsize=7, color=_GREY, va="center")
    return page.figure


class _Page:
    """Where things stand, in points from the upper left."""

    def __init__(
        self,
        board: tuple[float, float],
        rows: Sequence[str],
        row_notes: Sequence[str],
        has_column_notes: bool,
        texts: tuple[str, str, str],
        bars: Sequence[Bar],
    ) -> None:
        title, subtitle, caption = texts
        self._board = board
        self._left = _MARGIN + 30 + 8 * max(map(len, rows))
        notes = 8 + 7 * max(map(len, row_notes), default=0) if row_notes else 0
        right = notes + (22 + _BAR_ROOM if bars else 0) + _MARGIN
        self._width = max(self._left + board[1] + right, 620)
        room = int(self._width) - 2 * _MARGIN
        titles = textwrap.wrap(title, room // 11)
        under = textwrap.wrap(subtitle, room // 8)
        lines = textwrap.wrap(caption, int(room / 7.6))
        self._top = _MARGIN + 24 * len(titles) + _LINE * len(under) + (64 if has_column_notes else 50)
        body = max(board[0], (_BAR_LENGTH + 62) * len(bars))
        self._height = self._top + body + 16 + _LINE * len(lines) + _MARGIN
        self.figure = Figure(
            figsize=(self._width / _POINTS, self._height / _POINTS), dpi=DPI, facecolor="white"
        )
        FigureCanvasAgg(self.figure)
        self._text(_MARGIN, titles, fontsize=11.5, fontweight="bold")
        self._text(_MARGIN + 24 * len(titles), under, fontsize=8.5, color=_GREY)
        self._text(self._height - _MARGIN - _LINE * len(lines), lines, fontsize=7.8, color=_GREY)
        for index, bar in enumerate(bars):
            self._draw_bar(
                bar, self._left + board[1] + notes + 22, self._top + 14 + index * (_BAR_LENGTH + 62)
            )

    def picture_axes(self) -> Any:
        return self._axes(self._left, self._top, self._board[1], self._board[0])

    def _axes(self, left: float, top: float, width: float, height: float) -> Any:
        bottom = self._height - top - height
        return self.figure.add_axes(
            (left / self._width, bottom / self._height, width / self._width, height / self._height)
        )

    def _text(self, top: float, lines: Sequence[str], **style: Any) -> None:
        at = _MARGIN / self._width, 1 - top / self._height
        self.figure.text(*at, "\n".join(lines), va="top", linespacing=1.35, **style)

    def _draw_bar(self, bar: Bar, left: float, top: float) -> None:
        axes = self._axes(left, top, _BAR, _BAR_LENGTH)
        drawn = self.figure.colorbar(ScalarMappable(Normalize(0, 1), colormaps[bar.colours]), cax=axes)
        drawn.set_ticks([0, 1], labels=list(bar.ends))
        drawn.set_label(bar.label, fontsize=8)
        axes.tick_params(labelsize=7.5, length=0)
        axes.spines[:].set_visible(False)


def _apart(centres: Sequence[float], names: Sequence[str]) -> list[int]:
    """The columns that are named: all of them, or so many that names do not touch."""
    if len(centres) < 2:
        return list(range(len(centres)))
    room = min(after - before for before, after in pairwise(centres))
    stride = max(1, math.ceil((8 * max(map(len, names)) + 6) * _PIXELS / room))
    return list(range(0, len(names), stride))
