"""The table of jobs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text
from textual.coordinate import Coordinate
from textual.geometry import Region

from tui.jobs.lines import Line
from tui.widgets.record_table import Column, RecordTable


class JobTable(RecordTable[Line]):
    """Jobs as rows. What changes by itself changes in its place: only cells that differ are sent.

    The cursor stays on its job, whatever comes or goes above it; and that job on its line of the screen, once
    the table is scrolled.
    """

    def __init__(self) -> None:
        # Before all else, which paints already.
        self._quiet = False
        super().__init__(id="jobs")

    def show(
        self,
        records: Mapping[str, Line],
        columns: Sequence[Column[Line]],
        sorted_by: Column[Line],
        reverse: bool,
    ) -> None:
        """Show jobs in their order; see `RecordTable.show`."""
        before = self._shown
        if (
            list(before) == list(records)
            and self._sorted == (sorted_by.name, reverse)
            and [column.name for column in self._all_columns] == [column.name for column in columns]
            and self._renew({key: line for key, line in records.items() if line is not before[key]})
        ):
            return
        top = self.scroll_offset.y
        above = self.cursor_row - top
        super().show(records, columns, sorted_by, reverse)
        # The parent has put the cursor back on its job. At the top, what comes is seen to come.
        if top == 0 and self.cursor_row < self.scrollable_content_region.height - self.header_height:
            self.scroll_to(y=0, animate=False, force=True)
        else:
            self.scroll_to(y=max(0, self.cursor_row - above), animate=False, force=True)

    @property
    def columns_shown(self) -> list[str]:
        """The names of the columns that there is room for."""
        return [column.name for column in self._columns]

    def go_to(self, key: str) -> bool:
        """Put the cursor on a job; False: it is not here."""
        if key not in self._shown:
            return False
        if key in self.rows:
            self.move_cursor(row=self.get_row_index(key), animate=False)
        else:
            # Its batch is not in yet.
            self._refill(key)
        return True

    def repaint(self) -> None:
        """Draw all cells again: the colours are others."""
        self._refill(self._current_key())

    def _renew(self, changed: Mapping[str, Line]) -> bool:
        """Change the cells that differ; False: one of them is too long for its column."""
        widths = dict(zip((column.name for column in self._columns), self._widths, strict=True))
        for key, line in changed.items():
            before = self._shown[key]
            for column in self._columns:
                text = column.text(line, line.now)
                longer = len(text) > max(widths[column.name], len(column.text(before, before.now)))
                if longer and column.least is None:
                    return False
        self._shown.update(changed)
        for key in changed:
            if key in self.rows:
                self._renew_row(key)
        return True

    def _renew_row(self, key: str) -> None:
        row = self.get_row_index(key)
        changed = [
            (place, column.name, cell)
            for place, (column, cell) in enumerate(
                zip(self._columns, self._cells(key, time.time()), strict=True)
            )
            if cell != self.get_cell(key, column.name)
        ]
        # Textual would paint all of the table anew.
        self._quiet = True
        for _, name, cell in changed:
            self.update_cell(key, name, cell)
        self._quiet = False
        for place, _, _ in changed:
            self.refresh_coordinate(Coordinate(row, place))

    def refresh(self, *regions: Region, **settings: Any) -> JobTable:
        """See `Widget.refresh`; nothing is painted while cells are changed one by one."""
        return self if self._quiet else super().refresh(*regions, **settings)

    def _cells(self, key: str, now: float) -> Iterator[Text]:
        colour = self._shown[key].colour
        for column, cell in zip(self._columns, super()._cells(key, now), strict=True):
            if column.name == "state" and colour:
                cell.stylize(self.app.theme_variables[colour])
            yield cell
