"""How scenes are drawn: cells in the colours of the mazes and one more, things of 2 x 2 cells.

A *place* is the upper left cell of a thing, as (row, col).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np

from cosinterp.organism import rendering
from cosinterp.organism.mazes import Cell
from cosinterp.organism.rendering import BLUE, PATH, RED, START

SIDE = 16
THING = 2
# Frames of the video in a latent frame; the first frame has a latent frame of its own.
FRAMES_A_LATENT = 2

Colour = Literal["red", "blue", "green", "yellow"]
COLOURS: tuple[Colour, ...] = get_args(Colour)
CLASS_OF: dict[Colour, int] = {"red": RED, "blue": BLUE, "green": START, "yellow": PATH}
TARGET = len(rendering.PALETTE)
PALETTE = np.concatenate([rendering.PALETTE, np.array([[224, 96, 208]], dtype=np.uint8)])


def draw(cells: np.ndarray, place: Cell, kind: int) -> None:
    """Put a thing of class ``kind`` into cells (row, col), in place; what lies outside is not drawn."""
    row, col = place
    cells[max(0, row) : row + THING, max(0, col) : col + THING] = kind


def footprint(places: Iterable[Cell]) -> np.ndarray:
    """Cells that things at any of these places cover, bool (row, col)."""
    covered = np.zeros((SIDE, SIDE), dtype=bool)
    for place in places:
        draw(covered, place, True)
    return covered


def apart(place: Cell, covered: np.ndarray) -> bool:
    """Whether a thing at ``place`` touches no covered cell, not even by a corner."""
    row, col = place
    return not covered[max(0, row - 1) : row + THING + 1, max(0, col - 1) : col + THING + 1].any()


def by_latent_frame(frames: np.ndarray) -> np.ndarray:
    """What holds in any frame of each latent frame: bool (latent frame, ...) of bool (frame, ...)."""
    later = frames[1:].reshape(-1, FRAMES_A_LATENT, *frames.shape[1:])
    return np.concatenate([frames[:1], later.any(axis=1)])


def colour(cells: np.ndarray) -> np.ndarray:
    """Pixels, uint8 (..., row, col, rgb), of cell classes (..., row, col)."""
    return rendering.colour(cells, PALETTE)


def read_cells(video: np.ndarray) -> np.ndarray:
    """Cell classes, uint8 (..., row, col), of pixels (..., row, col, rgb)."""
    return rendering.read_cells(video, PALETTE)
