"""The screen that looks after jobs."""

from __future__ import annotations

import time
from collections import Counter
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import DataTable, Input, Static

from cosinterp.jobs.texts import state_text
from stores.units import count_text
from tui.app import app_of
from tui.jobs.detail import JobDetail
from tui.jobs.listing import JobList
from tui.jobs.messages import JobRead
from tui.jobs.orders import JobOrders
from tui.jobs.status_line import StatusLine
from tui.jobs.table import JobTable
from tui.jobs.watch import JobsSeen, Seen
from tui.keys import bindings
from tui.widgets.filter_line import FilterLine
from tui.widgets.key_footer import KeyFooter
from tui.widgets.places_bar import PlacesBar

NOTHING = """No jobs yet.

3 fills in the form of a command and starts it as a job. On a command line --detach does:

  cosinterp trace --model maze-wan --dataset mazes/ --seeds 0-3 --store runs/mazes --detach

A job goes on when this app ends, the line drops or the laptop is closed."""

_BARS_FROM = 70
_PACE, _SLOW_PACE = 1.0, 5.0


class Jobs(JobOrders):
    """All jobs as a table, and the detail of the one under the cursor."""

    CSS_PATH = "jobs.tcss"
    BINDINGS = bindings("jobs")
    PLACES = ("jobs", "app", "filter")
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (130, "-wide")]
    VERTICAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-low"), (18, "-middle"), (30, "-high")]

    def __init__(self) -> None:
        super().__init__()
        self._seen: JobsSeen | None = None
        self._list = JobList()
        self._wanted: str | None = None
        self._read_seen: Seen | None = None

    def compose(self) -> ComposeResult:  # noqa: D102
        yield PlacesBar()
        yield StatusLine()
        yield FilterLine("words, state=running,failed")
        with Container(id="jobs-body"):
            yield Static("reading...", id="jobs-nothing", markup=False)
            yield JobTable()
            yield JobDetail()
        yield KeyFooter()

    def on_mount(self) -> None:  # noqa: D102
        self.query_one(JobTable).focus()
        self._remember()
        app = app_of(self)
        # What is known already is there when the screen is first painted.
        self._seen = app.jobs_watch.latest
        app.jobs_watch.subscribe(self, self._jobs_seen)
        app.theme_changed_signal.subscribe(self, lambda _: self.query_one(JobTable).repaint())
        self.set_interval(_SLOW_PACE if app.options.low_bandwidth else _PACE, self._follow)
        self._show()

    def on_screen_resume(self) -> None:
        """Show what has changed meanwhile."""
        if self.is_mounted:
            self._show()

    def on_resize(self) -> None:
        """Bars need room."""
        self._show()

    def choose(self, job_id: str) -> None:
        """Put the cursor on a job, as soon as it is known."""
        self._wanted = job_id
        app_of(self).jobs_watch.look(job_id)
        if self.is_mounted:
            line = self.query_one(FilterLine)
            line.value, line.display = "", False
            self._show()

    # Actions

    def action_filter(self) -> None:
        """Open the filter line."""
        self.query_one(FilterLine).open()

    def action_sort_next(self) -> None:
        """Sort by the next column."""
        names = self.query_one(JobTable).columns_shown
        place = names.index(self._list.sorted_by.name) if self._list.sorted_by.name in names else -1
        self._sort(names[(place + 1) % len(names)], reverse=False)

    def action_sort_reverse(self) -> None:
        """Turn the order round."""
        self._sort(self._list.sorted_by.name, reverse=not self._list.reverse)

    def action_reload(self) -> None:
        """Look at all jobs anew."""
        app_of(self).jobs_watch.look(*self._list.forget())
        self._show()

    def action_mark(self) -> None:
        """Mark the job under the cursor, or take its mark away."""
        self.query_one(JobTable).toggle_mark()
        self._show_status()

    def action_log(self) -> None:
        """Show all that the job under the cursor printed."""
        from tui.jobs.log_screen import LogScreen

        if (line := self._current) is not None:
            self.app.push_screen(LogScreen(line.seen.path))

    # What the user does in a widget

    @on(DataTable.HeaderSelected)
    def _sort_by_head(self, event: DataTable.HeaderSelected) -> None:
        name = str(event.column_key.value)
        self._sort(name, reverse=name == self._list.sorted_by.name and not self._list.reverse)

    @on(DataTable.RowHighlighted)
    def _choose(self) -> None:
        self._read()

    @on(DataTable.RowSelected)
    def _open(self) -> None:
        status, line = self._status(), self._current
        if status is None or line is None:
            return
        if status.state.value == "finished":
            self._doer.lead(line.seen.path)
        else:
            self.action_log()

    @on(Input.Changed, "#filter")
    def _refilter(self) -> None:
        self._show()

    @on(FilterLine.Left)
    def _leave_filter(self, event: FilterLine.Left) -> None:
        self.query_one(FilterLine).put_away(event, self.query_one(JobTable))

    # What the threads tell

    def _jobs_seen(self, seen: JobsSeen) -> None:
        # While thousands are read for the first time, the first of them are enough to begin with.
        if seen.whole or self._seen is None:
            self._seen = seen
            if self.is_active:
                self._show()

    @on(JobRead)
    def _show_detail(self, message: JobRead) -> None:
        line = self._current
        if line is None or line.seen.path != message.path:
            return
        pane = self.query_one(JobDetail)
        if message.detail is None:
            pane.show_error(line, message.error)
        else:
            pane.show_detail(message.detail)

    # Showing

    def _follow(self) -> None:
        """Read the job under the cursor again, while it lives and is looked at."""
        line = self._current
        if self.is_active and line is not None and line.seen.lives:
            self._read()

    def _read(self) -> None:
        line = self._current
        self._read_seen = None if line is None else line.seen
        if line is None:
            self.query_one(JobDetail).show_nothing()
        elif line.seen.status is None:
            self.query_one(JobDetail).show_error(line, line.seen.error)
        else:
            self._doer.read(line.seen.path)

    def _sort(self, name: str, reverse: bool) -> None:
        self._list.sort(name, reverse)
        app_of(self).memory.put("jobs.sort", [name, reverse])
        self._show()

    def _remember(self) -> None:
        match app_of(self).memory.get("jobs.sort", []):
            case [str(name), bool(reverse)]:
                self._list.sort(name, reverse)

    def _show(self) -> None:
        """Show the jobs as they are known."""
        known = self._seen
        if known is not None:
            table, listed = self.query_one(JobTable), self._list
            bars = self.size.width >= _BARS_FROM
            lines = listed.lines(known.jobs, self.query_one(FilterLine).value, time.time(), bars)
            table.show(
                {line.seen.id: line for line in lines}, listed.columns, listed.sorted_by, listed.reverse
            )
            if self._wanted is not None and table.go_to(self._wanted):
                self._wanted = None
            if self._current is None or self._current.seen is not self._read_seen:
                self._read()
        self._show_status()

    def _show_status(self) -> None:
        known = self._seen
        jobs = () if known is None else known.jobs
        nothing = self.query_one("#jobs-nothing", Static)
        nothing.display = not jobs
        if not jobs:
            nothing.update("reading..." if known is None else known.error or NOTHING)
        for widget in (self.query_one(JobTable), self.query_one(JobDetail)):
            widget.display = bool(jobs)
        self.query_one(StatusLine).say("jobs" if known is None else self._told(known))

    def _told(self, known: JobsSeen) -> str:
        if known.error:
            return known.error
        total, shown = len(known.jobs), self._list.shown
        parts = [count_text(total, "job") if shown == total else f"{shown:,} of {count_text(total, 'job')}"]
        states = Counter(state_text(status.state) for status in known.living)
        parts += [f"{count} {state}" for state, count in sorted(states.items())]
        if not known.whole:
            parts.append("reading...")
        if marked := len(self.query_one(JobTable).marked_records):
            parts.append(f"{marked} marked")
        return "   ".join(parts)
