"""How a sweep goes, drawn on standard error."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import Any

from rich.text import Text

from cosinterp.cli.console import err
from cosinterp.cli.counting import unit_bar
from stores.units import count_text

MOST_ERRORS = 5
"""Different errors of rows that are told as they come; the others are counted."""


class SweepProgress:
    """A bar over the patches of a sweep with an estimate of the time left; errors of rows as they come."""

    def __init__(self) -> None:
        self.made = 0
        self.errors: Counter[str] = Counter()
        self._started = time.monotonic()
        # The speed of the last minutes: patches of early steps take longer than those of late ones.
        self._bar = unit_bar("patches", speed_over=300)
        self._task = self._bar.add_task("patching", total=None)

    def planned(self, total: int, done: int) -> None:
        """Say how many patches are to be made."""
        # Of those to be made: what was there already took no time.
        self._bar.update(self._task, total=total - done)
        there = f"; {done} there already" if done else ""
        _say(f"{count_text(total - done, 'row')} to make{there}")

    def row(self, row: dict[str, Any]) -> None:
        """Move the bar; say what went wrong."""
        self.made += 1
        label = f"{row['site']} layer {row['layers']} step {row['steps']}"
        self._bar.update(
            self._task,
            advance=1,
            description=label,
            sample=row["recipient_sample"],
            seeds=str(row["recipient_seed"]),
        )
        error = str(row.get("error", ""))
        if error:
            self.errors[error] += 1
            if self.errors[error] == 1 and len(self.errors) <= MOST_ERRORS:
                _say(f"{row['recipient_sample']} seed {row['recipient_seed']}, {label}: {error}", "yellow")

    def __enter__(self) -> SweepProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()
        if kind is None:
            seconds = time.monotonic() - self._started
            _say(f"done: {count_text(self.made, 'row')} in {seconds:.0f} s")


def _say(line: str, style: str = "") -> None:
    # As a Text: a style of the whole print would colour the bar below it, too.
    err().print(Text(line, style), soft_wrap=True)
