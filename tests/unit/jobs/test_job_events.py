"""Events: written whole or not at all, and read whatever stands in the file."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from cosinterp.jobs.events import Event, EventLog, follow_events, last_end, now, read_events


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def log(path: Path) -> Iterator[EventLog]:
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    yield EventLog(fd)
    os.close(fd)


class Disk:
    """A disk with room for so many bytes more, of which a write takes what there is."""

    def __init__(self, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = room
        self._write = os.write
        monkeypatch.setattr(os, "write", self._take)

    def _take(self, fd: int, data: bytes) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._write(fd, data[: self.room])
        self.room -= written
        return written


def test_events_are_read_as_they_were_written(log: EventLog, path: Path) -> None:
    written = [now("submitted", 1, words=["a\nb"], device=None), now("finished", 1)]
    for event in written:
        log.write(event)
    assert list(read_events(path)) == written
    assert written[0].details == {"words": ["a\nb"]}
    assert path.read_bytes().count(b"\n") == 2
    assert [event.is_end for event in written] == [False, True]


@pytest.mark.parametrize(
    "broken",
    [
        b'{"time": 1.0, "event": "prog',
        b"\0\0\0\0",
        b"\xff\xfe",
        b"[1]",
        b"7",
        b'{"time": "x", "event": "a", "attempt": 1}',
        b'{"time": 1.0, "event": 3, "attempt": 1}',
        b"{}",
    ],
)
def test_a_broken_line_hides_no_other(broken: bytes, log: EventLog, path: Path) -> None:
    log.write(now("submitted", 1))
    with path.open("ab") as file:
        # The machine was lost in the middle of it.
        file.write(broken)
    log.write(now("started", 1))
    assert [event.event for event in read_events(path)] == ["submitted", "started"]
    assert path.read_bytes().endswith(b"\n")


def test_half_an_event_is_never_left(log: EventLog, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write(now("submitted", 1))
    whole = path.read_bytes()
    Disk(10, monkeypatch)
    with pytest.raises(OSError, match="No space"):
        log.write(now("started", 1))
    assert path.read_bytes() == whole


def test_on_a_full_disk_events_wait_and_progress_does_not(
    log: EventLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(0, monkeypatch)
    assert not log.note(now("started", 1))
    assert log.note(now("progress", 1)) is False
    assert not log.note(now("cancelling", 1))
    disk.room = 2**20
    assert log.catch_up()
    assert [event.event for event in read_events(path)] == ["started", "cancelling"]


def test_an_event_that_is_no_json_is_refused(log: EventLog) -> None:
    with pytest.raises(ValueError, match="JSON"):
        log.write(now("progress", 1, rate=float("nan")))


def test_followed_events_come_as_they_are_written(
    log: EventLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    coming = follow_events(path)
    log.write(now("submitted", 1))
    assert [None if event is None else event.event for event in islice(coming, 2)] == ["submitted", None]
    line = b'{"time": 1.0, "event": "started", "attempt": 1}\n'
    with path.open("ab") as file:
        file.write(line[:20])
    assert next(coming) is None
    # There was no room for the rest; it is taken back, and another is written later.
    os.truncate(path, path.stat().st_size - 20)
    assert next(coming) is None
    with path.open("ab") as file:
        file.write(line)
    assert next(coming) == Event(1.0, "started", 1)


def test_a_file_that_is_not_there_has_no_events(path: Path) -> None:
    assert list(read_events(path)) == []
    assert next(follow_events(path)) is None
    assert last_end(path, 1) is None


def test_the_end_is_found_from_the_end_of_a_large_file(
    log: EventLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write(now("failed", 1, message="x"))
    for _ in range(2000):
        log.write(now("progress", 2, description="y" * 50))
    log.write(now("cancelled", 2))
    assert path.stat().st_size > 2**17
    assert last_end(path, 2).event == "cancelled"
    assert last_end(path, 3) is None
    # That of the first attempt is too far up to be looked for.
    assert last_end(path, 1) is None
