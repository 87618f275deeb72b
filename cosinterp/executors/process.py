"""A worker's process, as its driver sees it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection

from cosinterp.executors.messages import Answer, Begin, Order
from cosinterp.signals import signal_name

_LAST_WORDS = 3
_CHUNK = 2**16
_GRACE = 5.0

# A program of its own, in which nothing of ours is imported before it knows where our modules are. Not by
# multiprocessing, whose workers import the main program anew: that may be a user's script without a guard.
_PROGRAM = """\
import sys
from multiprocessing.connection import Connection
connection = Connection({fd})
sys.path[:] = connection.recv()
from cosinterp.executors.worker import main
main(connection)
# cosinterp worker on {device}
"""


class WorkerProcess:
    """A worker in a process of its own, started anew and not forked.

    It has no standard input; what it prints is read line by line with `lines`.

    Args:
        begin: what it is for.
        environment: of the process.
    """

    def __init__(self, begin: Begin, environment: Mapping[str, str]) -> None:
        ours, its = socket.socketpair()
        with ours, its:
            program = _PROGRAM.format(fd=its.fileno(), device=begin.device)
            # What interrupts us must not meet a worker that is not ready to tell it from a stop: it starts
            # with the signal held back.
            held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-X", "faulthandler", "-c", program],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    pass_fds=[its.fileno()],
                    env=dict(environment),
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, held)
            self.connection = Connection(ours.detach())
        assert self._process.stdout is not None
        self.output = self._process.stdout.fileno()
        os.set_blocking(self.output, False)
        self._unread = b""
        self._last_words: deque[str] = deque(maxlen=_LAST_WORDS)
        self.send_first(begin)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def send_first(self, begin: Begin) -> None:
        """Say where modules are, and what the worker is for."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send([path or os.getcwd() for path in sys.path])
            self.connection.send(begin)

    def send(self, order: Order) -> None:
        """Give an order; a worker that is gone is heard of by `receive`."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(order)

    def receive(self) -> Answer | None:
        """What the worker says next; None: it is gone."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None

    def lines(self) -> list[str]:
        """What it has printed since the last time: whole lines, and of a bar its last state."""
        while True:
            try:
                read = os.read(self.output, _CHUNK)
            except BlockingIOError:
                break
            if not read:
                # Nobody can print there any more: the line that was begun is all of it.
                self._unread += b"\n" if self._unread else b""
                break
            self._unread += read
        *whole, self._unread = self._unread.split(b"\n")
        texts = [line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace").rstrip() for line in whole]
        said = [text for text in texts if text]
        self._last_words.extend(said)
        return said

    def end(self) -> int:
        """Wait for the process, which is about to end; its exit code, or minus the number of a signal."""
        try:
            return self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def ended(self) -> str:
        """How the process ended, with the last of the lines that were read."""
        code = self.end()
        if code < 0:
            name = signal_name(-code)
            # What the system does where host memory is short.
            how = f"killed by {name}" + (", perhaps for want of host memory" if name == "SIGKILL" else "")
        else:
            how = f"ended with exit code {code}"
        return how + "".join(f"\n  {line}" for line in self._last_words)

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended; whether it has."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close our ends of what leads to it, which ends it if it still runs."""
        self.connection.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
