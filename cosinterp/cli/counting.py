"""A bar for a task whose parts are counted, with an estimate of the time left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from cosinterp.cli.console import err


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


def drawn_bar(*columns: ProgressColumn, speed_over: float = 30.0) -> Progress:
    """A bar on standard error, gone when it is over; nothing is drawn where that is no terminal.

    Args:
        columns: after the description and the bar itself.
        speed_over: seconds whose speed tells what is left.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
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
    with drawn_bar(*counts, *left) as bar:
        yield Count(bar, bar.add_task(description, total=total))
