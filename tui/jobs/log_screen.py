"""The screen of all that a job printed."""

from __future__ import annotations

from pathlib import Path

from rich.style import Style
from textual import on
from textual.app import ComposeResult
from textual.screen import Screen
from textual.timer import Timer

from cosinterp.jobs.telling import LOG
from cosinterp.jobs.texts import state_text
from stores.units import size_text
from tui.app import app_of
from tui.background import LatestReader
from tui.jobs.log_file import Page
from tui.jobs.log_pages import Kind, Wanted, answer
from tui.jobs.messages import LogRead
from tui.jobs.status_line import StatusLine
from tui.jobs.text_cells import text_cells
from tui.jobs.watch import JobsSeen
from tui.keys import bindings
from tui.widgets.canvas import Canvas, Line
from tui.widgets.filter_line import FilterLine
from tui.widgets.key_footer import KeyFooter

_FOUND = Style(reverse=True)
_PACE, _SLOW_PACE = 1.0, 5.0


class LogScreen(Screen[None]):
    """A job's log: its end, followed while the job lives, and all that is above it.

    Only what is seen is read, so it may be of any size.

    Args:
        job: the folder of the job.
    """

    CSS_PATH = "log.tcss"
    BINDINGS = bindings("log")
    PLACES = ("log", "app", "filter")
    # What is typed belongs to the line of the search only once that is asked for.
    AUTO_FOCUS = ""

    def __init__(self, job: Path) -> None:
        super().__init__()
        self._job = job
        self._log = job / LOG
        self._state = ""
        self._follows = True
        self._page: Page | None = None
        self._said = ""
        self._text = ""
        self._down = False
        self._timer: Timer | None = None
        self._reader: LatestReader[Wanted] = LatestReader("log", self._read, self.post_message)

    def compose(self) -> ComposeResult:  # noqa: D102
        yield StatusLine()
        yield FilterLine("words to look for")
        yield Canvas(id="log-lines")
        yield KeyFooter()

    def on_mount(self) -> None:  # noqa: D102
        app = app_of(self)
        app.jobs_watch.subscribe(self, self._jobs_seen)
        pace = _SLOW_PACE if app.options.low_bandwidth else _PACE
        self._timer = self.set_interval(pace, self._look)
        self._show_status()

    def on_unmount(self) -> None:  # noqa: D102
        self._reader.close()

    def on_resize(self) -> None:
        """Break the lines anew."""
        self.call_after_refresh(self._look_again)

    # Actions

    def action_back(self) -> None:
        """Go back to the jobs."""
        self.app.pop_screen()

    def action_line_up(self) -> None:
        """Go a line up."""
        self._go_up(1)

    def action_page_up(self) -> None:
        """Go a page up."""
        self._go_up(self._height)

    def action_line_down(self) -> None:
        """Go a line down."""
        if self._page is not None and not self._page.is_last:
            self._ask("at", top=self._page.second)

    def action_page_down(self) -> None:
        """Go a page down."""
        if self._page is not None and not self._page.is_last:
            self._ask("at", top=self._page.next)

    def action_top(self) -> None:
        """Go to the beginning."""
        self._follows = False
        self._ask("at")

    def action_bottom(self) -> None:
        """Go to the end, and follow what comes."""
        self._follows = True
        self._ask("last")

    def action_follow(self) -> None:
        """Follow what the job prints, or no longer."""
        self._follows = not self._follows
        if self._follows:
            self._ask("last")
        self._show_status()

    def action_search(self) -> None:
        """Ask what to look for."""
        line = self.query_one(FilterLine)
        line.value, line.display = self._text, True
        self.set_focus(line)

    def action_further(self) -> None:
        """Go to the next place in the same direction."""
        self._search(self._down)

    def action_other_way(self) -> None:
        """Go to the next place in the other direction."""
        self._search(not self._down)

    def action_copy(self) -> None:
        """Copy the path of the log."""
        app_of(self).copier.copy(str(self._log), "the path of the log")

    @on(FilterLine.Left)
    def _leave_search(self, event: FilterLine.Left) -> None:
        line = self.query_one(FilterLine)
        line.display = False
        self.set_focus(None)
        self._text = "" if event.clear else line.value
        if self._text:
            # From the end of a log one looks back, from elsewhere on.
            self._down = self._page is not None and not self._page.is_last
            # What is seen counts, too.
            self._search(self._down, whole_page=True)
        self._show_page()

    # What the threads tell

    def _jobs_seen(self, seen: JobsSeen) -> None:
        found = next((one for one in seen.jobs if one.path == self._job), None)
        lived = bool(self._timer)
        self._state = "" if found is None or found.status is None else state_text(found.status.state)
        if lived and seen.whole and (found is None or not found.lives):
            # What it printed last is read once more.
            self._look()
            self._stop_looking()
        elif not lived and found is not None and found.lives:
            self._timer = self.set_interval(
                _SLOW_PACE if app_of(self).options.low_bandwidth else _PACE, self._look
            )
        self._show_status()

    @on(LogRead)
    def _show_read(self, message: LogRead) -> None:
        self._said = message.said
        if message.page is not None:
            self._page = message.page
            self._show_page()
        self._show_status()

    # Asking

    @property
    def _height(self) -> int:
        return self.query_one("#log-lines", Canvas).content_size.height

    def _stop_looking(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _look(self) -> None:
        """See whether more has been printed, if that is wanted."""
        if self._follows and self.is_active:
            self._ask("last")

    def _look_again(self) -> None:
        if self._follows or self._page is None:
            self._ask("last")
        else:
            self._ask("at", top=self._page.top)

    def _go_up(self, rows: int) -> None:
        if self._page is not None and self._page.top > 0:
            self._follows = False
            self._ask("before", top=self._page.top, rows=rows)

    def _search(self, down: bool, *, whole_page: bool = False) -> None:
        if not self._text or self._page is None:
            return
        self._follows = False
        self._said = f'looking for "{self._text}"...'
        self._show_status()
        page = self._page
        place = page.second if down else page.top
        if whole_page:
            place = page.top if down else page.next
        self._ask("down" if down else "up", top=place, text=self._text)

    def _ask(
        self,
        kind: Kind,
        *,
        top: int = 0,
        rows: int = 0,
        text: str = "",
    ) -> None:
        size = self.query_one("#log-lines", Canvas).content_size
        if size.height and size.width:
            self._reader.ask(Wanted(kind, size.height, size.width, top, rows, text))

    # In the reading thread

    def _read(self, wanted: Wanted) -> None:
        try:
            self.post_message(answer(self._log, wanted, lambda: self._reader.overtaken))
        except FileNotFoundError:
            self.post_message(LogRead(None, "nothing printed yet"))
        except OSError as error:
            self.post_message(LogRead(None, f"{self._log}: {error.strerror}"))

    # Showing

    def _show_page(self) -> None:
        rows = () if self._page is None else self._page.rows
        self.query_one("#log-lines", Canvas).paint([self._marked(row) for row in rows])

    def _marked(self, row: str) -> Line:
        line = text_cells(row)
        text = "".join(cell for cell, _ in line).lower()
        wanted = self._text.lower()
        # Only where each character is a column are places of the text those of the line.
        at = text.find(wanted) if wanted and len(text) == len(line) else -1
        while at >= 0:
            for place in range(at, at + len(wanted)):
                line[place] = (line[place][0], _FOUND)
            at = text.find(wanted, at + len(wanted))
        return line

    def _show_status(self) -> None:
        parts = [f"log of {self._job.name}", self._state]
        page = self._page
        if page is not None:
            parts.append(f"{100 * page.next // max(page.size, 1)} % of {size_text(page.size)}")
        parts.append("follows" if self._follows and self._timer is not None else "")
        parts.append(self._said)
        self.query_one(StatusLine).say("   ".join(part for part in parts if part))
