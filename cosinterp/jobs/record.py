"""What is so of a job now: ``now.json``, a small file that is rewritten in place.

It answers what a list of jobs asks, in one small read however long the job has run. Rewriting in place takes
no room, so on a full disk the end of a job is still told. Its lock (``flock``) is the job's: who holds it
(the launcher, then the keeper, and the worker for as long as it lives) is the only one that runs the job,
and the system drops it however a process ends. Its time of change is the keeper's sign of life.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cosinterp.jobs.processes import Identity

SIZE = 4096
# In bytes of its JSON, so that a record fits whatever its texts are of.
_LONGEST_TEXT = 1000
_LONGEST_CHARACTER = len(r"\u0001")
_CUT = "…"
_TRIES = 5
Phase = Literal["starting", "queued", "running", "cancelling", "ended"]


class Record(BaseModel):
    """What is so now.

    Attributes:
        write: counts the writes; together with ``written`` it tells a whole record from one being rewritten.
        attempt: counts from 1.
        phase: how far the attempt is, by who holds the lock.
        host: where it runs.
        keeper: who keeps it; the launcher, until there is a keeper.
        session: the id of the session of its processes; None: there is none yet.
        worker: the command's process; None: it has not started.
        why: what the job waits for.
        started: when the worker did, in seconds since the epoch.
        devices: that it was given.
        progress: the last event of that kind, without its time.
        machine: the last event of that kind, without its time.
        ended: the event that the attempt ended with, as a JSON object.
        written: equals ``write``.
    """

    model_config = ConfigDict(extra="ignore")

    write: int = 0
    attempt: int
    phase: Phase
    host: str
    keeper: Identity
    session: int | None = None
    worker: Identity | None = None
    why: str | None = None
    started: float | None = None
    devices: list[str] = []
    progress: dict[str, Any] | None = None
    machine: dict[str, Any] | None = None
    ended: dict[str, Any] | None = None
    written: int = 0


def write_record(fd: int, record: Record) -> None:
    """Write a record over the one in a file.

    Raises:
        OSError: it cannot be written.
    """
    record.write += 1
    record.written = record.write
    os.pwrite(fd, _text(record), 0)


def read_record(path: Path) -> Record | None:
    """The record in a file; None: there is no file, or no whole record in it."""
    for _ in range(_TRIES):
        try:
            record = Record.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:
            # It may be just being rewritten.
            continue
        if record.write == record.written:
            return record
    return None


def take_lock(fd: int) -> bool:
    """Take the lock of an open file for as long as anybody has it open from here; False: another has it.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock of a file, as far as this machine sees it.

    Raises:
        OSError: the file cannot be opened, or its file system has no locks.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def no_locks(error: OSError) -> bool:
    """Whether an error says that a file system has no locks."""
    return error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def _text(record: Record) -> bytes:
    """The record in exactly `SIZE` bytes; what matters least is left out if there is too much of it."""
    data = _shortened(record.model_dump(mode="json"))
    for shed in (None, "machine", "progress", "devices", "why"):
        if shed is not None:
            data[shed] = [] if shed == "devices" else None
        # Built again, because the order of the fields matters.
        text = Record.model_validate(data).model_dump_json(exclude_defaults=False).encode()
        if len(text) < SIZE:
            return text.ljust(SIZE - 1) + b"\n"
    raise ValueError(f"a record of {len(text)} bytes does not fit")


def _shortened(value: Any) -> Any:
    if isinstance(value, str):
        return _shortened_text(value)
    if isinstance(value, dict):
        return {name: _shortened(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_shortened(one) for one in value]
    return value


def _shortened_text(text: str) -> str:
    """A text that takes no more than `_LONGEST_TEXT` bytes in JSON, and has no half of a character."""
    # Of a file name that is no text, Python makes halves of characters, which are none in JSON.
    text = text.encode(errors="replace").decode()
    if len(text) * _LONGEST_CHARACTER <= _LONGEST_TEXT:
        return text
    ends = list(accumulate(_json_size(character) for character in text[: _LONGEST_TEXT + 1]))
    if ends[-1] <= _LONGEST_TEXT:
        return text
    return text[: sum(end <= _LONGEST_TEXT - _json_size(_CUT) for end in ends)] + _CUT


def _json_size(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode()) - len('""')
