"""A bar for a task whose parts are counted, with an estimate of the time left.

Whatever moves a bar is told to the job too, if the command runs as one: there is no terminal to draw on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from cosinterp.cli.console import err
from cosinterp.jobs.telling import tell

_RATE_HOLDS = 0.5


class Count:
    """A running count: call it for each part that is done."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def __call__(self, *_: object) -> None:
        """One part more; what a caller passes along is left alone."""
        self._bar.advance(self._task)

    def reach(self, done: int, total: int, *_: object) -> None:
        """So many parts of so many are done."""
        self._bar.update(self._task, completed=done, total=total)

    def now(self, description: str) -> None:
        """Say what is being done."""
        self._bar.update(self._task, description=description)


class ToldProgress(Progress):
    """A bar that tells the job how it stands as it moves.

    A task's fields ``sample``, ``seeds``, ``rate`` (per second) and ``seconds_left`` are told as they are,
    ``what`` in place of its description.

    Args:
        unit: what is counted; None: it has no name.
    """

    def __init__(self, *columns: ProgressColumn, unit: str | None, **settings: Any) -> None:
        super().__init__(*columns, **settings)
        self._unit = unit
        self._rates: dict[TaskID, tuple[float, float | None]] = {}

    def add_task(self, description: str, *args: Any, **settings: Any) -> TaskID:
        """As `rich.progress.Progress.add_task`."""
        task_id = super().add_task(description, *args, **settings)
        self._tell(task_id)
        return task_id

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """As `rich.progress.Progress.update`."""
        super().update(task_id, **changes)
        self._tell(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """As `rich.progress.Progress.advance`."""
        super().advance(task_id, advance)
        self._tell(task_id)

    def _tell(self, task_id: TaskID) -> None:
        task = next(task for task in self.tasks if task.id == task_id)
        now = self.get_time()
        measured, rate = self._rates.get(task_id, (-_RATE_HOLDS, None))
        # Going through all that a bar remembers takes longer than a small part of the work does.
        if rate is None or now - measured >= _RATE_HOLDS:
            rate = rate_of(task)
            self._rates[task_id] = now, rate
        tell(**told_of(task, self._unit, rate))


def rate_of(task: Task) -> float | None:
    """How many parts a second; None: not known yet."""
    rate = task.finished_speed or task.speed
    if not rate and task.elapsed:
        # Where a part takes longer than the bar remembers, only the whole time tells.
        rate = task.completed / task.elapsed
    return rate or None


def told_of(task: Task, unit: str | None, rate: float | None) -> dict[str, Any]:
    """What a job is told of a task of a bar; see `ToldProgress`."""
    left = None if task.remaining is None or rate is None else max(task.remaining, 0.0) / rate
    told = {
        "description": task.fields.get("what", task.description),
        "done": _counted(task.completed),
        "total": None if task.total is None else _counted(task.total),
        "unit": unit,
        "rate": rate,
        "seconds_left": left,
        "sample": None,
        "seeds": None,
    }
    given = ("sample", "seeds", "rate", "seconds_left")
    return told | {name: task.fields[name] for name in given if name in task.fields}


def _counted(number: float) -> float:
    """A number of Python's own, since counts of arrays may be NumPy's, which JSON does not know."""
    plain = float(number)
    return int(plain) if plain.is_integer() else plain


def drawn_bar(*columns: ProgressColumn, unit: str | None = None, speed_over: float = 30.0) -> Progress:
    """A bar on standard error, gone when it is over; nothing is drawn where that is no terminal.

    Args:
        columns: after the description and the bar itself.
        unit: what is counted, as `ToldProgress`.
        speed_over: seconds whose speed tells what is left.
    """
    return ToldProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        unit=unit,
        console=err(),
        # Over a slow line each frame of the bar costs.
        refresh_per_second=2,
        speed_estimate_period=speed_over,
        transient=True,
        disable=not err().is_terminal,
    )


def unit_bar(unit: str, *, speed_over: float = 30.0) -> Progress:
    """A `drawn_bar` over counted things, named by ``unit``, with the time that they took and that is left."""
    return drawn_bar(
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
        unit=unit,
        speed_over=speed_over,
    )


@contextmanager
def counting(description: str, total: int | None = None, sizes: bool = False) -> Iterator[Count]:
    """Draw a bar on standard error while the block runs; nothing where that is no terminal.

    Without ``total`` it is not known before the first `Count.reach`. With ``sizes`` the parts are bytes, and
    their speed is shown as well.
    """
    counts = (DownloadColumn(), TransferSpeedColumn()) if sizes else (MofNCompleteColumn(),)
    left = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with drawn_bar(*counts, *left, unit="bytes" if sizes else None) as bar:
        yield Count(bar, bar.add_task(description, total=total))
