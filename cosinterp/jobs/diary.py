"""How the keeper writes down what happens: the events, and the record of what is so now.

A job must not die of a disk that is full, so nothing here fails for lack of room. The record is rewritten in
place, which takes none; events wait until there is some. Of a job that runs for long, what changes all the
time is written down less and less often, so that its events stay small; the record has the latest.
"""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from cosinterp.jobs.events import Event, EventLog, now
from cosinterp.jobs.home import open_private
from cosinterp.jobs.processes import Identity
from cosinterp.jobs.record import Record, write_record
from cosinterp.jobs.status import EVENTS, SIGN_OF_LIFE

_TEXTS = ("description", "unit", "sample", "seeds")
_NUMBERS = ("done", "total", "rate", "seconds_left")
_LONGEST = 200
_LARGEST = 2**63
_HOUR = 3600.0
_DAY = 24 * _HOUR
_PACE = 1.0


def spacing(seconds: float, least: float) -> float:
    """Seconds between two events of what changes all the time, ``seconds`` after the start.

    Args:
        seconds: that the job has run for.
        least: seconds between two within the first hour.
    """
    if seconds < _HOUR:
        return least
    return 5 * least if seconds < _DAY else 30 * least


class Diary:
    """Writes down one attempt of a job.

    Args:
        folder: of the job.
        lock: the descriptor of its record, whose lock is held.
        record: what is so, from which on it changes.

    Raises:
        OSError: the file of events cannot be opened.
    """

    def __init__(self, folder: Path, lock: int, record: Record) -> None:
        self.record = record
        self._lock = lock
        self._events = open_private(folder / EVENTS, os.O_RDWR | os.O_APPEND)
        self._log = EventLog(self._events)
        self._begun = time.monotonic()
        self._written = -math.inf
        self._progress = _Paced(_PACE)

    def close(self) -> None:
        """Nothing more is written down."""
        os.close(self._events)

    def change(self, **fields: Any) -> None:
        """Say what is so from now on, by the fields of the record."""
        for name, value in fields.items():
            setattr(self.record, name, value)
        self._write()

    def note(self, event: str, **details: Any) -> None:
        """Write down what happened."""
        self._log.note(now(event, self.record.attempt, **details))

    def started(self, worker: Identity, devices: list[str]) -> None:
        """The worker runs."""
        self._begun = time.monotonic()
        self.change(phase="running", why=None, worker=worker, started=time.time(), devices=devices)
        self.note("started", pid=worker.pid, host=self.record.host, devices=devices)

    def progress(self, told: dict[str, Any]) -> None:
        """The worker said how far it is."""
        known = _known(told)
        if known != self.record.progress:
            self.change(progress=known)
            self._progress.latest = now("progress", self.record.attempt, **known)
            self.tick()

    def machine(self, host_memory: int, gpus: list[dict[str, Any]]) -> None:
        """What the job takes of the machine."""
        self.change(machine={"host_memory": host_memory, "gpus": gpus})
        self._log.note(now("machine", self.record.attempt, host_memory=host_memory, gpus=gpus))

    def tick(self) -> None:
        """Write what was put off, and give a sign of life; to be called about once a second."""
        self._progress.pace = spacing(self.ran, _PACE)
        if self._progress.is_due:
            self._write_progress()
        self._log.catch_up()
        if time.monotonic() - self._written > SIGN_OF_LIFE / 2:
            self._write()

    @property
    def ran(self) -> float:
        """Seconds since the worker started."""
        return time.monotonic() - self._begun

    def end(self, event: str, **details: Any) -> None:
        """Write down how it ended; the record says so even where there is no room for the event."""
        if self._progress.latest is not None:
            self._write_progress()
        ended = now(event, self.record.attempt, **details)
        self._log.note(ended)
        self.change(phase="ended", ended=ended.as_data())
        # A disk that does not take it now has been asked to do what it can.
        with suppress(OSError):
            self._log.sync()
            os.fsync(self._lock)

    def _write_progress(self) -> None:
        event = self._progress.take()
        if event is not None:
            self._log.note(event)

    def _write(self) -> None:
        # What could not be written now is written with the next sign of life.
        with suppress(OSError):
            write_record(self._lock, self.record)
            self._written = time.monotonic()


class _Paced:
    """The latest of something that changes all the time, and when it may be written down."""

    def __init__(self, pace: float) -> None:
        self.pace = pace
        self.latest: Event | None = None
        self._taken = -math.inf

    @property
    def is_due(self) -> bool:
        return self.latest is not None and time.monotonic() - self._taken >= self.pace

    def take(self) -> Event | None:
        self._taken = time.monotonic()
        taken, self.latest = self.latest, None
        return taken


def _known(told: dict[str, Any]) -> dict[str, Any]:
    """What a worker told, as far as it is what a worker may tell."""
    texts = {name: _text(told[name]) for name in _TEXTS if told.get(name) is not None}
    # Neither what is no number (NaN) nor what is too large for one is below it.
    numbers = {
        name: told[name]
        for name in _NUMBERS
        if isinstance(told.get(name), (int, float)) and abs(told[name]) < _LARGEST
    }
    return texts | numbers


def _text(told: object) -> str:
    """As a text that can be shown anywhere: a file name that is no text comes in halves of characters."""
    return str(told)[:_LONGEST].encode(errors="replace").decode()
