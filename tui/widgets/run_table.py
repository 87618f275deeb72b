"""The table of runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice

from rich.text import Text
from textual.events import Resize
from textual.widgets import DataTable

from tui.rows import Column, Row, abbreviated, widths

BATCH = 250


class RunTable(DataTable[Text]):
    """Runs as rows, the cursor on one of them, some of them marked; the columns share the width there is.

    Rows go in by batches, one each time the app is idle, so that keys are answered while ten thousand are on
    their way in.
    """

    def __init__(self) -> None:
        super().__init__(cursor_type="row", cell_padding=1, id="runs")
        self.marked: set[str] = set()
        self._shown: dict[str, Row] = {}
        self._columns: tuple[Column, ...] = ()
        self._widths: list[int] = []
        self._heads: list[str] = []
        self._filling = 0

    @property
    def current(self) -> Row | None:
        """The run under the cursor."""
        if not self.is_valid_row_index(self.cursor_row):
            return None
        return self._shown[str(self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value)]

    def show(
        self, rows: Sequence[Row], columns: tuple[Column, ...], sorted_by: Column, reverse: bool
    ) -> None:
        """Show ``rows`` in their order. The cursor stays on its run while that is among them."""
        mark = " v" if reverse else " ^"
        current = self.current
        self._columns = columns
        self._heads = [column.name + (mark if column is sorted_by else "") for column in columns]
        self._shown = {row.key: row for row in rows}
        self._refill(current)

    def toggle_mark(self) -> None:
        """Mark the run under the cursor, or take its mark away, and go to the next."""
        row = self.current
        if row is None:
            return
        self.marked ^= {row.key}
        for column, cell in zip(self._columns, self._cells(row, time.time()), strict=True):
            self.update_cell(row.key, column.name, cell)
        self.action_cursor_down()

    def on_resize(self, event: Resize) -> None:
        """Share the new width out."""
        if self._columns and self._share_out() != self._widths:
            self._refill(self.current)

    def action_scroll_home(self) -> None:
        """Go to the first run; with whole rows chosen, the first column would mean nothing."""
        self.action_scroll_top()

    def action_scroll_end(self) -> None:
        """Go to the last run."""
        self.action_scroll_bottom()

    def _refill(self, current: Row | None) -> None:
        self._filling += 1
        self._widths = self._share_out()
        self.clear(columns=True)
        for column, head, width in zip(self._columns, self._heads, self._widths, strict=True):
            label = Text(head, justify="right" if column.numeric else "left")
            self.add_column(label, width=width, key=column.name)
        before = list(self._shown).index(current.key) if current and current.key in self._shown else 0
        waiting = iter(self._shown.items())
        # The cursor's run must be in before the cursor can be put on it.
        self._fill(waiting, self._filling, max(BATCH, before + 1))
        self.move_cursor(row=before, animate=False)

    def _fill(self, waiting: Iterator[tuple[str, Row]], filling: int, count: int = BATCH) -> None:
        if filling != self._filling or not self.is_attached:
            return
        now = time.time()
        batch = list(islice(waiting, count))
        for key, row in batch:
            self.add_row(*self._cells(row, now), key=key)
        if len(batch) == count:
            self.call_after_refresh(self._fill, waiting, filling)

    def _cells(self, row: Row, now: float) -> Iterator[Text]:
        mark = "*" if row.key in self.marked else ""
        for column, width in zip(self._columns, self._widths, strict=True):
            text = mark + abbreviated(column.text(row, now), width - len(mark))
            yield Text(
                text,
                style="bold" if row.key in self.marked else "",
                justify="right" if column.numeric else "left",
                no_wrap=True,
            )
            # In the first column alone.
            mark = ""

    def _share_out(self) -> list[int]:
        now = time.time()
        heads = [len(head) for head in self._heads]
        whole = [
            max(head, max((len(column.text(row, now)) for row in self._shown.values()), default=0))
            for column, head in zip(self._columns, heads, strict=True)
        ]
        least = [
            text if column.least is None else min(text, max(head, column.least))
            for column, head, text in zip(self._columns, heads, whole, strict=True)
        ]
        room = self.size.width - 2 * self.cell_padding * len(whole) - self.styles.scrollbar_size_vertical
        return widths(whole, least, room)
