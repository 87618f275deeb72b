"""A job: what is in its folder, and what it can be told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from cosinterp.jobs.events import Event, follow_events, read_events
from cosinterp.jobs.spec import JobSpec
from cosinterp.jobs.state import State
from cosinterp.jobs.status import EVENTS, SPEC, Status, standing, status_of
from cosinterp.jobs.telling import LOG

_POLL = 0.1


class Job:
    """A job, by its folder.

    Attributes:
        path: its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    @property
    def id(self) -> str:
        """What it is called: the name of its folder."""
        return self.path.name

    @cached_property
    def spec(self) -> JobSpec:
        """What it is to do.

        Raises:
            JobError: the folder is gone, or damaged.
        """
        return JobSpec.read(self.path / SPEC)

    @property
    def log_path(self) -> Path:
        """The file of what its command printed, of all attempts."""
        return self.path / LOG

    def state(self) -> State:
        """How it stands with it."""
        return standing(self.path).state

    def status(self) -> Status:
        """All that is known of how it stands with it.

        Raises:
            JobError: the folder is gone, or damaged.
        """
        return status_of(self.path, self.spec)

    def events(self, follow: bool = False) -> Iterator[Event]:
        """What happened to it, oldest first.

        Args:
            follow: go on with what happens, until the job has ended.
        """
        if not follow:
            yield from read_events(self.path / EVENTS)
            return
        over = False
        for event in follow_events(self.path / EVENTS):
            if event is not None:
                yield event
            elif over:
                return
            else:
                # Asked before the file is read once more, so that nothing is missed.
                over = self.state().is_final

    def wait(self, timeout: float | None = None) -> State:
        """Wait until it has ended; returns the state that it has then.

        Args:
            timeout: seconds to wait at the most, after which the job may still be running.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not (state := self.state()).is_final:
            if deadline is not None and time.monotonic() >= deadline:
                break
            time.sleep(_POLL)
        return state

    def cancel(self) -> None:
        """Tell it to stop, and return at once; what it has finished is kept.

        A job that is told twice takes less time to tidy up.

        Raises:
            JobError: it has ended, or runs on another machine.
        """
        from cosinterp.jobs.control import cancel

        cancel(self.path)

    def resume(self) -> None:
        """Start it again, to go on where it stopped: with ``--resume`` where its command has that flag.

        The environment is that of the process that resumes it.

        Raises:
            JobError: it runs, is finished, or does not start.
        """
        from cosinterp.jobs.launching import resume

        resume(self)

    def remove(self) -> None:
        """Remove its folder; what its command made elsewhere stays.

        Raises:
            JobError: it runs.
        """
        from cosinterp.jobs.control import remove

        remove(self.path)
