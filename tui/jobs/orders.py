"""What the user has jobs do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.screen import Screen

from cosinterp.jobs.texts import one_line, plain, state_text
from stores.units import count_text
from tui.app import app_of
from tui.dialogs.ask import Question
from tui.jobs.doer import Doer
from tui.jobs.messages import Acted, LeadsTo, RestartAsked
from tui.jobs.table import JobTable

if TYPE_CHECKING:
    from cosinterp.jobs.status import Status
    from tui.jobs.lines import Line

_LONGEST = 300


class JobOrders(Screen[None]):
    """A screen with a table of jobs, and the keys by which these are told what to do.

    A question is about the job that was under the cursor when it was asked, whatever has changed meanwhile.
    """

    def __init__(self) -> None:
        super().__init__()
        self._doer = Doer(self)

    def on_unmount(self) -> None:  # noqa: D102
        self._doer.close()

    def action_copy(self) -> None:
        """Copy the command of the job under the cursor."""
        status = self._status()
        if status is not None:
            from cosinterp.jobs.spec import JobSpec
            from cosinterp.jobs.texts import pasteable

            spec = JobSpec(words=status.words, cwd=status.cwd)
            app_of(self).copier.copy(pasteable(spec), f"the command of {status.id}")

    def action_cancel(self) -> None:
        """Ask whether to cancel the job under the cursor, and do so."""
        status, line = self._status(), self._current
        if status is None or line is None or not app_of(self).may_write("cancel a job"):
            return
        if status.state.is_final:
            self._say(f"{status.id} has ended: there is nothing to cancel")
            return
        text = f"Cancel {status.id}? What it has finished is kept, and u goes on from there."
        if status.state.value == "cancelling":
            text = f"{status.id} is stopping. Hurry it? It gets less time to tidy up."
        self._ask(text, "Cancel it", "Let it be", lambda: self._doer.cancel(line.seen.path))

    def action_resume(self) -> None:
        """Have the job under the cursor go on where it stopped."""
        status, line = self._status(), self._current
        if status is None or line is None or not app_of(self).may_write("resume a job"):
            return
        if not status.state.is_final or status.state.value == "finished":
            why = "; t starts it anew" if status.state.is_final else ": there is nothing to resume"
            self._say(f"{status.id} is {state_text(status.state)}{why}")
            return
        self._say(f"resuming {status.id}")
        self._doer.resume(line.seen.path)

    def action_restart(self) -> None:
        """Ask whether to start the command of the job under the cursor anew, and do so."""
        line = self._current
        if self._status() is not None and line is not None and app_of(self).may_write("start a job"):
            self._doer.ask_restart(line.seen.path)

    async def action_modify(self) -> None:
        """Fill in the form of the job's command."""
        status = self._status()
        if status is not None and app_of(self).may_write("start a job"):
            await app_of(self).fill_in_words(status.words, Path(status.cwd))

    def action_remove(self) -> None:
        """Ask whether to remove what is kept of the marked jobs, or of this one, and do so."""
        table = self.query_one(JobTable)
        current = [] if table.current is None else [table.current]
        chosen = [line.seen for line in table.marked_records or current]
        if not chosen or not app_of(self).may_write("remove a job"):
            return
        living = [seen.id for seen in chosen if seen.lives]
        if living:
            self._say(f"{living[0]} has not ended; x cancels it. Nothing is removed")
            return
        what = chosen[0].id if len(chosen) == 1 else count_text(len(chosen), "job")
        text = f"Remove {what}? Its log and what happened go; what its command made stays."
        if len(chosen) > 1:
            text = f"Remove {what}? Their logs and what happened go; what their commands made stays."
        paths = [seen.path for seen in chosen]
        self._ask(text, "Remove", "Keep", lambda: self._doer.remove(paths))

    # What the threads tell

    @on(Acted)
    def _say_acted(self, message: Acted) -> None:
        self._say(message.said, wrong=message.failed)

    @on(RestartAsked)
    def _ask_restart(self, message: RestartAsked) -> None:
        instead = (
            "u goes on instead with what it has not finished."
            if message.goes_on
            else ("u does the same in the job's own folder: this command always begins anew.")
        )
        text = f"Start this anew, as a job of its own?\n\n{message.command}\n\n{instead}"
        self._ask(text, "Start it", "Leave it", lambda: self._doer.restart(message.job))

    @on(LeadsTo)
    async def _lead(self, message: LeadsTo) -> None:
        if message.store is not None and message.result is not None:
            await app_of(self).show_result(message.store, message.result)
        elif message.store is not None and not message.files:
            await app_of(self).show_store(message.store)
        elif message.files:
            self._say(f"it wrote {', '.join(map(str, message.files))}")
        else:
            self._say(f"{message.job.name} made nothing that is there; l shows what it printed")

    @property
    def _current(self) -> Line | None:
        return self.query_one(JobTable).current

    def _status(self) -> Status | None:
        """How the job under the cursor stands; says so if its folder is damaged."""
        line = self._current
        if line is not None and line.seen.status is None:
            self._say(f"{line.seen.id}: {line.what}", wrong=True)
        return None if line is None else line.seen.status

    def _ask(self, text: str, yes: str, no: str, do: Callable[[], None]) -> None:
        # The name of a folder, or a word of a command, may hold anything.
        shown = "\n".join(map(plain, text.split("\n")))
        self.app.push_screen(Question(shown, yes, no), lambda answer: do() if answer else None)

    def _say(self, text: str, wrong: bool = False) -> None:
        """Say something in a line."""
        line = one_line(text)
        shortened = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
        self.notify(shortened, severity="error" if wrong else "information", markup=False)
