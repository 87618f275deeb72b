"""The screen that lists results."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import DataTable, Input, Static

from stores.errors import UserError
from tui.app import app_of
from tui.background import LatestReader, do
from tui.browser.reading import Problem, find_stores
from tui.copying import copy
from tui.dialogs.ask import Question
from tui.dialogs.page import Page
from tui.keys import bindings
from tui.listing_messages import ReadFailed, ReadingDone, RowsRead
from tui.results import deeds, reading
from tui.results.listed import NOTHING, Listed
from tui.results.messages import ResultRemoved, SaidRead, TitlesRead
from tui.results.rows import FILTER_EXAMPLE, ResultRow, by_name, columns, matcher, of_store
from tui.results.says_pane import SaysPane
from tui.widgets.filter_line import FilterLine
from tui.widgets.key_footer import KeyFooter
from tui.widgets.places_bar import PlacesBar
from tui.widgets.record_table import Column, RecordTable, ordered


class Results(Screen[None]):
    """The results of a store or of a folder of stores, and what one says."""

    CSS_PATH = "results.tcss"
    BINDINGS = bindings("results")
    PLACES = ("results", "app", "filter")
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (130, "-wide")]

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._listed = Listed()
        self._shown = 0
        self._wanted: Path | None = None
        self._asked_of: ResultRow | None = None
        self._columns = columns(1)
        self._sorted_by: Column[ResultRow] = self._columns[0]
        self._reverse = False
        self._list_reader = LatestReader("results", self._read_list, self.post_message)
        self._said_reader = LatestReader("said", self._read_said, self.post_message)

    def compose(self) -> ComposeResult:  # noqa: D102
        yield PlacesBar()
        yield Static(id="status", markup=False)
        yield FilterLine(FILTER_EXAMPLE)
        with Container(id="results-body"):
            yield Static("reading...", id="results-nothing", markup=False)
            yield RecordTable[ResultRow](id="results-table", most_marked=2)
            yield SaysPane(id="results-said")
        yield KeyFooter()

    def on_mount(self) -> None:  # noqa: D102
        self._table.focus()
        self.action_reload()

    def on_unmount(self) -> None:  # noqa: D102
        for reader in (self._list_reader, self._said_reader):
            reader.close()

    def on_screen_resume(self) -> None:
        """Read again what may have been made or removed in the meantime."""
        if self._listed.is_done:
            self.action_reload()

    def only(self, store: Path) -> None:
        """Show the results of one store alone, until the filter is changed."""
        self._wanted = store
        if self.is_mounted:
            self._show()

    # Actions

    def action_back(self) -> None:
        """Back to where it was opened, if that is not the place of all results."""
        if self is not self.app.screen_stack[0]:
            self.dismiss()

    def action_reload(self) -> None:
        """Read the results again."""
        number = self._listed.begin()
        self._show_status()
        self._list_reader.ask(number)

    def action_filter(self) -> None:
        """Open the filter line."""
        self.query_one(FilterLine).open()

    def action_sort_next(self) -> None:
        """Sort by the next column."""
        place = self._columns.index(self._sorted_by)
        self._sort(self._columns[(place + 1) % len(self._columns)], reverse=False)

    def action_sort_reverse(self) -> None:
        """Turn the order round."""
        self._sort(self._sorted_by, reverse=not self._reverse)

    def action_mark(self) -> None:
        """Mark the result under the cursor, or take its mark away."""
        self._table.toggle_mark()
        self._show_status()

    def action_compare(self) -> None:
        """Show the two marked results beside one another."""
        marked = self._table.marked_records
        if len(marked) != 2:
            self.notify("mark two results with space, then = shows them beside one another")
            return
        from tui.results.compare_screen import CompareScreen

        self.app.push_screen(CompareScreen(*((row.store, row.name) for row in marked)))

    def action_copy(self) -> None:
        """Copy the command that makes the result under the cursor again."""
        row = self._table.current
        command = (
            None if row is None or row.entry.header is None else row.entry.header.provenance.get("command")
        )
        if command:
            copy(app_of(self), str(command), "the command")
        elif row is not None:
            self.notify(f"{row.name} does not say which command made it", markup=False)

    def action_remove(self) -> None:
        """Remove the result under the cursor, after a question."""
        row = self._table.current
        if row is None or not app_of(self).may_write("remove results"):
            return
        question = f"Remove the result {row.name} of {row.store_name}? The runs stay."
        self.app.push_screen(
            Question(question, "Remove it", "Keep it"),
            lambda yes: do(lambda: deeds.remove(row.entry.path), self.post_message) if yes else None,
        )

    def action_problems(self) -> None:
        """Show what could not be read."""
        lines = "\n\n".join(self._listed.problems) or "Everything has been read."
        self.app.push_screen(Page("not read", Text(lines)))

    # What the user does in a widget

    @on(DataTable.HeaderSelected)
    def _sort_by_head(self, event: DataTable.HeaderSelected) -> None:
        chosen = next(column for column in self._columns if column.name == event.column_key.value)
        self._sort(chosen, reverse=chosen is self._sorted_by and not self._reverse)

    @on(DataTable.RowHighlighted)
    def _choose(self) -> None:
        self._ask_said()

    @on(DataTable.RowSelected)
    def _open(self) -> None:
        row = self._table.current
        if row is not None:
            from tui.results.result_screen import ResultScreen

            self.app.push_screen(ResultScreen(row.store, row.name))

    @on(Input.Changed, "#filter")
    def _refilter(self) -> None:
        self._show()

    @on(FilterLine.Left)
    def _leave_filter(self, event: FilterLine.Left) -> None:
        self.query_one(FilterLine).put_away(event, self._table)

    # What the threads tell

    @on(RowsRead)
    def _add_rows(self, message: RowsRead) -> None:
        if self._listed.add(message.reading, message.rows):
            self._show()

    @on(ReadFailed)
    def _add_problem(self, message: ReadFailed) -> None:
        self._listed.fail(message.reading, message.message)
        self._show_status()

    @on(ReadingDone)
    def _finish(self, message: ReadingDone) -> None:
        if self._listed.finish(message.reading) or self._wanted is not None:
            self._show()
        self._ask_said()
        self._show_status()

    @on(TitlesRead)
    def _name_kinds(self, message: TitlesRead) -> None:
        self._listed.name(message.titles)
        self._show()

    @on(SaidRead)
    def _show_said(self, message: SaidRead) -> None:
        if message.row != self._table.current:
            return
        pane = self.query_one(SaysPane)
        if message.said is None:
            pane.show_error(message.error)
        else:
            pane.show_said(message.said)

    @on(ResultRemoved)
    def _tell_removed(self, message: ResultRemoved) -> None:
        if message.error:
            self.notify(message.error, severity="error", markup=False)
        else:
            self.notify(f"removed {message.path.stem}", markup=False)
        self.action_reload()

    # In the reading threads

    def _read_list(self, number: int) -> None:
        found: list[ResultRow] = []
        stores = 0
        for store in find_stores(self._path):
            if isinstance(store, Problem):
                self.post_message(ReadFailed(number, store.message))
                continue
            stores += 1
            try:
                for rows in reading.read_rows(store, self._path):
                    found += rows
                    self.post_message(RowsRead(number, rows))
                    if self._list_reader.overtaken:
                        return
            except UserError as error:
                self.post_message(ReadFailed(number, str(error)))
        self.post_message(ReadingDone(number, stores))
        if titles := reading.read_titles(found):
            self.post_message(TitlesRead(titles))

    def _read_said(self, row: ResultRow) -> None:
        try:
            self.post_message(SaidRead(row, reading.read_said(row)))
        except UserError as error:
            self.post_message(SaidRead(row, None, str(error)))

    # Showing

    @property
    def _table(self) -> RecordTable[ResultRow]:
        return self.query_one("#results-table", RecordTable)

    def _sort(self, column: Column[ResultRow], reverse: bool) -> None:
        self._sorted_by, self._reverse = column, reverse
        self._show()

    def _show(self) -> None:
        self._columns = columns(len({row.store for row in self._listed.rows.values()}))
        if self._sorted_by not in self._columns:
            self._sorted_by = self._columns[0]
        line = self.query_one(FilterLine)
        self._filter_by_store(line)
        keeps = matcher(line.value)
        kept = [row for row in self._listed.rows.values() if keeps(row)]
        self._shown = len(kept)
        in_order = ordered(kept, self._sorted_by, self._reverse, by_name)
        self._table.show({row.key: row for row in in_order}, self._columns, self._sorted_by, self._reverse)
        self._ask_said()
        self._show_status()

    def _filter_by_store(self, line: FilterLine) -> None:
        """Put the store that was asked for into the filter, once it is known how it is called."""
        names = {row.store_name for row in self._listed.rows.values() if row.store == self._wanted}
        if self._wanted is None or not (names or self._listed.is_done):
            return
        stores = {row.store for row in self._listed.rows.values()}
        with line.prevent(Input.Changed):
            line.value = of_store(names.pop()) if names and len(stores) > 1 else ""
        line.display = bool(line.value)
        if self._listed.is_done:
            self._wanted = None

    def _ask_said(self) -> None:
        """Have what the result under the cursor says read, unless its file cannot be."""
        row, pane = self._table.current, self.query_one(SaysPane)
        if row is None or row.entry.error is not None:
            self._asked_of = None
        if row is None:
            pane.show_nothing()
        elif row.entry.error is not None:
            pane.show_error(row.entry.error)
        elif self._listed.is_done:
            # What is read anew, after a reload or a key in the filter, is seen meanwhile.
            if row != self._asked_of:
                pane.show_nothing("reading...")
            self._asked_of = row
            # Its numbers need libraries that take long to load, which the list should not wait for.
            self._said_reader.ask(row)

    def _show_status(self) -> None:
        rows = self._listed.rows
        nothing = self.query_one("#results-nothing", Static)
        nothing.display = not rows
        nothing.update(NOTHING if self._listed.is_done else "reading...")
        for widget in (self._table, self.query_one(SaysPane)):
            widget.display = bool(rows)
        told = self._listed.texts(self._shown, len(self._table.marked_records))
        self.query_one("#status", Static).update("   ".join([str(self._path), *told]))
