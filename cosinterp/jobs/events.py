"""What happened to a job: ``events.jsonl``, one JSON object a line.

Who holds the job's lock writes: first the launcher, then the keeper. Every event has ``time`` (seconds since
the epoch), ``event`` and ``attempt`` (1, and one more for each time that the job was resumed):

    submitted       words, device (the --device of them), takes_device, takes_all (GPUs)
    queued          why: what it waits for
    started         pid, host, devices
    progress        description, done, total, unit, rate (a second), seconds_left, sample, seeds: those known
    machine         host_memory (bytes), gpus: [{index, memory, utilization}]
    note            message
    cancelling
    finished, failed (message, exit_code), cancelled, killed (signal), out_of_memory (where, message),
    crashed (message): the end of the attempt
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cosinterp.jobs.state import ENDINGS

_POLL = 0.2
_RATHER_LOST = frozenset(("progress", "machine"))
_MOST_KEPT = 100


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        time: seconds since the epoch.
        event: what it is, such as "progress".
        attempt: counts from 1.
        details: what else the line says.
    """

    time: float
    event: str
    attempt: int
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def is_end(self) -> bool:
        """Whether the attempt is over with it."""
        return self.event in ENDINGS

    def as_data(self) -> dict[str, Any]:
        """The JSON object of its line."""
        return {"time": self.time, "event": self.event, "attempt": self.attempt, **self.details}

    @classmethod
    def of_line(cls, line: bytes) -> Event | None:
        """The event of a line; None for one that is broken, as a full disk or a lost machine leaves it."""
        try:
            data = json.loads(line)
            # NULs are what some file systems leave where a write was lost.
            when, event, attempt = float(data.pop("time")), data.pop("event"), data.pop("attempt")
        except (ValueError, TypeError, AttributeError, KeyError):
            return None
        if not isinstance(event, str) or not isinstance(attempt, int):
            return None
        return cls(when, event, attempt, data)


class EventLog:
    """Adds events to a file, each whole or not at all."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._unwritten: list[Event] = []

    def write(self, event: Event) -> None:
        """Add an event.

        Raises:
            OSError: there is no room for it, say. Nothing of it is left then.
        """
        line = json.dumps(event.as_data(), allow_nan=False).encode() + b"\n"
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            # A machine that was lost left half a line, which is nobody's event.
            line = b"\n" + line
        try:
            written = os.write(self._fd, line)
            if written < len(line):
                raise OSError(28, os.strerror(28))
        except OSError:
            os.ftruncate(self._fd, size)
            raise

    def note(self, event: Event) -> bool:
        """Add an event, or keep it for when there is room again; whether all that was kept is written.

        Progress is not kept: it is old by then.
        """
        self._unwritten.append(event)
        return self.catch_up()

    def catch_up(self) -> bool:
        """Write what there was no room for; whether nothing of it is left."""
        while self._unwritten:
            try:
                self.write(self._unwritten[0])
            except OSError:
                kept = [event for event in self._unwritten if event.event not in _RATHER_LOST]
                self._unwritten = kept[-_MOST_KEPT:]
                return not self._unwritten
            del self._unwritten[0]
        return True

    def sync(self) -> None:
        """Have what is written on the disk.

        Raises:
            OSError: the disk does not take it.
        """
        os.fsync(self._fd)


def now(event: str, attempt: int, **details: Any) -> Event:
    """An event of this moment; what is None is left out."""
    known = {name: value for name, value in details.items() if value is not None}
    return Event(time.time(), event, attempt, known)


def read_events(path: Path) -> Iterator[Event]:
    """The events of a file, without what is broken or half written; none if there is no file."""
    for line in _whole_lines(path):
        event = None if line is None else Event.of_line(line)
        if event is not None:
            yield event


def follow_events(path: Path) -> Iterator[Event | None]:
    """The events of a file as they come, without end; None each time that there is none for the moment."""
    for line in _whole_lines(path, follow=True):
        event = None if line is None else Event.of_line(line)
        if event is not None:
            yield event
        elif line is None:
            yield None
            time.sleep(_POLL)


def new_events(path: Path) -> Iterator[list[Event]]:
    """Without end, each time that it is asked for the next: the events that a file has got since."""
    new: list[Event] = []
    for line in _whole_lines(path, follow=True):
        if line is None:
            yield new
            new = []
        elif (event := Event.of_line(line)) is not None:
            new.append(event)


def last_end(path: Path, attempt: int) -> Event | None:
    """The event that an attempt ended with, found at the end of a file; None if it is not there."""
    found = None
    for line in _last_lines(path):
        event = Event.of_line(line)
        if event is not None and event.attempt == attempt and event.is_end:
            found = event
    return found


def _last_lines(path: Path, size: int = 2**16) -> list[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read().split(b"\n")
    except FileNotFoundError:
        return []


def _whole_lines(path: Path, *, follow: bool = False) -> Iterator[bytes | None]:
    """Lines without their ends; None when there is none for the moment, or, without ``follow``, no more."""
    offset, rest = 0, b""
    while True:
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < offset:
                    # What there was no room to end was taken back.
                    offset, rest = offset - len(rest), b""
                file.seek(offset)
                new = file.read(2**20)
        except FileNotFoundError:
            new = b""
        offset += len(new)
        *lines, rest = (rest + new).split(b"\n")
        yield from lines
        if not new:
            yield None
            if not follow:
                return
