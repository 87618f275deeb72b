"""How experiments go, drawn on standard error: one bar over all of them, in estimated seconds."""

from __future__ import annotations

import time
from types import TracebackType

from rich.progress import TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from cosinterp.cli.console import err
from cosinterp.cli.counting import drawn_bar
from cosinterp.experiments.costs import Cost, Rates


def minutes_text(seconds: float) -> str:
    """`40 s`, `7 min`, `3.2 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class ExperimentBar:
    """A bar that moves by what is done of what was estimated, and says what is left at the pace so far.

    Args:
        rates: how fast this machine is; None where nothing is left to do.
    """

    def __init__(self, rates: Rates | None) -> None:
        self._rates, self._total = rates, 0.0
        self._before = self._within = self._share = 0.0
        self._began = time.monotonic()
        self._part = ""
        shown = (TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
        self._bar = drawn_bar(*shown, unit="seconds of work")
        # Its seconds are estimated, so that their rate says nothing.
        self._task = self._bar.add_task("", total=None, left="", rate=None)

    def planned(self, total: float) -> None:
        """As `cosinterp.experiments.reproducing.Progress.planned`."""
        self._total = total
        self._bar.update(self._task, total=max(total, 1e-9))

    def began(self, name: str, seconds: float) -> None:
        """As `cosinterp.experiments.reproducing.Progress.began`."""
        self._part, self._share, self._within = name, seconds, 0.0
        self._say(f"{name} ...")

    def finished(self, name: str) -> None:
        """As `cosinterp.experiments.reproducing.Progress.finished`."""
        self._before, self._share, self._within = self._before + self._share, 0.0, 0.0
        self._draw()

    def doing(self, what: str) -> None:
        """As `cosinterp.experiments.bench.Work.doing`."""
        self._bar.update(self._task, description=f"{self._part}: {what}" if self._part else what)

    def did(self, cost: Cost) -> None:
        """As `cosinterp.experiments.bench.Work.did`."""
        if self._rates is not None:
            # What was there before counts too, and may be more than was estimated.
            self._within = min(self._within + self._rates.seconds(cost), self._share)
        self._draw()

    def __enter__(self) -> ExperimentBar:
        self._began = time.monotonic()
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def _draw(self) -> None:
        done = min(self._before + self._within, self._total)
        elapsed = time.monotonic() - self._began
        # The first seconds load the model, and tell nothing of the pace.
        pace = elapsed / done if done > 0.02 * self._total and elapsed > 5 else 1.0
        left = pace * (self._total - done)
        self._bar.update(
            self._task, completed=done, left=f"about {minutes_text(left)} left", seconds_left=left
        )

    def _say(self, line: str) -> None:
        err().print(Text(line, "dim"), soft_wrap=True)
