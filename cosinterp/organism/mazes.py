"""Perfect mazes with two goals, deterministic by seed, in two splits that share no maze.

A maze of R x R rooms is drawn on a grid of (2R + 1) x (2R + 1) cells: rooms sit at odd coordinates, the
cells between them are passages or walls. The passages form a spanning tree of the rooms (a *perfect* maze),
so any two rooms are joined by exactly one path. Both goals are dead ends: the path to one never crosses the
other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from cosinterp.errors import UserError

Split = Literal["train", "test"]
Goal = Literal["red", "blue"]
Cell = tuple[int, int]

GOALS: tuple[Goal, ...] = get_args(Goal)
MIN_ROOMS, MAX_ROOMS = 5, 9
# The size that maze-wan's own sampling defaults are for.
DEFAULT_ROOMS = 7

# A tree grown always from its newest room has long corridors and few junctions; from a random room, the
# reverse.
NEWEST_ROOM_PROBABILITY = 0.5
# In passages between rooms; a goal next door would need no search.
MIN_GOAL_DISTANCE = 3
# Share of all mazes, in 1/256, that belong to the test split.
TEST_SHARE = 16


@dataclass(frozen=True, eq=False)
class Maze:
    """One maze.

    Attributes:
        rooms: rooms a side.
        seed: what made it (with ``rooms`` and ``split``).
        split: ``"train"`` or ``"test"``.
        walls: bool (row, col), side ``2 * rooms + 1``; True is wall.
        start: (row, col) of the start.
        goals: colour -> (row, col).
    """

    rooms: int
    seed: int
    split: Split
    walls: np.ndarray
    start: Cell
    goals: dict[Goal, Cell]

    def path(self, goal: Goal) -> list[Cell]:
        """The only path from the start to ``goal``, both ends included, as (row, col) cells."""
        return _path(_parents(self.walls, self.start), self.goals[goal])


def generate_maze(seed: int, rooms: int, split: Split = "test") -> Maze:
    """The maze number ``seed`` of a size and split.

    The split is a property of the maze itself (a hash of its walls, start and goals), so no maze of one split
    can turn up in the other, whatever the seeds.

    Raises:
        UserError: ``rooms`` out of range, a negative seed, or an unknown split.
    """
    if not MIN_ROOMS <= rooms <= MAX_ROOMS:
        raise UserError(f"a maze has {MIN_ROOMS} to {MAX_ROOMS} rooms a side, not {rooms}")
    if seed < 0:
        raise UserError(f"a maze seed is 0 or more, not {seed}")
    if split not in get_args(Split):
        raise UserError(f"unknown split {split!r}: use 'train' or 'test'")
    rng = np.random.default_rng([rooms, seed, split == "test"])
    while True:
        walls = _spanning_tree(rng, rooms)
        ends = _place_start_and_goals(rng, walls, rooms)
        if ends is not None and _split_of(walls, ends) == split:
            start, red, blue = ends
            return Maze(rooms, seed, split, walls, start, {"red": red, "blue": blue})


def _spanning_tree(rng: np.random.Generator, rooms: int) -> np.ndarray:
    """Walls of a random perfect maze, by the growing-tree algorithm."""
    side = 2 * rooms + 1
    walls = np.ones((side, side), dtype=bool)
    # Every turn adds a room or retires one, so 2 * rooms**2 turns are enough; one draw for all is quick.
    draws = rng.random((2 * rooms * rooms, 3)).tolist()
    turn = 0
    first = (2 * int(rng.integers(rooms)) + 1, 2 * int(rng.integers(rooms)) + 1)
    walls[first] = False
    active = [first]
    visited = {first}
    while active:
        newest, which, direction = draws[turn]
        turn += 1
        index = len(active) - 1 if newest < NEWEST_ROOM_PROBABILITY else int(which * len(active))
        row, col = active[index]
        free = [
            (row + 2 * d_row, col + 2 * d_col)
            for d_row, d_col in ((-1, 0), (1, 0), (0, -1), (0, 1))
            if 0 < row + 2 * d_row < side
            and 0 < col + 2 * d_col < side
            and (row + 2 * d_row, col + 2 * d_col) not in visited
        ]
        if not free:
            active.pop(index)
            continue
        room = free[int(direction * len(free))]
        walls[(row + room[0]) // 2, (col + room[1]) // 2] = False
        walls[room] = False
        visited.add(room)
        active.append(room)
    return walls


def _place_start_and_goals(
    rng: np.random.Generator, walls: np.ndarray, rooms: int
) -> tuple[Cell, Cell, Cell] | None:
    """(start, red goal, blue goal), or None if no two dead ends are far enough from the drawn start."""
    start = (2 * int(rng.integers(rooms)) + 1, 2 * int(rng.integers(rooms)) + 1)
    parents = _parents(walls, start)
    has_child = set(parents.values())
    # A path of d passages has 2 d + 1 cells.
    far_ends = [
        cell
        for cell in parents
        if cell not in has_child and len(_path(parents, cell)) > 2 * MIN_GOAL_DISTANCE
    ]
    if len(far_ends) < 2:
        return None
    red, blue = rng.choice(len(far_ends), size=2, replace=False)
    return start, far_ends[red], far_ends[blue]


def _parents(walls: np.ndarray, start: Cell) -> dict[Cell, Cell | None]:
    """Breadth-first tree from ``start``: open cell -> the cell before it (None for the start)."""
    open_cells = {(int(row), int(col)) for row, col in np.argwhere(~walls)}
    parents: dict[Cell, Cell | None] = {start: None}
    frontier = [start]
    for row, col in frontier:
        for neighbour in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
            if neighbour in open_cells and neighbour not in parents:
                parents[neighbour] = (row, col)
                frontier.append(neighbour)
    return parents


def _path(parents: dict[Cell, Cell | None], end: Cell) -> list[Cell]:
    path: list[Cell] = []
    cell: Cell | None = end
    while cell is not None:
        path.append(cell)
        cell = parents[cell]
    return path[::-1]


def _split_of(walls: np.ndarray, ends: tuple[Cell, Cell, Cell]) -> Split:
    digest = hashlib.blake2b(walls.tobytes() + np.array(ends, dtype="<i2").tobytes(), digest_size=1).digest()
    return "test" if digest[0] < TEST_SHARE else "train"
