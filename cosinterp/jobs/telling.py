"""The worker's side: it tells its keeper how it goes, and stops when the keeper is gone.

Whoever draws a bar calls `tell`, whether or not the command is a job. What is told is handed over by a
thread, about once a second, so that it costs the work nothing and never waits for the keeper.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

FOLDER = "COSINTERP_JOB"
PIPE = "COSINTERP_JOB_PIPE"
LOG = "log.txt"
_PACE = 1.0
_STAGES = ((signal.SIGINT, 30.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 0.0))
_line: _Line | None = None


def watch_keeper() -> None:
    """Begin to listen for the end of the keeper; the command line does it first of all.

    When the keeper is gone, the command is interrupted as by Ctrl-C, so that it tidies up: nobody could say
    how it ended any more, or stop it. Outside a job, or the second time, this does nothing.
    """
    global _line
    # Taken away, so that what this process starts does not take itself for the job.
    given = os.environ.pop(PIPE, "")
    if _line is not None or not given.isdigit():
        return
    fd = int(given)
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return
    except OSError:
        # Started by something that took the variable along and not what it names.
        return
    os.set_inheritable(fd, False)
    _line = _Line(socket.socket(fileno=fd))


def tell(**progress: Any) -> None:
    """Say how far the work is; outside a job this does nothing.

    What is said is added to what was said before. It never fails, and never waits.

    Args:
        progress: ``description``, ``done`` and ``total`` of ``unit``, ``rate`` (a second), ``seconds_left``,
            ``sample`` and ``seeds`` (such as "0-3"), those that are known; None: not known any more.
    """
    if _line is not None:
        _line.tell(progress)


class _Line:
    """The line to the keeper, and the thread that minds it."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._latest: dict[str, Any] = {}
        self._told: dict[str, Any] = {}
        self._unsent = b""
        end.setblocking(False)
        atexit.register(self._say_last)
        threading.Thread(target=self._mind, name="keeper", daemon=True).start()

    def tell(self, progress: dict[str, Any]) -> None:
        # A fork has the line without the thread, and its progress is not that of the job.
        if os.getpid() == self._owner:
            with self._lock:
                self._latest.update(progress)

    def _mind(self) -> None:
        while not self._is_cut(_PACE):
            self._say()
        _log_directly()
        _interrupt()

    def _is_cut(self, seconds: float) -> bool:
        """Whether the keeper is gone; waits for that for ``seconds``."""
        readable, _, _ = select.select([self._end], [], [], seconds)
        if not readable:
            return False
        try:
            # The keeper says nothing on this line: what there is to read is its end.
            return self._end.recv(1) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _say(self) -> None:
        """Hand over what is new, as far as there is room for it."""
        with self._lock:
            if not self._unsent and self._latest != self._told:
                self._told = dict(self._latest)
                self._unsent = json.dumps(self._told, default=str).encode() + b"\n"
            # The keeper may be gone, which `_is_cut` finds out, or slow.
            with suppress(OSError):
                self._unsent = self._unsent[self._end.send(self._unsent) :] if self._unsent else b""

    def _say_last(self) -> None:
        if os.getpid() == self._owner:
            self._say()
            self._say()


def _log_directly() -> None:
    """Print into the log itself, since the keeper does not take it there any more."""
    try:
        log = os.open(Path(os.environ.get(FOLDER, ""), LOG), os.O_WRONLY | os.O_APPEND)
    except OSError:
        log = os.open(os.devnull, os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    # On a full disk there is no room for it.
    with suppress(OSError):
        os.write(2, b"the keeper of this job is gone: stopping\n")


def _interrupt() -> None:
    """Stop this command and what it started: as by Ctrl-C, and less kindly if it does not listen."""
    own_group = os.getpgrp() == os.getpid()
    for signum, patience in _STAGES:
        if own_group:
            os.killpg(os.getpid(), signum)
        else:
            os.kill(os.getpid(), signum)
        time.sleep(patience)
