"""Score a decoded video against its maze: is the drawn path the right one?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cosinterp.errors import UserError
from cosinterp.organism.mazes import GOALS, Cell, Goal
from cosinterp.organism.rendering import CELL_PX, PATH, WALL, read_cells


@dataclass(frozen=True)
class MazeScore:
    """One video's score, read off its last frame unless said otherwise.

    Attributes:
        solved: the path cells are exactly those of the true path.
        valid_path: the path cells are exactly a path from the start to one of the two goals.
        goal_reached: the goal that path cells connect to the start without crossing a wall; "both"; or None.
        iou: intersection over union of the path cells and the true path's cells, 0 to 1.
        walls_broken: path cells that lie on walls.
        consistent: over the frames, the path only grows, and no wall or floor cell outside it changes class.
    """

    solved: bool
    valid_path: bool
    goal_reached: str | None
    iou: float
    walls_broken: int
    consistent: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def score_video(video: np.ndarray, truth: Mapping[str, Any]) -> MazeScore:
    """Score a video, uint8 (frame, row, col, rgb), against ``tasks.truth``.

    Raises:
        UserError: the video's size is not that of the maze.
    """
    walls = np.asarray(truth["walls"]).astype(bool)
    size = (walls.shape[0] * CELL_PX, walls.shape[1] * CELL_PX)
    if video.shape[1:3] != size:
        raise UserError(
            f"the video is {video.shape[1]}x{video.shape[2]} px, but this maze is drawn at {size[0]}x{size[1]} px"
        )
    cells = read_cells(video)
    drawn = cells[-1] == PATH
    true_path = np.asarray(truth["path_order"]) > 0
    start = _cell(truth["start"])
    goals: dict[Goal, Cell] = {goal: _cell(truth[f"{goal}_goal"]) for goal in GOALS}

    reached = _reached(drawn & ~walls, start)
    goals_reached: list[Goal] = [goal for goal in GOALS if goals[goal] in reached.neighbours]
    solved = bool(np.array_equal(drawn, true_path))
    return MazeScore(
        solved=solved,
        valid_path=len(goals_reached) == 1 and _is_simple_path(drawn, walls, start, goals[goals_reached[0]]),
        goal_reached="both" if len(goals_reached) == 2 else goals_reached[0] if goals_reached else None,
        iou=float((drawn & true_path).sum() / max(1, (drawn | true_path).sum())),
        walls_broken=int((drawn & walls).sum()),
        consistent=_consistent(cells, walls),
    )


@dataclass(frozen=True)
class _Reach:
    cells: set[Cell]
    neighbours: set[Cell]


def _reached(passable: np.ndarray, start: Cell) -> _Reach:
    """The passable cells connected to ``start``, and all cells next to them or to the start."""
    cells = {start}
    neighbours: set[Cell] = set()
    frontier = [start]
    for row, col in frontier:
        for near in _neighbours((row, col)):
            neighbours.add(near)
            inside = 0 <= near[0] < passable.shape[0] and 0 <= near[1] < passable.shape[1]
            if inside and near not in cells and passable[near]:
                cells.add(near)
                frontier.append(near)
    return _Reach(cells, neighbours)


def _is_simple_path(drawn: np.ndarray, walls: np.ndarray, start: Cell, goal: Cell) -> bool:
    """Whether the drawn cells, no more and no fewer, lead from start to goal through open cells.

    In a perfect maze the path is the only one, so it is enough that the drawn cells are open, all connected to the
    start, and that none of them is an end of its own.
    """
    if (drawn & walls).any():
        return False
    reached = _reached(drawn, start)
    if len(reached.cells) - 1 != int(drawn.sum()):
        return False
    on_path = reached.cells | {goal}
    return all(
        sum(near in on_path for near in _neighbours(cell)) == (1 if cell == start else 2)
        for cell in reached.cells
    )


def _neighbours(cell: Cell) -> tuple[Cell, Cell, Cell, Cell]:
    row, col = cell
    return (row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)


def _consistent(cells: np.ndarray, walls: np.ndarray) -> bool:
    path = cells == PATH
    only_grows = bool((path[1:] | ~path[:-1]).all())
    walls_stay = bool(((cells == WALL) == walls)[~path].all())
    return only_grows and walls_stay


def _cell(value: Any) -> Cell:
    row, col = np.asarray(value).tolist()
    return int(row), int(col)
