"""Tasks whose answer can be read off a video, by the name that a sample's truth gives them.

A sample with `truth["task"] == "maze"` is scored by `MazeTask`. To score a task of your own, give
`register` an object with the members of `Task`; `cosinterp.scoring` and the commands then treat it like the
maze.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cosinterp.errors import SampleError
from probes.scores import ANSWER, Metric, Reading

Frames = NDArray[np.uint8]


class Task(Protocol):
    """What scoring needs to know of a task.

    metrics     all that `score` returns, in the order of the tables
    headline    the two or three of them that are shown by step

    A task whose answers have coarser parts (the goal that a path leads to) may have `readings` and `read`
    as `Readable` says.
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


@runtime_checkable
class Readable(Protocol):
    """What a task may have beside the members of `Task`: answers that can be read in several ways.

    readings    the first is all of the answer, named "answer"
    """

    readings: tuple[Reading, ...]

    def read(self, reading: str, answer: str) -> str:
        """What an answer says in the reading of this name."""
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
    readings: tuple[Reading, ...] = (
        Reading(ANSWER, "path", "solved"),
        Reading("goal", "goal", "right_goal"),
    )

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

    def read(self, reading: str, answer: str) -> str:
        """All of the answer, or the goal that its path reaches: "red", "blue" or "both"."""
        return answer.partition("-")[0] if reading == "goal" else answer

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


def readings_of(task: Task) -> tuple[Reading, ...]:
    """The ways to read a task's answers. Where the task says nothing: all of the answer, which is right where
    the first share of its headline is 1."""
    if isinstance(task, Readable):
        return task.readings
    shares = [metric.name for metric in task.metrics if metric.kind == "share"]
    return (Reading(ANSWER, "answer", next((name for name in task.headline if name in shares), None)),)


def read_answer(task: Task, reading: str, answer: str | None) -> str | None:
    """What an answer says in a reading of `readings_of`."""
    return task.read(reading, answer) if answer is not None and isinstance(task, Readable) else answer


def task_of(truth: Mapping[str, Any]) -> Task | None:
    """The task that a sample's truth names, None if it names none or one that is not known."""
    return _TASKS.get(str(truth.get("task", "")))


register(MazeTask())
