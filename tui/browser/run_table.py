"""The table of runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text
from textual._two_way_dict import TwoWayDict
from textual.events import Resize
from textual.widgets.data_table import Row as TableRow
from textual.widgets.data_table import RowKey

from tui.browser.rows import Column, Row, abbreviated, widths
from tui.widgets.list_table import ListTable


class RunTable(ListTable):
    """Runs as rows, the cursor on one of them, some of them marked; the columns share the width there is.

    Ten thousand are shown as quickly as the few that are seen: cells are made when they are painted,
    and how long the texts of a run are is measured once.
    """

    def __init__(self) -> None:
        super().__init__(id="runs")
        self.marked: set[str] = set()
        self._shown: dict[str, Row] = {}
        self._columns: tuple[Column, ...] = ()
        self._widths: list[int] = []
        self._heads: list[str] = []
        self._longest: dict[str, int] = {}
        self._measured: set[str] = set()

    @property
    def current(self) -> Row | None:
        """The run under the cursor."""
        if not self.is_valid_row_index(self.cursor_row):
            return None
        return self._shown[str(self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value)]

    def show(
        self,
        rows: Sequence[Row],
        columns: tuple[Column, ...],
        sorted_by: Column,
        reverse: bool,
        wanted: str | None = None,
    ) -> None:
        """Show ``rows`` in their order. The cursor stays on its run while that is among them.

        Args:
            rows: runs.
            columns: that are shown of them.
            sorted_by: one of these; it is marked.
            reverse: the order is turned round.
            wanted: the key of a run that the cursor goes to instead, if that is among them.
        """
        mark = " v" if reverse else " ^"
        current = self.current
        self._columns = columns
        self._heads = [column.name + (mark if column is sorted_by else "") for column in columns]
        self._shown = {row.key: row for row in rows}
        self._refill(self._shown.get(wanted or "", current))

    def toggle_mark(self) -> None:
        """Mark the run under the cursor, or take its mark away, and go to the next."""
        row = self.current
        if row is None:
            return
        self.marked ^= {row.key}
        for column, cell in zip(self._columns, self._cells(row, time.time()), strict=True):
            self.update_cell(row.key, column.name, cell)
        self.action_cursor_down()

    def get_row(self, row_key: RowKey | str) -> list[Text]:
        """The cells of a run, by its key."""
        key = row_key if isinstance(row_key, str) else str(row_key.value)
        return list(self._cells(self._shown[key], time.time()))

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
        self._widths = self._share_out()
        # Else `clear` first finds out where each of these rows is.
        self._data, self.rows = {}, {}
        self.clear(columns=True)
        for column, head, width in zip(self._columns, self._heads, self._widths, strict=True):
            label = Text(head, justify="right" if column.numeric else "left")
            self.add_column(label, width=width, key=column.name)
        self._add_keys(self._shown)
        before = list(self._shown).index(current.key) if current and current.key in self._shown else 0
        self.move_cursor(row=before, animate=False)
        if self._shown and self.is_attached:
            self._highlight_cursor()

    def _add_keys(self, keys: Iterable[str]) -> None:
        """Add rows without cells, as `add_row` does one by one in fifty times the time."""
        places = {RowKey(key): place for place, key in enumerate(keys)}
        self._row_locations = TwoWayDict(places)
        self._data = {key: {} for key in places}
        self.rows = {key: TableRow(key, 1) for key in places}
        self._update_count += 1
        self._require_update_dimensions = True
        self.check_idle()

    def _update_dimensions(self, new_rows: Iterable[RowKey]) -> None:
        # Widths are given and each row is a line, so no cell has to be measured.
        super()._update_dimensions(())

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
        self._measure()
        heads = [len(head) for head in self._heads]
        whole = [
            max(head, self._longest[column.name]) for column, head in zip(self._columns, heads, strict=True)
        ]
        least = [
            text if column.least is None else min(text, max(head, column.least))
            for column, head, text in zip(self._columns, heads, whole, strict=True)
        ]
        room = self.size.width - 2 * self.cell_padding * len(whole) - self.styles.scrollbar_size_vertical
        return widths(whole, least, room)

    def _measure(self) -> None:
        """Find out how long the texts of the columns are, of the runs that have not been measured yet.

        Columns keep their widths while a filter is typed.
        """
        if {column.name for column in self._columns} != self._longest.keys():
            self._longest = {column.name: column.most or 0 for column in self._columns}
            self._measured = set()
        new = [row for key, row in self._shown.items() if key not in self._measured]
        now = time.time()
        for column in self._columns:
            if column.most is None:
                longest = max((len(column.text(row, now)) for row in new), default=0)
                self._longest[column.name] = max(longest, self._longest[column.name])
        self._measured.update(self._shown)
