"""A table of any number of rows."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.keys import bindings
from tui.results.numbers import Numbers, Places, Wanted, head_of

_BLOCK = 64
"""Rows whose texts are made at once."""
_GAP = 2
_HEAD = Style(bold=True)
_CHOSEN = Style(reverse=True)


class NumbersTable(ScrollView):
    """Rows below a head that stays, the cursor on one of them.

    Texts are made of the rows that are seen. Textual's own table holds each cell as an object, and of 40,000
    rows takes seconds to fill, again whenever they are sorted.

    Attributes:
        cursor: the place of the cursor's row among those that are shown.
    """

    BINDINGS = bindings("numbers")
    can_focus = True

    class Moved(Message):
        """The cursor is on another row."""

    class HeadClicked(Message):
        """The head of a column was clicked on."""

        def __init__(self, column: str) -> None:
            self.column = column
            super().__init__()

    class RowChosen(Message):
        """The cursor's row is to be shown whole."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.cursor = 0
        self._numbers: Numbers | None = None
        self._wanted = Wanted()
        self._places: Places = np.empty(0, np.int64)
        self._texts = lru_cache(maxsize=64)(self._block)

    def show(self, numbers: Numbers, wanted: Wanted, places: Places) -> None:
        """Show these rows of a table; the cursor stays on its row while that is among them."""
        before = self.place if numbers is self._numbers else None
        self._numbers, self._wanted, self._places = numbers, wanted, places
        self._texts.cache_clear()
        kept = np.flatnonzero(places == before).tolist() if before is not None else []
        self.virtual_size = Size(sum(numbers.widths) + _GAP * len(numbers.widths), len(places) + 1)
        self._put(kept[0] if kept else 0)
        self.refresh()

    @property
    def place(self) -> int | None:
        """The cursor's row, by its place in the table; None: there is none."""
        return int(self._places[self.cursor]) if self.cursor < len(self._places) else None

    # Keys

    def action_row_before(self) -> None:
        """Go to the row before."""
        self._go(self.cursor - 1)

    def action_row_after(self) -> None:
        """Go to the row after."""
        self._go(self.cursor + 1)

    def action_page_before(self) -> None:
        """Go a screen back."""
        self._go(self.cursor - self._room)

    def action_page_after(self) -> None:
        """Go a screen on."""
        self._go(self.cursor + self._room)

    def action_first_row(self) -> None:
        """Go to the first row."""
        self._go(0)

    def action_last_row(self) -> None:
        """Go to the last row."""
        self._go(len(self._places) - 1)

    def action_columns_before(self) -> None:
        """Show what is to the left."""
        self.scroll_to(x=self.scroll_offset.x - self.size.width // 2, animate=False, immediate=True)

    def action_columns_after(self) -> None:
        """Show what is to the right."""
        self.scroll_to(x=self.scroll_offset.x + self.size.width // 2, animate=False, immediate=True)

    def action_whole_row(self) -> None:
        """Show the cursor's row whole."""
        if self.place is not None:
            self.post_message(self.RowChosen())

    def on_click(self, event: Click) -> None:
        """Put the cursor there, or ask for a column to be sorted by."""
        if event.y > 0:
            self._go(min(self.scroll_offset.y + event.y - 1, len(self._places) - 1))
            return
        end, x = 0, event.x + self.scroll_offset.x
        for column, width in (
            zip(self._numbers.columns, self._numbers.widths, strict=True) if self._numbers else ()
        ):
            end += width + _GAP
            if x < end:
                self.post_message(self.HeadClicked(column.name))
                return

    def on_resize(self, event: Resize) -> None:
        """Keep the cursor in sight."""
        self._put(self.cursor)

    # Painting

    def render_line(self, y: int) -> Strip:
        """The head, or a row."""
        scroll = self.scroll_offset
        base = self.rich_style
        numbers, width = self._numbers, self.size.width
        if numbers is None:
            return Strip.blank(width, base)
        row = scroll.y + y - 1
        if y == 0:
            texts, style = [head_of(column, self._wanted) for column in numbers.columns], base + _HEAD
        elif row < len(self._places):
            texts = self._texts(row // _BLOCK)[row % _BLOCK]
            style = base + _CHOSEN if row == self.cursor and self.has_focus else base
            style = base + Style(bold=True) if row == self.cursor and not self.has_focus else style
        else:
            return Strip.blank(width, base)
        cells = [
            _fitted(text, one, column.is_number)
            for text, one, column in zip(texts, numbers.widths, numbers.columns, strict=True)
        ]
        line = (" " * _GAP).join(cells)[scroll.x : scroll.x + width]
        return Strip([Segment(line.ljust(width), style)], width)

    def _block(self, block: int) -> list[list[str]]:
        assert self._numbers is not None
        return self._numbers.texts(self._places[block * _BLOCK : (block + 1) * _BLOCK])

    # The cursor

    @property
    def _room(self) -> int:
        """Rows that are seen at once."""
        return max(1, self.scrollable_content_region.height - 1)

    def _go(self, row: int) -> None:
        before, first = self.cursor, self.scroll_offset.y
        self._put(row)
        if self.cursor == before:
            return
        if self.scroll_offset.y == first:
            for one in (before, self.cursor):
                self.refresh(Region(0, one - first + 1, self.size.width, 1))
        else:
            self.refresh()
        self.post_message(self.Moved())

    def _put(self, row: int) -> None:
        self.cursor = max(0, min(row, len(self._places) - 1))
        first = self.scroll_offset.y
        if self.cursor < first:
            first = self.cursor
        elif self.cursor >= first + self._room:
            first = self.cursor - self._room + 1
        self.scroll_to(y=first, animate=False, immediate=True, force=True)


def _fitted(text: str, width: int, is_number: bool) -> str:
    if len(text) > width:
        return text[: width - 1] + "…"
    return text.rjust(width) if is_number else text.ljust(width)
