"""Score a decoded video against its maze: is the drawn path the right one?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cosinterp.errors import UserError
from cosinterp.organism.mazes import GOALS, Cell, Goal
from cosinterp.organism.rendering import CELL_PX, FLOOR, PATH, WALL, read_cells
from cosinterp.organism.tasks import blank_cells, start_and_goals


@dataclass(frozen=True)
class MazeScore:
    """One video's score, read off its last frame unless said otherwise.

    The start and the goals keep their own colours in a true video, so they are no path cells; a video that
    paints over one of them is neither solved nor a valid path.

    Attributes:
        solved: the path cells are exactly those of the true path.
        valid_path: the path cells are exactly those between the start and one of the two goals.
        goal_reached: "red" or "blue", the goal that path cells connect to the start without crossing a wall;
            "both"; or None.
        iou: intersection over union of the path cells and the true path's cells, 0 to 1.
        walls_broken: path cells that lie on walls.
        consistent: over the frames, the path only grows, and every wall and floor cell outside it stays what
            it is. Start and goals are not asked: an autoencoder loses the colour of a single cell first.
    """

    solved: bool
    valid_path: bool
    goal_reached: str | None
    iou: float
    walls_broken: int
    consistent: bool

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


def score_video(video: np.ndarray, truth: Mapping[str, Any]) -> MazeScore:
    """Score a video, uint8 (frame, row, col, rgb), against ``tasks.truth``.

    Raises:
        UserError: the video's size is not that of the maze.
    """
    blank = blank_cells(truth)
    height, width = (CELL_PX * side for side in blank.shape)
    if video.shape[1:3] != (height, width):
        raise UserError(
            f"the video is {video.shape[1]}x{video.shape[2]} px, "
            f"but this maze is drawn at {height}x{width} px"
        )
    cells = read_cells(video)
    drawn = cells[-1] == PATH
    walls = np.asarray(truth["walls"]).astype(bool)
    true_path = np.asarray(truth["path_order"]) > 0
    start, goals = start_and_goals(truth)

    reached = _reached(drawn & ~walls, start)
    ends: list[Goal] = [goal for goal in GOALS if reached.intersection(_neighbours(goals[goal]))]
    walls_broken = int((drawn & walls).sum())
    return MazeScore(
        solved=bool(np.array_equal(drawn, true_path)),
        # The start is reached, but not drawn.
        valid_path=len(ends) == 1
        and walls_broken == 0
        and len(reached) == int(drawn.sum()) + 1
        and _is_simple_path(reached, start, goals[ends[0]]),
        goal_reached="both" if len(ends) == 2 else ends[0] if ends else None,
        iou=float((drawn & true_path).sum() / max(1, (drawn | true_path).sum())),
        walls_broken=walls_broken,
        consistent=_consistent(cells, blank),
    )


def _reached(passable: np.ndarray, start: Cell) -> set[Cell]:
    """The start, and the passable cells connected to it."""
    reached = {start}
    frontier = [start]
    for cell in frontier:
        for near in _neighbours(cell):
            inside = 0 <= near[0] < passable.shape[0] and 0 <= near[1] < passable.shape[1]
            if inside and near not in reached and passable[near]:
                reached.add(near)
                frontier.append(near)
    return reached


def _is_simple_path(reached: set[Cell], start: Cell, goal: Cell) -> bool:
    """Whether connected open cells lead from ``start`` to ``goal`` and nowhere else.

    A perfect maze has one path to the goal, so it is enough that the cells have no end but those two: the
    start has one neighbour on the path, every other cell two.
    """
    on_path = reached | {goal}
    return all(
        len(on_path.intersection(_neighbours(cell))) == (1 if cell == start else 2) for cell in reached
    )


def _neighbours(cell: Cell) -> tuple[Cell, Cell, Cell, Cell]:
    row, col = cell
    return (row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)


def _consistent(cells: np.ndarray, blank: np.ndarray) -> bool:
    path = cells == PATH
    only_grows = bool((path[1:] | ~path[:-1]).all())
    is_maze = np.isin(blank, (WALL, FLOOR))
    rest_stays = bool((path | (cells == blank))[:, is_maze].all())
    return only_grows and rest_stays
