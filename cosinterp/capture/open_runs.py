"""The run files that a trace is writing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from stores.interrupts import interrupts_deferred

if TYPE_CHECKING:
    from stores.writer import RunWriter


class OpenRuns:
    """The run files being written; those that are not finished at the end are given up."""

    def __init__(self, begin: Callable[[str, int], RunWriter]) -> None:
        self._begin = begin
        self._open: dict[RunWriter, ExitStack] = {}

    def open(self, sample: str, seeds: tuple[int, ...], wanted: frozenset[int]) -> list[RunWriter | None]:
        """Claim and open a run file for each seed that is wanted, None for the others."""
        # A file that is made, but not yet known here, would be left behind.
        with interrupts_deferred():
            return [self._open_one(sample, seed) if seed in wanted else None for seed in seeds]

    def done(self, writer: RunWriter) -> None:
        """A run file is finished. Called by a thread that writes."""
        self._open.pop(writer).close()

    def _open_one(self, sample: str, seed: int) -> RunWriter:
        stack = ExitStack()
        writer = stack.enter_context(self._begin(sample, seed))
        self._open[writer] = stack
        return writer

    def __enter__(self) -> OpenRuns:
        return self

    def __exit__(self, *exception: Any) -> None:
        for stack in list(self._open.values()):
            stack.__exit__(*exception)
        self._open.clear()
