"""Which jobs are shown, and in what order: one that does not change under the cursor by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tui.jobs.lines import AGE, COLUMNS, Line, columns_of, matcher, ordered

if TYPE_CHECKING:
    from tui.jobs.watch import Seen
    from tui.widgets.record_table import Column


class JobList:
    """The lines of the table.

    Numbers change each second while jobs run, and lines that changed places with them could not be hit. So
    their order stays until another job comes, one ends, or the user asks for another order.

    Attributes:
        sorted_by: a column, and whether it is turned round is ``reverse``.
        columns: those that say something.
        shown: how many lines there are.
    """

    def __init__(self) -> None:
        self.sorted_by: Column[Line] = AGE
        self.reverse = False
        self.columns: tuple[Column[Line], ...] = ()
        self.shown = 0
        self._lines: dict[str, Line] = {}
        self._order: dict[str, bool] = {}

    def sort(self, name: str, reverse: bool) -> None:
        """Sort by the column of this name from now on; nothing changes if there is none."""
        self.sorted_by = next((column for column in COLUMNS if column.name == name), self.sorted_by)
        self.reverse = reverse
        self._order.clear()

    def forget(self) -> list[str]:
        """Make all lines anew, with the ages that they have by now; the ids of all jobs."""
        known = list(self._lines)
        self._lines.clear()
        self._order.clear()
        return known

    def lines(self, jobs: Sequence[Seen], text: str, now: float, bars: bool) -> list[Line]:
        """The lines of those jobs that a filter keeps, in their order.

        Args:
            jobs: all of them.
            text: of the filter; see `matcher`.
            now: seconds since the epoch.
            bars: draw how much is done.
        """
        before = self._lines
        self._lines = {seen.id: self._line(before.get(seen.id), seen, now, bars) for seen in jobs}
        keeps = matcher(text)
        kept = {name: line for name, line in self._lines.items() if keeps(line)}
        standing = {name: line.seen.lives for name, line in kept.items()}
        if standing != self._order:
            found = ordered(kept.values(), self.sorted_by, self.reverse)
            self._order = {line.seen.id: line.seen.lives for line in found}
        lines = [kept[name] for name in self._order]
        self.columns = columns_of(lines)
        self.shown = len(lines)
        return lines

    @staticmethod
    def _line(before: Line | None, seen: Seen, now: float, bars: bool) -> Line:
        if before is not None and before.seen is seen and before.bars == bars:
            return before
        return Line(seen, now, bars)
