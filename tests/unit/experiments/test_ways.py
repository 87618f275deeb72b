"""How many ways a video draws at once."""

from __future__ import annotations

import numpy as np
import pytest

from cosinterp.experiments.ways import ways
from cosinterp.organism import mazes, rendering, tasks

SEED = 3


def video_of(*goals: mazes.Goal, share: float = 1.0) -> np.ndarray:
    """A maze with the first part of the paths to some goals."""
    maze = mazes.generate_maze(SEED, 5)
    cells = rendering.first_cells(maze)
    for goal in goals:
        path = maze.path(goal)[1:-1]
        for cell in path[: round(share * len(path))]:
            cells[cell] = rendering.PATH
    return rendering.colour(cells)[None]


TRUTH = tasks.truth(mazes.generate_maze(SEED, 5), "red")


def test_nothing_drawn_is_no_way() -> None:
    assert ways(video_of(), TRUTH) == 0


@pytest.mark.parametrize("goal", mazes.GOALS)
def test_a_path_to_one_goal_is_one_way(goal: mazes.Goal) -> None:
    assert ways(video_of(goal), TRUTH) == 1


def test_paths_to_both_goals_are_two_ways() -> None:
    assert ways(video_of("red", "blue"), TRUTH) == 2


def test_what_is_not_joined_to_the_start_is_no_way() -> None:
    video = video_of("red")
    maze = mazes.generate_maze(SEED, 5)
    first = maze.path("red")[1]
    size = rendering.CELL_PX
    row, col = first[0] * size, first[1] * size
    video[:, row : row + size, col : col + size] = rendering.PALETTE[rendering.FLOOR]
    assert ways(video, TRUTH) == 0


def test_path_that_is_drawn_on_walls_is_not_counted() -> None:
    cells = np.full(rendering.first_cells(mazes.generate_maze(SEED, 5)).shape, rendering.PATH, dtype=np.uint8)
    walls = np.asarray(TRUTH["walls"]).astype(bool)
    everywhere = rendering.colour(cells)[None]
    open_only = rendering.colour(np.where(walls, rendering.WALL, cells).astype(np.uint8))[None]
    assert ways(everywhere, TRUTH) == ways(open_only, TRUTH) > 2
