"""Targets of mazes, from the truth that a store keeps with a run: what each place of the maze is.

All are (row, col), and hold for all frames of the token grid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.probing.values import Values, yes_no

TASK = "maze"

Truth = Mapping[str, Any]


def path(truth: Truth) -> Values:
    """Whether a place lies on the true path, between the start and the named goal."""
    return yes_no(np.asarray(truth["path_order"]) > 0)


def wall(truth: Truth) -> Values:
    """Whether a place is wall."""
    return yes_no(_walls(truth))


def start_cell(truth: Truth) -> Values:
    """Whether a place is the start."""
    return yes_no(_at(truth, "start"))


def goal_cell(truth: Truth) -> Values:
    """Whether a place is the goal that the prompt names."""
    return yes_no(_at(truth, f"{truth['goal']}_goal"))


def other_goal_cell(truth: Truth) -> Values:
    """Whether a place is the goal that the prompt does not name."""
    return yes_no(_at(truth, "blue_goal" if truth["goal"] == "red" else "red_goal"))


def distance(truth: Truth) -> Values:
    """Steps on foot from a place to the named goal; walls and what is cut off have none."""
    from scipy.sparse.csgraph import shortest_path
    from sklearn.feature_extraction.image import grid_to_graph

    floor = ~_walls(truth)
    found = np.full(floor.shape, np.nan)
    # The nodes of this graph are the places of the floor, in order.
    graph = grid_to_graph(*floor.shape, mask=floor)
    goal = _at(truth, f"{truth['goal']}_goal")
    steps = shortest_path(graph, unweighted=True, directed=False, indices=int(np.flatnonzero(goal[floor])[0]))
    found[floor] = np.where(np.isfinite(steps), steps, np.nan)
    return found


TARGETS: dict[str, tuple[Callable[[Truth], Values], tuple[str, ...]]] = {
    "path": (path, ("path_order",)),
    "wall": (wall, ("walls",)),
    "start_cell": (start_cell, ("walls", "start")),
    "goal_cell": (goal_cell, ("walls", "goal", "red_goal", "blue_goal")),
    "other_goal_cell": (other_goal_cell, ("walls", "goal", "red_goal", "blue_goal")),
    "distance": (distance, ("walls", "goal", "red_goal", "blue_goal")),
}
"""What is asked by name, and the truths that it needs."""


def _walls(truth: Truth) -> NDArray[np.bool_]:
    return np.asarray(truth["walls"]).astype(bool)


def _at(truth: Truth, name: str) -> NDArray[np.bool_]:
    place = np.zeros(_walls(truth).shape, dtype=bool)
    place[tuple(np.asarray(truth[name]).tolist())] = True
    return place
