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


def size_in_cells(frame: Frame, columns: int, lines: int) -> tuple[int, int]:
    """The columns and lines that a picture takes in half cells where there are so many, its shape kept."""
    height, width = frame.shape[:2]
    factor = min(columns / width, 2 * lines / height)
    return max(1, round(width * factor)), max(1, round(height * factor / 2))


def fitted(frame: Frame, columns: int, lines: int) -> Frame:
    """The frame as large as fits into so many characters, its shape kept, with an even number of rows."""
    return fitted_to(frame, *size_in_cells(frame, columns, lines))


def fitted_to(frame: Frame, columns: int, lines: int) -> Frame:
    """The frame in just so many characters: (2 lines, columns, rgb)."""
    return scaled(frame, columns, 2 * lines)


def scaled(frame: Frame, width: int, height: int) -> Frame:
    """The frame in so many pixels: (height, width, rgb)."""
    from PIL import Image

    # A whole factor upwards leaves pixels as they are; everything else is a mean over what a pixel covers.
    is_larger = width >= frame.shape[1] and height >= frame.shape[0]
    way = Image.Resampling.NEAREST if is_larger else Image.Resampling.BOX
    return np.asarray(Image.fromarray(frame).resize((width, height), way))


def in_pixels(
    frame: Frame, columns: int, lines: int, cell: tuple[int, int], background: tuple[int, int, int]
) -> Frame:
    """The frame as large as it fits into the pixels of so many cells, its shape kept; the rest is background.

    Args:
        frame: (row, col, rgb).
        columns, lines: of cells.
        cell: width and height of one in pixels.
        background: red, green and blue.

    Returns:
        (lines * height, columns * width, rgb), uint8.
    """
    wide, tall = columns * cell[0], lines * cell[1]
    factor = min(wide / frame.shape[1], tall / frame.shape[0])
    size = (
        max(1, min(wide, round(frame.shape[1] * factor))),
        max(1, min(tall, round(frame.shape[0] * factor))),
    )
    made = np.empty((tall, wide, 3), np.uint8)
    made[:] = background
    made[: size[1], : size[0]] = scaled(frame, *size)
    return made


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
