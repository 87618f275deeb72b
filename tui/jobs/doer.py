"""Threads in which jobs are read and told what to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message
from textual.screen import Screen

from cosinterp.errors import UserError
from tui.app import app_of
from tui.background import LatestReader, do
from tui.jobs.messages import Acted, JobRead, LeadsTo, RestartAsked

if TYPE_CHECKING:
    from tui.jobs.following import Following


class Doer:
    """Does for a screen what may block, in threads, and tells it by messages.

    What a job is told to do has a thread for itself, so that one that takes its time holds up no other.

    Args:
        screen: that is told.
    """

    def __init__(self, screen: Screen[None]) -> None:
        self._screen = screen
        self._reader: LatestReader[Path] = LatestReader("job", self._read, screen.post_message)
        self._following: Following | None = None

    def read(self, path: Path) -> None:
        """Read a job, and drop what was asked before: `JobRead` tells it."""
        self._reader.ask(path)

    def close(self) -> None:
        """Read nothing any more."""
        self._reader.close()

    def cancel(self, path: Path) -> None:
        """Have a job stop: `Acted` tells how it went, here and below."""

        def work() -> Message:
            from tui.jobs.acting import cancel

            return Acted(cancel(path))

        self._do(work, path)

    def resume(self, path: Path) -> None:
        """Have a job go on where it stopped."""

        def work() -> Message:
            from tui.jobs.acting import resume

            return Acted(resume(path))

        self._do(work, path)

    def restart(self, path: Path) -> None:
        """Start a new job with the words of one."""

        def work() -> Message:
            from tui.jobs.acting import restart

            return Acted(restart(path))

        self._do(work, path)

    def remove(self, paths: list[Path]) -> None:
        """Remove what is kept of jobs."""

        def work() -> Message:
            from tui.jobs.acting import remove

            return Acted(remove(paths))

        self._do(work, *paths)

    def ask_restart(self, path: Path) -> None:
        """See what starting a job anew would mean: `RestartAsked` tells it."""

        def work() -> Message:
            from cosinterp.jobs.job import Job
            from cosinterp.jobs.texts import command_text
            from tui.jobs.acting import goes_on

            spec = Job(path).spec
            return RestartAsked(path, command_text(spec.words), goes_on(spec))

        self._do(work)

    def lead(self, path: Path) -> None:
        """See what a job leads to: `LeadsTo` tells it."""

        def work() -> Message:
            from cosinterp.jobs.job import Job
            from cosinterp.jobs.outcome import outcome_of
            from tui.jobs.acting import leads_to

            spec = Job(path).spec
            outcome = outcome_of(spec)
            store, result = leads_to(spec, outcome) or (None, None)
            there = tuple(file for file in outcome.files if file.exists())
            return LeadsTo(path, store, result, there)

        self._do(work)

    def _do(self, work: Callable[[], Message], *changed: Path) -> None:
        watch = app_of(self._screen).jobs_watch

        def deed() -> Message:
            try:
                return work()
            except UserError as error:
                return Acted(str(error), failed=True)
            finally:
                watch.look(*(path.name for path in changed))

        do(deed, self._screen.post_message)

    def _read(self, path: Path) -> None:
        from tui.jobs.following import Following

        try:
            if self._following is None or self._following.path != path:
                self._following = Following(path)
            told: Message = JobRead(path, self._following.read(time.time()))
        except UserError as error:
            told = JobRead(path, None, str(error))
        self._screen.post_message(told)
