"""How all jobs stand, read by one thread of the app and told to whoever asks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from cosinterp.jobs.home import jobs_folder
from stores.units import count_text
from tui.jobs.endings import MOST_TOLD, ended_between, ending_text
from tui.watching import Watch

if TYPE_CHECKING:
    from cosinterp.jobs.status import Status
    from tui.app import CosinterpApp
    from tui.jobs.reading import Looker

_PACE = 1.0
_AT_REST = 3.0
_LOW_BANDWIDTH = 5.0


@dataclass(frozen=True)
class Seen:
    """A job as it was last seen.

    Attributes:
        path: its folder, whose name is its id.
        asked: when it was asked for, in seconds since the epoch.
        status: how it stands; None: its folder is damaged.
        error: what is wrong with its folder; "": nothing.
    """

    path: Path
    asked: float
    status: Status | None
    error: str = ""

    @property
    def id(self) -> str:
        """What the job is called."""
        return self.path.name

    @property
    def lives(self) -> bool:
        """Whether it waits, runs, or is being cancelled."""
        return self.status is not None and not self.status.state.is_final


@dataclass(frozen=True)
class JobsSeen:
    """All jobs as they were seen last.

    Attributes:
        jobs: the newest first.
        whole: whether all have been read; while many are read for the first time, those read so far are told.
        error: why the folder of jobs cannot be read; "": it can.
    """

    jobs: tuple[Seen, ...] = ()
    whole: bool = True
    error: str = ""

    @cached_property
    def living(self) -> tuple[Status, ...]:
        """How those stand that wait, run, or are being cancelled; the newest first."""
        return tuple(seen.status for seen in self.jobs if seen.status is not None and seen.lives)


class JobsWatch(Watch[JobsSeen]):
    """Reads how all jobs stand, once a second while any lives, and tells it when something has changed.

    The app has one, ``app_of(self).jobs_watch``. Whoever wants to know subscribes when it is mounted::

        def on_mount(self) -> None:
            app_of(self).jobs_watch.subscribe(self, self._show_jobs)

        def _show_jobs(self, seen: JobsSeen) -> None:
            self.update(f"{len(seen.living)} jobs")

    and is called in the app's thread, at once with what is known already, then with each change, until it is
    removed. Where nothing lives it looks every few seconds, and with low bandwidth no more often than that.
    That a job has ended is told to the user as well, once.

    Args:
        app: whose.
        folder: of all jobs; that of this user by default.
    """

    def __init__(self, app: CosinterpApp, folder: Path | None = None) -> None:
        super().__init__(app, "jobs")
        self._folder = folder or jobs_folder()
        self._asked: SimpleQueue[tuple[str, ...]] = SimpleQueue()

    def look(self, *ids: str) -> None:
        """Look now, at certain jobs above all: something has been done to them."""
        self._asked.put(ids)

    def close(self) -> None:  # noqa: D102
        super().close()
        # It may be waiting.
        self._asked.put(())

    def _publish(self, seen: JobsSeen) -> None:
        ended = ended_between(self.latest, seen)
        super()._publish(seen)
        for status in ended[:MOST_TOLD]:
            severity = "information" if status.state.value == "finished" else "warning"
            self._app.notify(ending_text(status), severity=severity, markup=False)
        if len(ended) > MOST_TOLD:
            self._app.notify(f"and {count_text(len(ended) - MOST_TOLD, 'job')} more ended. 4 leads to them")

    # In the thread

    def _read_on(self) -> None:
        looker: Looker | None = None
        known: JobsSeen | None = None
        certain: tuple[str, ...] = ()
        while not self._closed.is_set():
            if looker is None and not _is_missing(self._folder):
                # Imported only where there are jobs: libraries come with it, just after the first paint.
                from tui.jobs.reading import Looker

                looker = Looker(self._folder)
            for seen in (JobsSeen(),) if looker is None else looker.look(certain):
                if seen != known:
                    known = seen
                    self._tell(seen)
            certain = self._wait(self._pause(known))

    def _wait(self, seconds: float) -> tuple[str, ...]:
        """Wait until it is time, or until it is asked for; the jobs that are asked about."""
        try:
            return self._asked.get(timeout=seconds)
        except Empty:
            return ()

    def _pause(self, known: JobsSeen | None) -> float:
        if self._app.options.low_bandwidth:
            return _LOW_BANDWIDTH
        return _PACE if known is not None and known.living else _AT_REST


def _is_missing(folder: Path) -> bool:
    """Whether there is no such folder; of one that cannot be looked at, `Looker` says why."""
    try:
        folder.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False
