"""Tasks whose answer can be read off a video, by the name that a sample's truth gives them.

A sample with `truth["task"] == "maze"` is scored by `MazeTask`. To score a task of your own, give
`register` an object with the members of `Task`; `cosinterp.scoring` and the commands then treat it like the
maze.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cosinterp.errors import SampleError

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Metric:
    """One number of a score.

    name      key in the score and column in tables
    label     a few words for axes and lists
    head      one or two short words for table heads
    kind      "share": the outcome of a run is 0 or 1; "mean": it is a number within `bounds`
    """

    name: str
    label: str
    head: str
    kind: Literal["share", "mean"]
    bounds: tuple[float, float] = (0.0, 1.0)


class Task(Protocol):
    """What scoring needs to know of a task.

    metrics     all that `score` returns, in the order of the tables
    headline    the two or three of them that are shown by step
    """

    name: str
    metrics: tuple[Metric, ...]
    headline: tuple[str, ...]

    def score(self, video: Frames, truth: Mapping[str, Any]) -> dict[str, float]:
        """Score a video, uint8 (frame, row, col, rgb): metric -> number. Raises UserError if it cannot."""
        ...

    def answer(self, video: Frames, truth: Mapping[str, Any]) -> str | None:
        """What the video answers: equal strings for equal answers, None if it answers nothing."""
        ...

    def final_frame(self, truth: Mapping[str, Any]) -> Frames | None:
        """The true last frame, uint8 (row, col, rgb), if the truth tells it."""
        ...


class MazeTask:
    """The mazes of the bundled model: which goal the drawn path reaches, and whether it is the true path."""

    name = "maze"
    metrics: tuple[Metric, ...] = (
        Metric("solved", "solved", "solved", "share"),
        Metric("valid_path", "valid path to a goal", "valid path", "share"),
        Metric("right_goal", "reaches the named goal", "right goal", "share"),
        Metric("iou", "IoU with the true path", "IoU", "mean"),
        Metric("walls_broken", "walls broken", "walls broken", "mean", (0.0, math.inf)),
        Metric("consistent", "frames consistent", "frames ok", "share"),
    )
    headline: tuple[str, ...] = ("solved", "iou")

    def score(self, video: Frames, truth: Mapping[str, Any]) -> dict[str, float]:
        """As `cosinterp.organism.scoring`; `right_goal`: the path reaches the named goal and no other."""
        from cosinterp.organism.scoring import score_video

        _require(truth)
        result = score_video(video, truth)
        return {
            "solved": float(result.solved),
            "valid_path": float(result.valid_path),
            "right_goal": float(result.goal_reached == str(truth["goal"])),
            "iou": result.iou,
            "walls_broken": float(result.walls_broken),
            "consistent": float(result.consistent),
        }

    def answer(self, video: Frames, truth: Mapping[str, Any]) -> str | None:
        """The drawn path cells of the last frame, if they lead from the start to a goal; else nothing."""
        from cosinterp.organism.rendering import PATH, read_cells
        from cosinterp.organism.scoring import score_video

        _require(truth)
        reached = score_video(video, truth).goal_reached
        if reached is None:
            return None
        drawn = np.packbits(read_cells(video[-1]) == PATH).tobytes()
        return f"{reached}-{hashlib.blake2b(drawn, digest_size=4).hexdigest()}"

    def final_frame(self, truth: Mapping[str, Any]) -> Frames:
        """The solved maze, drawn from the truth."""
        from cosinterp.organism.rendering import PATH, colour
        from cosinterp.organism.tasks import blank_cells

        _require(truth)
        cells = blank_cells(truth)
        cells[np.asarray(truth["path_order"]) > 0] = PATH
        return colour(cells)


_MAZE_TRUTH = ("goal", "walls", "path_order", "start", "red_goal", "blue_goal")


def _require(truth: Mapping[str, Any]) -> None:
    lacking = [key for key in _MAZE_TRUTH if key not in truth]
    if lacking:
        raise SampleError(
            f"the truth of this maze lacks {', '.join(lacking)}; write the mazes again and trace them."
        )


_TASKS: dict[str, Task] = {}


def register(task: Task) -> None:
    """Make a task known by its name. Raises ValueError if the name is taken, or a headline is no metric."""
    if task.name in _TASKS:
        raise ValueError(f"a task named {task.name!r} is known already")
    unknown = set(task.headline) - {metric.name for metric in task.metrics}
    if unknown:
        raise ValueError(f"headline of {task.name!r} names what is no metric: {', '.join(sorted(unknown))}")
    _TASKS[task.name] = task


def known_tasks() -> tuple[str, ...]:
    """Names of the tasks that can be scored."""
    return tuple(_TASKS)


def task_of(truth: Mapping[str, Any]) -> Task | None:
    """The task that a sample's truth names, None if it names none or one that is not known."""
    return _TASKS.get(str(truth.get("task", "")))


register(MazeTask())
