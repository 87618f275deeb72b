"""How it stands with a job, from what its folder says and which of its processes live."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cosinterp.jobs.events import Event, last_end
from cosinterp.jobs.home import host
from cosinterp.jobs.record import Record, is_locked, read_record
from cosinterp.jobs.spec import JobSpec
from cosinterp.jobs.state import State
from cosinterp.jobs.telling import LOG

SPEC = "spec.json"
RECORD = "now.json"
EVENTS = "events.jsonl"
SIGN_OF_LIFE = 10.0
"""Seconds between two signs of life of a keeper, at the most."""
_SILENCE = 120.0
_STATES = {
    "starting": State.QUEUED,
    "queued": State.QUEUED,
    "running": State.RUNNING,
    "cancelling": State.CANCELLING,
}


@dataclass(frozen=True)
class Status:
    """How it stands with a job. What is not known, or does not apply, is None.

    Attributes:
        id: the name of its folder.
        name: what the user calls it.
        words: of its command, after ``cosinterp``.
        cwd: where that runs.
        state: of its last attempt.
        attempt: counts from 1; 0: it was never begun.
        created, started, ended: seconds since the epoch; the latter two of the last attempt.
        host: the machine of the last attempt.
        pid: of the worker.
        devices: that it was given, such as "GPU 0"; empty: none in particular.
        description: of what is being done.
        done, total, unit: how much of it.
        rate: units a second.
        seconds_left: by that rate.
        sample, seeds: that are being worked on; seeds as "0-3".
        host_memory: bytes of all its processes.
        gpus: of each that it was given, ``index``, ``memory`` (bytes in use) and ``utilization`` (percent).
        message: why it waits, or how it ended.
        exit_code, signal, where: of an end: of a failure, of what was killed, and which memory was too small.
    """

    id: str
    name: str | None
    words: tuple[str, ...]
    cwd: str
    state: State
    attempt: int
    created: float
    started: float | None = None
    ended: float | None = None
    host: str | None = None
    pid: int | None = None
    devices: tuple[str, ...] = ()
    description: str | None = None
    done: float | None = None
    total: float | None = None
    unit: str | None = None
    rate: float | None = None
    seconds_left: float | None = None
    sample: str | None = None
    seeds: str | None = None
    host_memory: int | None = None
    gpus: tuple[dict[str, Any], ...] = ()
    message: str | None = None
    exit_code: int | None = None
    signal: str | None = None
    where: str | None = None

    def as_data(self) -> dict[str, Any]:
        """All of it as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Standing:
    """The state of a job, and what it was found from.

    Attributes:
        state: of the last attempt.
        record: what was so when that was last written down; None: nothing was.
        end: the event that the attempt ended with; one is made up for an attempt that is only known to be
            gone.
    """

    state: State
    record: Record | None
    end: Event | None = None


def standing(folder: Path, *, held: bool = False) -> Standing:
    """The state of the job in a folder.

    Args:
        folder: of the job.
        held: whether the caller has its lock, so that nothing of it can live on this machine.
    """
    path = folder / RECORD
    record = read_record(path)
    if record is None and not held and _is_locked(path):
        # It is just being made.
        return Standing(State.QUEUED, None)
    if record is None:
        message = "it was never begun, or its folder is damaged"
        return Standing(State.CRASHED, None, Event(0.0, State.CRASHED, 0, {"message": message}))
    end = _told_end(record)
    if end is None:
        state = _living_state(record, path, held)
        if state is not None:
            return Standing(state, record)
        # It may have ended since the record was read.
        record = read_record(path) or record
        end = _told_end(record) or last_end(folder / EVENTS, record.attempt) or _made_up_end(record, path)
    return Standing(State(end.event), record, end)


def is_here(record: Record) -> bool:
    """Whether a job runs, or ran, on this machine, as far as that can be told."""
    # A machine may be given another name, which changes neither its processes nor when they started.
    return record.host == host() or record.keeper.is_alive


def status_of(folder: Path, spec: JobSpec) -> Status:
    """How it stands with the job in a folder."""
    found = standing(folder)
    record, end = found.record, found.end
    known: dict[str, Any] = {}
    if record is not None:
        progress, machine = record.progress or {}, record.machine or {}
        told = ("description", "done", "total", "unit", "rate", "sample", "seeds")
        known = {
            "started": record.started,
            "host": record.host,
            "pid": None if record.worker is None else record.worker.pid,
            "devices": tuple(record.devices),
            **{name: progress.get(name) for name in told},
            "message": record.why,
        }
        if end is None:
            known["seconds_left"] = progress.get("seconds_left")
            known["host_memory"] = machine.get("host_memory")
            known["gpus"] = tuple(machine.get("gpus", ()))
    if end is not None:
        known["ended"] = end.time or None
        known |= {name: end.details.get(name) for name in ("message", "exit_code", "signal", "where")}
    return Status(
        id=folder.name,
        name=spec.name,
        words=spec.words,
        cwd=spec.cwd,
        state=found.state,
        attempt=0 if record is None else record.attempt,
        created=spec.created,
        **known,
    )


def _told_end(record: Record) -> Event | None:
    if record.ended is None:
        return None
    data = dict(record.ended)
    return Event(data.pop("time"), data.pop("event"), data.pop("attempt"), data)


def _living_state(record: Record, path: Path, held: bool) -> State | None:
    """The state that the record tells if any process of the job lives; None: none does."""
    state = _STATES.get(record.phase)
    if not is_here(record):
        return state if _silence(path) < _SILENCE or (not held and _is_locked(path)) else None
    if held:
        return None
    if record.session is None:
        # The launcher, or a keeper that has not said so yet.
        return state if _is_locked(path) else None
    if record.keeper.is_alive:
        return state
    # Without its keeper a worker interrupts itself, which may take a moment.
    if record.worker is not None and record.worker.is_alive:
        return State.CANCELLING
    return None


def _is_locked(path: Path) -> bool:
    try:
        return is_locked(path)
    except OSError:
        # It has just been removed, or there are no locks on this machine.
        return False


def _silence(path: Path) -> float:
    """Seconds since the keeper gave a sign of life."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except FileNotFoundError:
        # It has just been removed.
        return _SILENCE


def _made_up_end(record: Record, path: Path) -> Event:
    """The end of an attempt whose keeper did not live to tell it: about when, and what is known."""
    silence = _silence(path)
    when = time.time() - silence
    if record.host != host():
        message = f"no sign of life from {record.host} for {silence:.0f} s"
    elif record.session is None:
        message = f"its keeper did not come to life; see {path.with_name(LOG)}"
    else:
        gone = f"its keeper (process {record.keeper.pid}) is gone without a word"
        message = f"{gone}: it was killed, or the machine was lost"
    return Event(when, State.CRASHED, record.attempt, {"message": message})
