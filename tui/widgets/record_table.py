"""A table of records of any sort."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from rich.text import Text
from textual.events import Resize

from tui.browser.rows import abbreviated, widths
from tui.widgets.list_table import ListTable

Record = TypeVar("Record")

BATCH = 250


@dataclass(frozen=True)
class Column(Generic[Record]):
    """A column: its name, text, and what it is sorted by.

    Attributes:
        text: of a record, at a time (seconds since the epoch).
        least: the cells that the text may be abbreviated to where there is little room; None keeps it whole.
        wished: the cells that the text has before columns are kept that can be spared.
        numeric: set to the right.
        spared: where there is no room for all columns the one with the highest number goes first; 0 stays.
    """

    name: str
    text: Callable[[Record, float], str]
    order: Callable[[Record], Any]
    least: int | None = None
    wished: int = 0
    numeric: bool = False
    spared: int = 0


def ordered(
    records: Iterable[Record], column: Column[Record], reverse: bool, name: Callable[[Record], Any]
) -> list[Record]:
    """Sorted by a column; records that are equal in it stay in the order of their names."""
    return sorted(sorted(records, key=name), key=column.order, reverse=reverse)


class RecordTable(ListTable, Generic[Record]):
    """Records as rows, the cursor on one of them, some of them marked; the columns share the width there is.

    Rows go in by batches, one each time the app is idle, so that keys are answered while thousands are on
    their way in.

    Attributes:
        marked: the keys of the marked records, in the order they were marked.
    """

    def __init__(self, *, id: str, most_marked: int | None = None) -> None:
        super().__init__(id=id)
        self.marked: list[str] = []
        self._most_marked = most_marked
        self._shown: dict[str, Record] = {}
        self._all_columns: tuple[Column[Record], ...] = ()
        self._columns: tuple[Column[Record], ...] = ()
        self._widths: list[int] = []
        self._sorted: tuple[str, bool] = ("", False)
        self._filling = 0

    @property
    def current(self) -> Record | None:
        """The record under the cursor."""
        if not self.is_valid_row_index(self.cursor_row):
            return None
        return self._shown.get(str(self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value))

    @property
    def marked_records(self) -> list[Record]:
        """The marked records that are shown, in the order they were marked."""
        return [self._shown[key] for key in self.marked if key in self._shown]

    def show(
        self,
        records: Mapping[str, Record],
        columns: Sequence[Column[Record]],
        sorted_by: Column[Record],
        reverse: bool,
    ) -> None:
        """Show records, by keys that no two of them share, in their order.

        The cursor stays on its record while that is among them.
        """
        current = self._current_key()
        self._all_columns = tuple(columns)
        self._sorted = (sorted_by.name, reverse)
        self._shown = dict(records)
        self._refill(current)

    def toggle_mark(self) -> None:
        """Mark the record under the cursor, or take its mark away, and go to the next.

        Of more marks than there may be, the first is taken away.
        """
        key = self._current_key()
        if key is None:
            return
        changed = [key]
        if key in self.marked:
            self.marked.remove(key)
        else:
            self.marked.append(key)
            if self._most_marked is not None and len(self.marked) > self._most_marked:
                changed.append(self.marked.pop(0))
        for one in changed:
            if one in self._shown:
                for column, cell in zip(self._columns, self._cells(one, time.time()), strict=True):
                    self.update_cell(one, column.name, cell)
        self.action_cursor_down()

    def on_resize(self, event: Resize) -> None:
        """Share the new width out."""
        if self._all_columns and self._share_out() != (self._columns, self._widths):
            self._refill(self._current_key())

    def action_scroll_home(self) -> None:
        """Go to the first record."""
        self.action_scroll_top()

    def action_scroll_end(self) -> None:
        """Go to the last record."""
        self.action_scroll_bottom()

    def _current_key(self) -> str | None:
        if not self.is_valid_row_index(self.cursor_row):
            return None
        return str(self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value)

    def _refill(self, current: str | None) -> None:
        self._filling += 1
        self._columns, self._widths = self._share_out()
        self.clear(columns=True)
        for column, width in zip(self._columns, self._widths, strict=True):
            label = Text(self._head(column), justify="right" if column.numeric else "left")
            self.add_column(label, width=width, key=column.name)
        keys = list(self._shown)
        before = keys.index(current) if current in self._shown else 0
        # The cursor's record must be in before the cursor can be put on it.
        self._fill(iter(keys), self._filling, max(BATCH, before + 1))
        self.move_cursor(row=before, animate=False)

    def _fill(self, waiting: Iterator[str], filling: int, count: int = BATCH) -> None:
        if filling != self._filling or not self.is_attached:
            return
        now = time.time()
        batch = list(islice(waiting, count))
        for key in batch:
            self.add_row(*self._cells(key, now), key=key)
        if len(batch) == count:
            self.call_after_refresh(self._fill, waiting, filling)

    def _cells(self, key: str, now: float) -> Iterator[Text]:
        record = self._shown[key]
        mark = "*" if key in self.marked else ""
        style = "bold" if mark else ""
        for column, width in zip(self._columns, self._widths, strict=True):
            text = mark + abbreviated(column.text(record, now), width - len(mark))
            yield Text(text, style=style, justify="right" if column.numeric else "left", no_wrap=True)
            # In the first column alone.
            mark = ""

    def _head(self, column: Column[Record]) -> str:
        name, reverse = self._sorted
        return column.name + ((" v" if reverse else " ^") if column.name == name else "")

    def _share_out(self) -> tuple[tuple[Column[Record], ...], list[int]]:
        """The columns that there is room for, and the cells that each of them gets."""
        now = time.time()
        texts = {
            column.name: max((len(column.text(record, now)) for record in self._shown.values()), default=0)
            for column in self._all_columns
        }
        columns = self._all_columns
        while True:
            heads = [len(self._head(column)) for column in columns]
            whole = [max(head, texts[column.name]) for column, head in zip(columns, heads, strict=True)]
            least = [
                text if column.least is None else min(text, max(head, column.least))
                for column, head, text in zip(columns, heads, whole, strict=True)
            ]
            room = self.size.width - 2 * self.cell_padding * len(whole) - self.styles.scrollbar_size_vertical
            wished = sum(
                max(fewest, min(text, column.wished))
                for column, text, fewest in zip(columns, whole, least, strict=True)
            )
            spared = max(columns, key=lambda column: column.spared, default=None)
            if wished <= room or spared is None or not spared.spared:
                return columns, widths(whole, least, room)
            columns = tuple(column for column in columns if column is not spared)
