"""Which tasks are known, and how their answers are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cosinterp.scorers.task import Readable, Task
from probes.scores import ANSWER, Reading

_TASKS: dict[str, Task] = {}
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def register(task: Task) -> None:
    """Make a task known by its name.

    Raises:
        ValueError: the name is taken, or cannot be a part of a result's name, as in ``scores-NAME``; or a
            headline is no metric.
    """
    if not _NAME.fullmatch(task.name):
        raise ValueError(f"a task cannot be named {task.name!r}: use letters, digits, '.', '_' or '-'")
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
