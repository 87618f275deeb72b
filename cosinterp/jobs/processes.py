"""Processes: which is meant, whether it lives, what belongs to it, and how all of that is stopped."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil
from pydantic import BaseModel

from cosinterp.jobs.own_code import KEEPER

_GONE = (ProcessLookupError, psutil.NoSuchProcess)
_POLL = 0.02
_SLOW_POLL = 0.2


class Identity(BaseModel):
    """A process for good: its number, and when it started, since numbers are used again.

    Attributes:
        pid: its number.
        since: when it started, as `_since` says it.
    """

    pid: int
    since: str

    @classmethod
    def of(cls, pid: int) -> Identity:
        """The identity of a living process; of a dead one, one that never lives."""
        return cls(pid=pid, since=_since(pid) or "")

    @property
    def is_alive(self) -> bool:
        """Whether the process lives, on this machine."""
        return self.since != "" and _since(self.pid) == self.since


def send(pid: int, signum: signal.Signals, *, group: bool = False) -> None:
    """Send a signal to a process, or to a process group; nothing happens if it is gone, or another user's."""
    # macOS refuses it also to a group of which only dead processes are left.
    with suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, signum)


def members(session: int | None, roots: Iterable[int] = (), spared: Collection[int] = ()) -> list[int]:
    """The processes of a session, and all that came from the processes ``roots``, in or out of it.

    The keeper of a job that one of them has started belongs to that job alone, and so does what came from it.

    Args:
        session: its id; None: of no session.
        roots: are not among what came from them.
        spared: are left out; what came from them is not.
    """
    found = set(_of_session(session))
    children = _children()
    unseen = [*roots, *found]
    while unseen:
        came = children.get(unseen.pop(), ())
        new = [pid for pid in came if pid not in found and not _is_keeper(pid)]
        found.update(new)
        unseen += new
    return sorted(pid for pid in found - set(spared) if _since(pid) is not None)


def stop(session: int, roots: Collection[int] = (), *, patience: float) -> None:
    """Stop the processes of a session and all that came from ``roots``: by SIGTERM, then by SIGKILL.

    Args:
        session: its id.
        roots: are not stopped themselves.
        patience: seconds between the two.
    """
    for signum in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + patience
        told: set[int] = set()
        pause = _POLL
        while left := members(session, roots, spared={*roots, os.getpid()}):
            for pid in left:
                # One that was just begun has not heard of it.
                if pid not in told:
                    send(pid, signum)
            told.update(left)
            if time.monotonic() > deadline:
                break
            time.sleep(pause)
            # To look for all of them costs something.
            pause = min(2 * pause, _SLOW_POLL)


def _of_session(session: int | None) -> list[int]:
    found: list[int] = []
    if session is None:
        return found
    for pid in psutil.pids():
        with suppress(*_GONE, PermissionError):
            if os.getsid(pid) == session:
                found.append(pid)
    return found


def _children() -> dict[int, list[int]]:
    """The children of every process."""
    found: dict[int, list[int]] = {}
    for process in psutil.process_iter(["ppid"]):
        found.setdefault(process.info["ppid"], []).append(process.pid)
    return found


def _is_keeper(pid: int) -> bool:
    try:
        return KEEPER in psutil.Process(pid).cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _since(pid: int) -> str | None:
    """When a process started; None: it is gone, or dead and only its parent has not heard of it.

    Not as a time of the clock where that can be had: a clock that is set would make another process of it.
    """
    if sys.platform != "linux":
        try:
            process = psutil.Process(pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
        except psutil.NoSuchProcess:
            return None
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # proc_pid_stat(5): the name is in brackets and may hold any character; state is next, starttime the 20th.
    fields = stat[stat.rindex(b")") + 1 :].split()
    return None if fields[0] in (b"Z", b"X", b"x") else f"{_boot()}:{int(fields[19])}"


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
