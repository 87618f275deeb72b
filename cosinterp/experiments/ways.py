"""How many ways through a maze a video draws at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cosinterp.organism.mazes import Cell
from cosinterp.organism.rendering import PATH, read_cells
from cosinterp.organism.tasks import start_and_goals


def ways(video: np.ndarray, truth: Mapping[str, Any]) -> int:
    """The ends of what is drawn from the start on, in the last frame; 0 where nothing is drawn there.

    One way ends once. A maze has no cycles, so what is drawn on its floor and joined to the start is a tree,
    and its ends are its leaves. A leaf counts if it is a room or beside a goal: what stops between two rooms
    has not decided on anything.

    Args:
        video: uint8 (frame, row, col, rgb).
        truth: of a maze, as `cosinterp.organism.tasks.truth` gives it.
    """
    cells = read_cells(video)[-1]
    drawn = (cells == PATH) & ~np.asarray(truth["walls"]).astype(bool)
    start, goals = start_and_goals(truth)
    joined = _joined(drawn, start)
    found = 0
    for cell in joined - {start}:
        around = list(_neighbours(cell))
        is_leaf = sum(near in joined for near in around) == 1
        is_room = cell[0] % 2 == 1 and cell[1] % 2 == 1
        found += is_leaf and (is_room or any(goal in around for goal in goals.values()))
    return found


def _joined(drawn: np.ndarray, start: Cell) -> set[Cell]:
    """The start and the drawn cells that are joined to it."""
    found = {start}
    frontier = [start]
    for cell in frontier:
        for near in _neighbours(cell):
            is_inside = 0 <= near[0] < drawn.shape[0] and 0 <= near[1] < drawn.shape[1]
            if is_inside and near not in found and drawn[near]:
                found.add(near)
                frontier.append(near)
    return found


def _neighbours(cell: Cell) -> Iterator[Cell]:
    row, col = cell
    yield from ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1))
