"""A process that answers one question, and ends."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

from cosinterp.jobs.own_code import own_command
from cosinterp.rehearsal.answer import Answer
from cosinterp.rehearsal.answering import answered
from cosinterp.rehearsal.messages import as_data

ONCE = "--once"
_MUCH = 2**16
_DIE_WITH_PARENT = 1


class Attempt:
    """A process that answers one question on a pipe.

    Attributes:
        number: of the question.
        fd: where the answer comes from, until it ends.
    """

    def __init__(self, number: int, pid: int, fd: int) -> None:
        self.number = number
        self.fd = fd
        self._pid = pid
        self._said = b""
        self._is_over = False

    def has_more(self) -> bool:
        """Take what has come of the answer; whether there may be more of it."""
        said = os.read(self.fd, _MUCH)
        self._said += said
        return bool(said)

    def answer(self) -> dict[str, Any]:
        """The answer, once it is whole; where the process ended before it, that is a bug in the command."""
        os.close(self.fd)
        if self._said:
            return json.loads(self._said)
        _, status = os.waitpid(self._pid, 0)
        self._is_over = True
        code = os.waitstatus_to_exitcode(status)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        message = f"a bug in cosinterp, or in a library: the process that ran the command ended by {how}"
        return as_data(Answer(False, message, bug=message))

    def kill(self) -> None:
        """End the process, whatever it does."""
        os.close(self.fd)
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def is_over(self) -> bool:
        """Whether a process has ended that has answered, or was killed."""
        if not self._is_over:
            self._is_over = os.waitpid(self._pid, os.WNOHANG)[0] != 0
        return self._is_over


Start: TypeAlias = Callable[[dict[str, Any], int], Attempt]
"""Starts the process that answers a question; it does not get the file that answers are said on."""


def forked(question: dict[str, Any], answers: int) -> Attempt:
    """A fork of this process, which has everything imported."""
    receiving, sending = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(sending)
        return Attempt(question["number"], pid, receiving)
    # Nothing may get out of here: behind it stands the loop of the process that was forked.
    try:
        _be_bound_to(parent)
        for fd in (receiving, answers):
            os.close(fd)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        write_all(sending, json.dumps(answered(question)).encode())
    finally:
        os._exit(1)


def started(question: dict[str, Any], answers: int) -> Attempt:
    """A fresh process, which imports what it needs."""
    process = subprocess.Popen(
        own_command("cosinterp.rehearsal", ONCE),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.write(json.dumps(question).encode() + b"\n")
        process.stdin.close()
    # Waited for by its pid.
    process.returncode = 0
    return Attempt(question["number"], process.pid, os.dup(process.stdout.fileno()))


def _be_bound_to(parent: int) -> None:
    """Have this process killed when its parent ends, however that comes."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def write_all(fd: int, data: bytes) -> None:
    """Write all of ``data``, however long it is for a pipe."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
