"""The numbers of a result: a table that is sorted and filtered, and all that is known of one row."""

from __future__ import annotations

from dataclasses import replace

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, Static

from stores.errors import UserError
from tui.background import LatestReader
from tui.dialogs.page import Page
from tui.results.made_pane import facts_grid
from tui.results.numbers import FILTER_EXAMPLE, Numbers, Wanted
from tui.results.numbers_table import NumbersTable
from tui.results.result_messages import PlacesFound
from tui.widgets.filter_line import FilterLine


class NumbersPane(Vertical):
    """A filter line, what all rows share, the rows, and the row under the cursor in words."""

    class Counted(Message):
        """How many rows are shown, or why the filter cannot be read."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._numbers: Numbers | None = None
        self._wanted = Wanted()
        self._reader = LatestReader("places", self._find_places, self.post_message)

    def compose(self) -> ComposeResult:  # noqa: D102
        yield FilterLine(FILTER_EXAMPLE)
        yield Static(id="result-shared", markup=False)
        yield NumbersTable(id="result-table")
        yield Static(id="result-row", markup=False)

    def on_unmount(self) -> None:  # noqa: D102
        self._reader.close()

    @property
    def table(self) -> NumbersTable:
        """What takes the keys."""
        return self.query_one(NumbersTable)

    def show(self, numbers: Numbers) -> None:
        """Show a table, filtered and sorted as the one before."""
        self._numbers = numbers
        shared = ", ".join(f"{name} {text}" for name, text in numbers.shared)
        told = self.query_one("#result-shared", Static)
        told.display = bool(shared)
        told.update(f"in all rows: {shared}")
        self._want(self._wanted)

    def open_filter(self) -> None:
        """Open the filter line."""
        self.query_one(FilterLine).open()

    def sort_next(self) -> None:
        """Sort by the next column; after the last, as the rows come."""
        if self._numbers is not None:
            names = [None, *(column.name for column in self._numbers.columns)]
            before = self._wanted.sorted_by
            place = names.index(before) if before in names else 0
            self._sort(names[(place + 1) % len(names)], reverse=False)

    def sort_reverse(self) -> None:
        """Turn the order round."""
        self._sort(self._wanted.sorted_by, reverse=not self._wanted.reverse)

    @on(NumbersTable.HeadClicked)
    def _sort_by_head(self, event: NumbersTable.HeadClicked) -> None:
        is_same = event.column == self._wanted.sorted_by
        self._sort(event.column, reverse=is_same and not self._wanted.reverse)

    @on(NumbersTable.Moved)
    def _tell_row(self) -> None:
        place = self.table.place
        text = self._numbers.row_text(place) if self._numbers is not None and place is not None else ""
        self.query_one("#result-row", Static).update(text, layout=False)

    @on(NumbersTable.RowChosen)
    def _show_row(self) -> None:
        place = self.table.place
        if self._numbers is not None and place is not None:
            self.app.push_screen(Page(f"row {place:,}", facts_grid(self._numbers.row_facts(place))))

    @on(Input.Changed, "#filter")
    def _refilter(self, event: Input.Changed) -> None:
        self._want(Wanted(event.value, self._wanted.sorted_by, self._wanted.reverse))

    @on(FilterLine.Left)
    def _leave_filter(self, event: FilterLine.Left) -> None:
        self.query_one(FilterLine).put_away(event, self.table)

    @on(PlacesFound)
    def _take_places(self, message: PlacesFound) -> None:
        if message.numbers is not self._numbers or message.wanted != self._wanted:
            return
        self.table.show(message.numbers, message.wanted, message.places)
        self._tell_row()
        if message.error:
            self.post_message(self.Counted(message.error))
            return
        total, shown = len(message.numbers), len(message.places)
        self.post_message(
            self.Counted(f"{total:,} rows" if shown == total else f"{shown:,} of {total:,} rows")
        )

    def _find_places(self, asked: tuple[Numbers, Wanted]) -> None:
        numbers, wanted = asked
        try:
            self.post_message(PlacesFound(numbers, wanted, numbers.places(wanted)))
        except UserError as error:
            # A filter that cannot be read hides nothing.
            every = numbers.places(replace(wanted, text=""))
            self.post_message(PlacesFound(numbers, wanted, every, str(error)))

    def _sort(self, column: str | None, reverse: bool) -> None:
        self._want(Wanted(self._wanted.text, column, reverse))

    def _want(self, wanted: Wanted) -> None:
        self._wanted = wanted
        if self._numbers is not None:
            self._reader.ask((self._numbers, wanted))
