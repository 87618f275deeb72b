"""The mazes that schemes are measured on, and the paths that would be right. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cosinterp.organism.mazes import DEFAULT_ROOMS, GOALS, Goal, generate_maze
from cosinterp.organism.rendering import first_cells, path_order


@dataclass(frozen=True, eq=False)
class Tasks:
    """Held-out mazes, one after another, goals in turn.

    Attributes:
        numbers: int (maze,): which mazes.
        cells: uint8 (maze, row, col): classes of the first frame's cells.
        paths: bool (maze, 2, row, col): path cells to the goal that the prompt names, and to the other.
        path_length: int (maze,): cells of the path to the named goal, both ends included.
    """

    numbers: np.ndarray
    cells: np.ndarray
    paths: np.ndarray
    path_length: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def goals(self) -> list[Goal]:
        """What each prompt names."""
        return [GOALS[number % 2] for number in self.numbers]


def make_tasks(first: int, count: int) -> Tasks:
    """Held-out mazes ``first`` to ``first + count - 1`` of the default size."""
    numbers = range(first, first + count)
    cells, paths, lengths = [], [], []
    for number in numbers:
        maze = generate_maze(number, DEFAULT_ROOMS)
        named, other = GOALS[number % 2], GOALS[1 - number % 2]
        cells.append(first_cells(maze))
        paths.append(np.stack([path_order(maze, goal) > 0 for goal in (named, other)]))
        lengths.append(len(maze.path(named)))
    return Tasks(np.array(numbers), np.stack(cells), np.stack(paths), np.array(lengths))
