"""What stands in place of the table where there are no runs: how to make some, and the job that does."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static

from stores.errors import UserError
from tui.app import app_of
from tui.background import LatestReader
from tui.copying import copy
from tui.keys import bindings

if TYPE_CHECKING:
    from tui.jobs.watch import JobsSeen

_FOLDER = "cosinterp-demo"
_OFFER = """\
No runs here.

enter makes a first store with the bundled model, maze-wan: 4 mazes from 2 seeds, \
with activations, scores and pictures, in a job that goes on when you leave. \
It takes a few minutes without a GPU, and {size}.

  {command}
"""
_COMMAND_ALONE = """\
No runs here. This app is read-only; the bundled model, maze-wan, makes a first store by

  {command}
"""
_OTHERS = """
3 has forms for models and samples of your own. By hand, from mazes:

  cosinterp mazes --count 4 --rooms 7 --seed 0 --out mazes/
  cosinterp trace --model maze-wan --dataset mazes/ --seeds 0-3 --store {store}
"""
_SIZE = "0.9 GB"
"""What the bundled model's first store takes on the disk."""


class Asked(Message):
    """The job that makes a first store was asked for: its id, or why it does not start."""

    def __init__(self, job_id: str | None, error: str = "") -> None:
        self.job_id = job_id
        self.error = error
        super().__init__()


class FirstStore(VerticalScroll):
    """Offers to make a first store in a folder without one, and says how that goes.

    Args:
        folder: that has no runs.
    """

    BINDINGS = bindings("first")

    class Changed(Message):
        """A job has ended: there may be runs now."""

    def __init__(self, folder: Path) -> None:
        super().__init__(id="first")
        self._folder = folder
        self._words = ("demo", "--out", str(folder / _FOLDER))
        self._has_store = False
        self._living: frozenset[str] | None = None
        self._job: str | None = None
        self._is_asked = False
        self._starter: LatestReader[tuple[str, ...]] = LatestReader(
            "first store", self._start, self.post_message
        )

    def compose(self) -> ComposeResult:  # noqa: D102
        # Apart from the rest, so that no more than this line is sent while the job goes on.
        yield Static(id="first-job", markup=False)
        yield Static(id="first-offer", markup=False)

    def on_mount(self) -> None:  # noqa: D102
        app_of(self).jobs_watch.subscribe(self, self._show_jobs)
        self.offer(has_store=False)

    def on_unmount(self) -> None:  # noqa: D102
        self._starter.close()

    def offer(self, has_store: bool) -> None:
        """Say how to make runs.

        Args:
            has_store: there is a store, only no run in it.
        """
        self._has_store = has_store
        command = f"cosinterp {shlex.join(self._words)}"
        if has_store:
            first = "The stores here have no runs yet.\n"
        elif app_of(self).options.readonly:
            first = _COMMAND_ALONE.format(command=command)
        else:
            first = _OFFER.format(command=command, size=_SIZE)
        store = shlex.quote(str(self._folder)) if has_store else "runs/mazes"
        self.query_one("#first-offer", Static).update(first + _OTHERS.format(store=store))

    # Actions

    def action_make(self) -> None:
        """Start the job that makes a first store."""
        if self._has_store or self._is_asked or self._job in (self._living or ()):
            return
        if app_of(self).may_write("start a job"):
            self._is_asked = True
            self._say("starting...")
            self._starter.ask(self._words)

    def action_copy(self) -> None:
        """Copy the command that makes a first store."""
        copy(app_of(self), f"cosinterp {shlex.join(self._words)}", "the command")

    # What threads tell

    @on(Asked)
    def _follow(self, message: Asked) -> None:
        self._is_asked = False
        if message.job_id is None:
            self._say(f"error: {message.error}")
        else:
            self._job = message.job_id
            self._say(f"{message.job_id} starts")
            app_of(self).jobs_watch.look(message.job_id)

    def _show_jobs(self, seen: JobsSeen) -> None:
        from cosinterp.jobs.texts import doing_text, outcome_text, span_text

        before, self._living = self._living, frozenset(status.id for status in seen.living)
        if before is not None and before - self._living:
            # Whatever ended may have made runs here.
            self.post_message(self.Changed())
        known = {job.status.id: job.status for job in seen.jobs if job.status is not None}
        # The job may have been started from here by an app before this one.
        ours = (status.id for status in seen.living if status.words == self._words)
        self._job = next(ours, self._job)
        status = known.get(self._job or "")
        if status is None or self._is_asked:
            return
        if status.state.is_final:
            again = "" if status.state.value == "finished" else "; enter starts it anew, 4 shows its log"
            self._say(f"{status.id}: {outcome_text(status.state, status.message)}{again}")
            return
        left = "" if status.seconds_left is None else f", about {span_text(status.seconds_left)} left"
        share = "" if not status.total else f", {status.done or 0:,.0f} of {status.total:,.0f}"
        doing = doing_text(status) or status.state.value
        self._say(f"{status.id}: {doing}{share}{left}; 4 shows its log")

    # In the starting thread

    def _start(self, words: tuple[str, ...]) -> None:
        try:
            from tui.launch.reading import start

            self.post_message(Asked(start(words, None)))
        except UserError as error:
            self.post_message(Asked(None, str(error)))

    def _say(self, text: str) -> None:
        line = self.query_one("#first-job", Static)
        line.display = bool(text)
        line.update(text)
