"""The screen that browses runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import DataTable, Input, Static

from stores.errors import SelectionError
from tui.app import app_of
from tui.browser.first_store import FirstStore
from tui.browser.messages import DetailRead, ScoresRead
from tui.browser.readers import Readers
from tui.browser.rows import Column, Row, columns, matcher, ordered
from tui.browser.run_detail import RunDetail
from tui.browser.run_table import RunTable
from tui.dialogs.page import Page
from tui.keys import bindings
from tui.listing_messages import ReadFailed, ReadingDone, RowsRead
from tui.widgets.filter_line import FilterLine
from tui.widgets.key_footer import KeyFooter
from tui.widgets.places_bar import PlacesBar

if TYPE_CHECKING:
    from tui.browser.reading import Detail

_CURSORS = "runs.cursors"
"""The name by which the app remembers, by folder, the key of the run under the cursor."""
_MOST_CURSORS = 20


class Browser(Screen[None]):
    """The runs of a store or of a folder of stores, and the detail of one."""

    CSS_PATH = "browser.tcss"
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
        self._columns = columns(())
        self._sorted_by = self._columns[0]
        self._sort_name = self._sorted_by.name
        self._reverse = False
        self._detail: Detail | None = None
        self._wanted: str | None = None
        self._at: str | None = None
        self._readers = Readers(path, self.post_message)

    def compose(self) -> ComposeResult:  # noqa: D102
        yield PlacesBar()
        yield Static(id="status", markup=False)
        yield FilterLine()
        with Container(id="body"):
            yield Static("reading...", id="nothing", markup=False)
            yield FirstStore(self._path)
            yield RunTable()
            yield RunDetail()
        yield KeyFooter()

    def on_mount(self) -> None:  # noqa: D102
        self._remember()
        self.query_one(RunTable).focus()
        self.action_reload()

    def on_unmount(self) -> None:  # noqa: D102
        self._readers.close()
        if self._at is not None:
            memory, path = app_of(self).memory, str(self._path)
            others = [one for one in memory.get(_CURSORS, dict[str, str]()).items() if one[0] != path]
            memory.put(_CURSORS, dict([*others[1 - _MOST_CURSORS :], (path, self._at)]))

    def show_only(self, text: str) -> None:
        """Filter the runs by a text."""
        line = self.query_one(FilterLine)
        line.value = text
        line.display = True

    # Actions

    def action_reload(self) -> None:
        """Read the stores again."""
        self._reading += 1
        self._wanted = self._wanted or self._at
        self._done = False
        self._rows = []
        self._problems = []
        self._show()
        self._readers.read_stores(self._reading)

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
        """Mark the run under the cursor, or take its mark away."""
        self.query_one(RunTable).toggle_mark()
        self._show_status()

    def action_frames(self) -> None:
        """Show the frames of the marked runs side by side, or of the one under the cursor."""
        if runs := self._chosen:
            # Imported when it is asked for, as is the run's screen: the table should be seen soon.
            from tui.frames.screen import Frames

            self.app.push_screen(Frames(runs))

    def action_decode(self) -> None:
        """Start jobs that decode the marked runs, or the one under the cursor, and show what comes."""
        if (runs := self._chosen) and app_of(self).may_write("start a job that decodes"):
            from tui.frames.screen import Frames

            self.app.push_screen(Frames(runs, decode=True))

    async def action_launch(self) -> None:
        """Fill a form in to make more runs like the one under the cursor."""
        if self._detail is not None:
            await app_of(self).fill_in("trace", self._detail.form)

    def action_pixels(self) -> None:
        """Show pixels or half cells."""
        from tui.pictures.switch import switch_pixels

        switch_pixels(self)

    async def action_results(self) -> None:
        """List the results of the store of the run under the cursor."""
        row = self.query_one(RunTable).current
        if row is not None:
            await app_of(self).show_results(row.store)

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
        self._detail = None
        if row is None:
            self.query_one(RunDetail).show_nothing()
        else:
            self._at = row.key
            self._readers.read_detail(row)

    @on(DataTable.RowSelected)
    def _open_run(self) -> None:
        row = self.query_one(RunTable).current
        if row is not None:
            from tui.run.screen import RunScreen

            self.app.push_screen(RunScreen(row))

    @on(Input.Changed, "#filter")
    def _refilter(self) -> None:
        self._show_filtered()

    @on(FilterLine.Left)
    def _leave_filter(self, event: FilterLine.Left) -> None:
        line = self.query_one(FilterLine)
        line.put_away(event, self.query_one(RunTable))
        app_of(self).memory.put("runs.filter", [str(self._path), line.value])

    # What the reading threads tell

    @on(RowsRead)
    def _add_rows(self, message: RowsRead) -> None:
        if message.reading == self._reading:
            self._rows += message.rows
            self._show()

    @on(ScoresRead)
    def _add_scores(self, message: ScoresRead) -> None:
        if message.reading == self._reading and message.rows:
            scored = {row.key: row for row in message.rows}
            self._rows = [scored.get(row.key, row) for row in self._rows]
            self._show()

    @on(ReadFailed)
    def _add_problem(self, message: ReadFailed) -> None:
        if message.reading == self._reading:
            self._problems.append(message.message)
            self._show_status()

    @on(ReadingDone)
    def _finish(self, message: ReadingDone) -> None:
        if message.reading == self._reading:
            self._done, self._wanted = True, None
            self._show_status()
            if not self._rows:
                first = self.query_one(FirstStore)
                first.offer(has_store=message.stores > 0)
                first.focus()

    @on(FirstStore.Changed)
    def _look_for_runs(self) -> None:
        if self._done and not self._rows:
            self.action_reload()

    @on(DetailRead)
    def _show_detail(self, message: DetailRead) -> None:
        current = self.query_one(RunTable).current
        if current is None or message.row.key != current.key:
            return
        self._detail = message.detail
        pane = self.query_one(RunDetail)
        if message.detail is None:
            pane.show_error(message.error)
        else:
            pane.show_detail(message.detail)

    # Showing

    @property
    def _chosen(self) -> list[Row]:
        """The marked runs, or the one under the cursor."""
        table = self.query_one(RunTable)
        marked = [row for row in self._rows if row.key in table.marked]
        return marked or ([table.current] if table.current is not None else [])

    def _sort(self, column: Column, reverse: bool) -> None:
        self._sorted_by, self._sort_name, self._reverse = column, column.name, reverse
        app_of(self).memory.put("runs.sort", [column.name, reverse])
        self._show()

    def _remember(self) -> None:
        """Sort as before, and, where it is the same folder, filter as before and go to the same run."""
        memory = app_of(self).memory
        cursors = memory.get(_CURSORS, dict[str, str]())
        self._wanted = cursors.get(str(self._path))
        match memory.get("runs.sort", []):
            case [str(name), bool(reverse)]:
                self._sort_name, self._reverse = name, reverse
        match memory.get("runs.filter", []):
            case [path, str(text)] if path == str(self._path) and text:
                self.show_only(text)

    def _show(self) -> None:
        """Show the runs that there are now, in their order."""
        self._columns = columns(self._rows)
        # A column that is wanted may come only with the rows, as that of the stores does.
        wanted = [column for column in self._columns if column.name == self._sort_name]
        self._sorted_by = (wanted or self._columns)[0]
        self._rows = ordered(self._rows, self._sorted_by, self._reverse)
        self._show_filtered()

    def _show_filtered(self) -> None:
        self._filter_error = ""
        rows = self._rows
        try:
            keeps = matcher(self.query_one(FilterLine).value)
        except SelectionError as error:
            self._filter_error = str(error)
        else:
            rows = [row for row in self._rows if keeps(row)]
        self._shown = len(rows)
        table = self.query_one(RunTable)
        table.show(rows, self._columns, self._sorted_by, self._reverse, self._wanted)
        if table.current is not None and table.current.key == self._wanted:
            self._wanted = None
        if not rows:
            self.query_one(RunDetail).show_nothing()
        self._show_status()

    def _show_status(self) -> None:
        self.query_one("#nothing", Static).display = not self._rows and not self._done
        first = self.query_one(FirstStore)
        first.display = not self._rows and self._done
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
