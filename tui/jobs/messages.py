"""What the threads that read jobs, and tell them what to do, tell the screens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from tui.jobs.following import Detail
    from tui.jobs.log_file import Page


class JobRead(Message):
    """What there is to say about a job, or the error in its place."""

    def __init__(self, path: Path, detail: Detail | None, error: str = "") -> None:
        self.path = path
        self.detail = detail
        self.error = error
        super().__init__()


class Acted(Message):
    """A job has been told what to do: what was done, or why it was not."""

    def __init__(self, said: str, *, failed: bool = False) -> None:
        self.said = said
        self.failed = failed
        super().__init__()


class LeadsTo(Message):
    """A finished job leads to a store, and to a result in it, if there is one."""

    def __init__(self, job: Path, store: Path | None, result: str | None, files: tuple[Path, ...]) -> None:
        self.job = job
        self.store = store
        self.result = result
        self.files = files
        super().__init__()


class RestartAsked(Message):
    """A job is to be started anew; whether resuming it would go on instead."""

    def __init__(self, job: Path, command: str, goes_on: bool) -> None:
        self.job = job
        self.command = command
        self.goes_on = goes_on
        super().__init__()


class LogRead(Message):
    """A page of a log has been read; ``said`` tells of a search, or what is wrong."""

    def __init__(self, page: Page | None, said: str = "") -> None:
        self.page = page
        self.said = said
        super().__init__()
