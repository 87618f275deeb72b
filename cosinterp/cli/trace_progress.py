"""How a trace goes, drawn on standard error."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from rich.text import Text

from cosinterp.cli.console import err
from cosinterp.cli.counting import unit_bar
from cosinterp.cli.trace_plan import Outlook
from cosinterp.planning.plan import TracePlan
from stores.layout import BASE, run_file
from stores.selection import compact
from stores.units import count_text, size_text


class RichProgress:
    """A bar over the steps of all runs, with an estimate of the time left; a line for each finished run.

    Args:
        store: that takes the runs.
        threads: that write.
        variant: of the runs.
        steps: of all of them together; None: each run has all of its own.
    """

    def __init__(
        self, store: Path, threads: int = 1, *, variant: str = BASE, steps: int | None = None
    ) -> None:
        self.made = 0
        self.written = 0
        self._store = store
        self._threads = threads
        self._variant = variant
        self._steps = steps
        self._total = 0
        self._started = time.monotonic()
        self._bar = unit_bar("steps")
        what = "tracing" if variant == BASE else f"making {variant}"
        self._task = self._bar.add_task(what, total=None, what=what)

    def planned(self, plan: TracePlan, todo: Sequence[tuple[str, int]]) -> None:
        """Say how many runs are to be made, their size, and how long the disk takes for them."""
        self._total = len(todo)
        self._bar.update(self._task, total=self._steps or len(todo) * plan.num_steps)
        outlook = Outlook.of(plan, todo, self._store, self._threads)
        most = "at most " if outlook.at_most else ""
        runs = count_text(len(todo), "run") + ("" if self._variant == BASE else f" of {self._variant}")
        skipped = plan.num_runs - len(todo) if self._variant == BASE else 0
        _say(
            f"{runs} into {self._store}, {most}{size_text(outlook.needed)}"
            + (f"; {skipped} there already" if skipped else "")
        )
        if outlook.disk.speed is not None:
            _say(f"the disk takes them in {outlook.disk}")

    def step(self, sample: str, seeds: tuple[int, ...], step: int, num_steps: int) -> None:
        """Move the bar."""
        several = compact(seeds)
        label = f"{sample} seed {several}"
        self._bar.update(self._task, advance=len(seeds), description=label, sample=sample, seeds=several)

    def finished(self, sample: str, seed: int) -> None:
        """Say which run is complete."""
        self.made += 1
        line = f"{self.made}/{self._total} {sample} seed {seed}"
        # Somebody may remove runs while others are made.
        with suppress(FileNotFoundError):
            size = (self._store / run_file(sample, seed, self._variant)).stat().st_size
            self.written += size
            line += f", {size_text(size)}"
        _say(line, style="dim")

    def __enter__(self) -> RichProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()
        if kind is None:
            seconds = time.monotonic() - self._started
            written, speed = size_text(self.written), size_text(int(self.written / max(seconds, 1e-9)))
            runs = count_text(self.made, "run")
            _say(f"done: {runs} in {seconds:.0f} s, {written} ({speed}/s), {self._store}")


def _say(line: str, style: str = "") -> None:
    # As a Text: a style of the whole print would colour the bar below it, too.
    err().print(Text(line, style), soft_wrap=True)
