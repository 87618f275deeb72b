"""Whose answer a patched run gives, by the tasks of its samples: the donor's, or its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cosinterp.scorers import Frames, Metric, Task, task_of

Truth = Mapping[str, Any]


class TaskMeasure:
    """Each metric of a task against both truths: ``solved_recipient``, ``solved_donor``, ...

    A sample whose truth names no known task has no columns.
    """

    def __init__(self, recipient: Task | None, donor: Task | None) -> None:
        tasks = {"recipient": recipient, "donor": donor}
        self._tasks = {whose: task for whose, task in tasks.items() if task is not None}
        self.name = " and ".join(dict.fromkeys(task.name for task in self._tasks.values()))
        self.columns: tuple[Metric, ...] = tuple(
            replace(metric, name=f"{metric.name}_{whose}", label=f"{metric.label}, {whose}'s")
            for whose, task in self._tasks.items()
            for metric in task.metrics
        )

    def measure(self, video: Frames, recipient_truth: Truth, donor_truth: Truth) -> dict[str, float]:
        """Scores of a video, uint8 (frame, row, col, rgb). Raises UserError if a task cannot score it."""
        truths = {"recipient": recipient_truth, "donor": donor_truth}
        return {
            f"{metric}_{whose}": value
            for whose, task in self._tasks.items()
            for metric, value in task.score(video, truths[whose]).items()
        }


class MazeGoals:
    """Which goal of the recipient's maze the drawn path leads to: the one that the donor's prompt names?

    Goals are told apart by colour. A path to both goals is a path to none of the two alone, so all three
    columns are 0 then.
    """

    name = "maze goals"
    columns: tuple[Metric, ...] = (
        Metric("goal_donor", "reaches the donor's goal", "donor's goal", "share"),
        Metric("goal_recipient", "reaches the recipient's own goal", "own goal", "share"),
        Metric("goal_none", "reaches no goal", "no goal", "share"),
    )

    def measure(self, video: Frames, recipient_truth: Truth, donor_truth: Truth) -> dict[str, float]:
        """`goal_donor` is NaN if the donor's truth names no goal. Raises UserError: not the maze's size."""
        from cosinterp.organism.scoring import score_video

        reached = score_video(video, recipient_truth).goal_reached
        wanted = donor_truth.get("goal")
        return {
            "goal_donor": math.nan if wanted is None else float(reached == str(wanted)),
            "goal_recipient": float(reached == str(recipient_truth["goal"])),
            "goal_none": float(reached is None),
        }


def task_measures(recipient_truth: Truth, donor_truth: Truth) -> tuple[TaskMeasure | MazeGoals, ...]:
    """What can be measured of a pair of samples with these truths."""
    recipient, donor = task_of(recipient_truth), task_of(donor_truth)
    found: tuple[TaskMeasure | MazeGoals, ...] = ()
    if recipient is not None or donor is not None:
        found = (TaskMeasure(recipient, donor),)
    if recipient is not None and recipient.name == "maze":
        found = (*found, MazeGoals())
    return found
