"""Pictures in half cells: each character is two pixels, one above the other."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.style import Style

from tui.widgets.canvas import Line

Frame = NDArray[np.uint8]
"""(row, col, rgb)"""

_SHADES = " .:-=+*#%@"
# Pixels that differ by less than this are of one colour, so that what is flat is sent as one piece.
_COARSER = 8


def fitted(frame: Frame, columns: int, lines: int) -> Frame:
    """The frame as large as fits into so many characters, its shape kept, with an even number of rows."""
    from PIL import Image

    height, width = frame.shape[:2]
    factor = min(columns / width, 2 * lines / height)
    size = max(1, round(width * factor)), max(2, 2 * round(height * factor / 2))
    # A whole factor upwards leaves pixels as they are; everything else is a mean over what a pixel covers.
    way = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BOX
    return np.asarray(Image.fromarray(frame).resize(size, way))


def half_cells(frame: Frame, has_colour: bool = True) -> list[Line]:
    """A frame (row, col, rgb) of an even number of rows as lines of cells; without colour, in shades."""
    if not has_colour:
        light = frame.astype(np.float64) @ (0.299, 0.587, 0.114)
        level = (light[0::2] + light[1::2]) / 2 * (len(_SHADES) - 1) / 255
        return [[(_SHADES[one], Style()) for one in row] for row in level.round().astype(int).tolist()]
    coarse = np.minimum(frame.astype(np.int64) // _COARSER * _COARSER + _COARSER // 2, 255)
    lines: list[Line] = []
    for upper, lower in zip(coarse[0::2].tolist(), coarse[1::2].tolist(), strict=True):
        lines.append([_cell(tuple(a), tuple(b)) for a, b in zip(upper, lower, strict=True)])
    return lines


def best_columns(count: int, width: int, height: int) -> int:
    """How many of ``count`` square pictures stand in a row where they are largest, in so many characters.

    >>> best_columns(2, 80, 22), best_columns(2, 40, 40), best_columns(4, 80, 40)
    (2, 1, 2)
    """
    return max(
        range(1, count + 1), key=lambda columns: min(width // columns, 2 * (height // -(-count // columns)))
    )


@lru_cache(maxsize=1 << 14)
def _cell(upper: tuple[int, int, int], lower: tuple[int, int, int]) -> tuple[str, Style]:
    below = Color.from_rgb(*lower)
    if upper == lower:
        return " ", Style(bgcolor=below)
    return "▀", Style(color=Color.from_rgb(*upper), bgcolor=below)
