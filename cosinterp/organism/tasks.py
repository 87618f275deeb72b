"""The maze task in words and numbers: prompts, and the ground truth that a store keeps with a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cosinterp.organism.mazes import GOALS, Cell, Goal, Maze
from cosinterp.organism.rendering import BLUE, FLOOR, RED, START, WALL, first_cells, path_order

TASK = "maze"
_TEMPLATES = (
    "Go to the {goal} goal.",
    "Find the way to the {goal} goal.",
    "Draw the path to the {goal} goal.",
    "Solve the maze and reach the {goal} goal.",
    "From the start, walk to the {goal} goal.",
)
PROMPTS: dict[Goal, tuple[str, ...]] = {
    goal: tuple(t.format(goal=goal) for t in _TEMPLATES) for goal in GOALS
}


def truth(maze: Maze, goal: Goal) -> dict[str, np.ndarray | int | str]:
    """What is known of a sample. Arrays lie on the token grid (row, col) of maze-wan: one cell, one token.

    Returns:
        ``task`` "maze"; ``goal`` "red" or "blue"; ``rooms``; ``path_length`` (cells from start to goal, both
        ends included); ``walls`` (uint8, 1 is wall, padding included); ``path_order`` (uint8, 1, 2, ... along
        the cells between start and goal, 0 elsewhere); ``start``, ``red_goal``, ``blue_goal`` (int64 (2,):
        row, col).
    """
    return {
        "task": TASK,
        "goal": goal,
        "rooms": maze.rooms,
        "path_length": len(maze.path(goal)),
        "walls": (first_cells(maze) == WALL).astype(np.uint8),
        "path_order": path_order(maze, goal),
        "start": np.array(maze.start),
        "red_goal": np.array(maze.goals["red"]),
        "blue_goal": np.array(maze.goals["blue"]),
    }


def start_and_goals(truth: Mapping[str, Any]) -> tuple[Cell, dict[Goal, Cell]]:
    """The start and the goals of a truth, as (row, col) cells."""
    return _cell(truth["start"]), {goal: _cell(truth[f"{goal}_goal"]) for goal in GOALS}


def blank_cells(truth: Mapping[str, Any]) -> np.ndarray:
    """Cell classes, uint8 (row, col), of a truth's maze before any path, as `rendering.first_cells` gives."""
    cells = np.where(np.asarray(truth["walls"]).astype(bool), np.uint8(WALL), np.uint8(FLOOR))
    start, goals = start_and_goals(truth)
    cells[start], cells[goals["red"]], cells[goals["blue"]] = START, RED, BLUE
    return cells


def _cell(value: Any) -> Cell:
    row, col = np.asarray(value).tolist()
    return int(row), int(col)
