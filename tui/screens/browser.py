"""The screen that browses runs."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Input, Static

from stores.errors import SelectionError, UserError
from tui import reading
from tui.background import LatestReader
from tui.keys import bindings
from tui.messages import Crashed, DetailRead, ReadFailed, ReadingDone, RowsRead
from tui.rows import Column, Row, columns, matcher, ordered
from tui.screens.page import Page
from tui.widgets.filter_line import FilterLine
from tui.widgets.run_detail import RunDetail
from tui.widgets.run_table import RunTable

NOTHING = """No runs here.

Make some with the bundled model, then press r:

  cosinterp mazes --count 4 --rooms 7 --seed 0 --out mazes/
  cosinterp trace --model maze-wan --dataset mazes/ --seeds 0-3 --store runs/mazes"""


class Browser(Screen[None]):
    """The runs of a store or of a folder of stores, and the detail of one."""

    BINDINGS = bindings("runs")
    PLACES = ("runs", "app", "filter")
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (130, "-wide")]

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._reading = 0
        self._done = False
        self._rows: list[Row] = []
        self._shown = 0
        self._problems: list[str] = []
        self._filter_error = ""
        self._columns = columns(1)
        self._sorted_by = self._columns[0]
        self._reverse = False
        self._store_reader = LatestReader("stores", self._read_stores)
        self._detail_reader = LatestReader("detail", self._read_detail)

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Static(id="status", markup=False)
        yield FilterLine()
        with Container(id="body"):
            yield Static("reading...", id="nothing", markup=False)
            yield RunTable()
            yield RunDetail()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:  # noqa: D102
        self.query_one(RunTable).focus()
        self.action_reload()

    # Actions

    def action_reload(self) -> None:
        """Read the stores again."""
        self._reading += 1
        self._done = False
        self._rows = []
        self._problems = []
        self._show()
        self._store_reader.ask(self._reading)

    def action_filter(self) -> None:
        """Open the filter line."""
        line = self.query_one(FilterLine)
        line.display = True
        # At once, unlike line.focus(): what is typed next belongs to the line.
        self.set_focus(line)

    def action_sort_next(self) -> None:
        """Sort by the next column."""
        place = self._columns.index(self._sorted_by)
        self._sort(self._columns[(place + 1) % len(self._columns)], reverse=False)

    def action_sort_reverse(self) -> None:
        """Turn the order round."""
        self._sort(self._sorted_by, reverse=not self._reverse)

    def action_mark(self) -> None:
        """Mark the run under the cursor, or take its mark away."""
        self.query_one(RunTable).toggle_mark()
        self._show_status()

    def action_frames(self) -> None:
        """Show the frames of the marked runs side by side, or of the one under the cursor."""
        table = self.query_one(RunTable)
        marked = [row for row in self._rows if row.key in table.marked]
        if not marked and table.current is not None:
            marked = [table.current]
        if marked:
            # Imported when it is asked for, as is the run's screen: the table should be seen soon.
            from tui.screens.frames import Frames

            self.app.push_screen(Frames(marked))

    def action_problems(self) -> None:
        """Show what could not be read."""
        lines = "\n\n".join(self._problems) or "Everything has been read."
        self.app.push_screen(Page("not read", Text(lines)))

    # What the user does in a widget

    @on(DataTable.HeaderSelected)
    def _sort_by_head(self, event: DataTable.HeaderSelected) -> None:
        chosen = next(column for column in self._columns if column.name == event.column_key.value)
        self._sort(chosen, reverse=chosen is self._sorted_by and not self._reverse)

    @on(DataTable.RowHighlighted)
    def _choose(self) -> None:
        row = self.query_one(RunTable).current
        if row is None:
            self.query_one(RunDetail).show_nothing()
        else:
            self._detail_reader.ask(row)

    @on(DataTable.RowSelected)
    def _open_run(self) -> None:
        row = self.query_one(RunTable).current
        if row is not None:
            from tui.screens.run import RunScreen

            self.app.push_screen(RunScreen(row))

    @on(Input.Changed, "#filter")
    def _refilter(self) -> None:
        self._show()

    @on(FilterLine.Left)
    def _leave_filter(self, event: FilterLine.Left) -> None:
        line = self.query_one(FilterLine)
        if event.clear:
            line.value = ""
        line.display = bool(line.value)
        self.set_focus(self.query_one(RunTable))

    # What the reading threads tell

    @on(RowsRead)
    def _add_rows(self, message: RowsRead) -> None:
        if message.reading == self._reading:
            self._rows += message.rows
            self._show()

    @on(ReadFailed)
    def _add_problem(self, message: ReadFailed) -> None:
        if message.reading == self._reading:
            self._problems.append(message.message)
            self._show_status()

    @on(ReadingDone)
    def _finish(self, message: ReadingDone) -> None:
        if message.reading == self._reading:
            self._done = True
            self._show_status()

    @on(DetailRead)
    def _show_detail(self, message: DetailRead) -> None:
        if message.row != self.query_one(RunTable).current:
            return
        pane = self.query_one(RunDetail)
        if message.detail is None:
            pane.show_error(message.error)
        else:
            pane.show_detail(message.detail)

    @on(Crashed)
    def _crash(self, message: Crashed) -> None:
        raise message.error

    # In the reading threads

    def _read_stores(self, number: int) -> None:
        found = 0
        try:
            for store in reading.find_stores(self._path):
                if isinstance(store, reading.Problem):
                    self.post_message(ReadFailed(number, store.message))
                    continue
                found += 1
                try:
                    self.post_message(RowsRead(number, reading.read_rows(store, self._path)))
                except UserError as error:
                    self.post_message(ReadFailed(number, str(error)))
            self.post_message(ReadingDone(number, found))
        except Exception as error:  # noqa: BLE001  it is raised again in the app's own thread
            self.post_message(Crashed(error))

    def _read_detail(self, row: Row) -> None:
        try:
            self.post_message(DetailRead(row, reading.read_detail(row)))
        except UserError as error:
            self.post_message(DetailRead(row, None, str(error)))
        except Exception as error:  # noqa: BLE001  it is raised again in the app's own thread
            self.post_message(Crashed(error))

    # Showing

    def _sort(self, column: Column, reverse: bool) -> None:
        self._sorted_by, self._reverse = column, reverse
        self._show()

    def _show(self) -> None:
        self._columns = columns(len({row.store for row in self._rows}))
        if self._sorted_by not in self._columns:
            self._sorted_by = self._columns[0]
        self._filter_error = ""
        rows = self._rows
        try:
            keeps = matcher(self.query_one(FilterLine).value)
        except SelectionError as error:
            self._filter_error = str(error)
        else:
            rows = [row for row in self._rows if keeps(row)]
        self._shown = len(rows)
        ordered_rows = ordered(rows, self._sorted_by, self._reverse)
        self.query_one(RunTable).show(ordered_rows, self._columns, self._sorted_by, self._reverse)
        if not rows:
            self.query_one(RunDetail).show_nothing()
        self._show_status()

    def _show_status(self) -> None:
        empty = self._done and not self._rows
        nothing = self.query_one("#nothing", Static)
        nothing.display = not self._rows
        nothing.update(NOTHING if empty else "reading...")
        for widget in (self.query_one(RunTable), self.query_one(RunDetail)):
            widget.display = bool(self._rows)
        self.query_one("#status", Static).update(self._status())

    def _status(self) -> str:
        total = len(self._rows)
        count = f"{total:,} runs" if self._shown == total else f"{self._shown:,} of {total:,} runs"
        parts = [str(self._path), count if self._done or total else "reading..."]
        if total and not self._done:
            parts.append("reading...")
        if marked := len(self.query_one(RunTable).marked):
            parts.append(f"{marked} marked")
        if self._filter_error:
            parts.append(self._filter_error)
        if self._problems:
            parts.append(f"{len(self._problems)} not read (e): {self._problems[0]}")
        return "   ".join(parts)
