"""The app in a pseudo-terminal, as a terminal sees it: bytes, and what they leave switched on."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUIET = 1.5
"""Seconds without a byte after which an app is taken to have come to rest."""
ESCAPE, ENTER = b"\x1b", b"\r"

_PRIVATE_MODE = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
_KEYBOARD = re.compile(rb"\x1b\[(?:>[0-9]+|<)u")


class Terminal:
    """A terminal, and the app that runs in it.

    Attributes:
        process: the app's.
        received: all that the app has sent.
        settings: of the line, as the app found it.
    """

    def __init__(self, fd: int, process: subprocess.Popen[bytes], settings: list[object]) -> None:
        self.fd = fd
        self.process = process
        self.settings = settings
        self.received = b""

    def press(self, keys: bytes) -> None:
        """Send keys to the app."""
        os.write(self.fd, keys)

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size; the kernel tells the app."""
        _set_size(self.fd, columns, rows)

    def receive(self, seconds: float, until: bytes | None = None) -> bytes:
        """What arrives within ``seconds``, or until ``until`` has arrived or the app has ended."""
        received = receive(self.fd, seconds, until)
        self.received += received
        return received

    def see(self, text: bytes, seconds: float = 60) -> bytes:
        """What arrives until ``text`` has."""
        received = self.receive(seconds, until=text)
        assert text in received, received[-2000:]
        return received

    def settle(self) -> None:
        """Read on until nothing has come for a while."""
        for _ in range(20):
            if not self.receive(QUIET):
                return
        raise AssertionError("the app never came to rest")

    def end(self, seconds: float = 20) -> int:
        """Read until the app has ended; its exit code."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            self.receive(0.05)
        code = self.process.wait(1)
        self.receive(0.1)
        return code

    @property
    def settings_now(self) -> list[object]:
        """Of the line, as a shell would find it."""
        return termios.tcgetattr(self.fd)

    @property
    def switched_on(self) -> set[bytes]:
        """The private modes that what was received leaves on; b"keyboard" for the one that has no number."""
        on: set[bytes] = set()
        for modes, how in _PRIVATE_MODE.findall(self.received):
            for mode in modes.split(b";"):
                on = on | {mode} if how == b"h" else on - {mode}
        keyboards = _KEYBOARD.findall(self.received)
        return on | {b"keyboard"} if keyboards and b"<" not in keyboards[-1] else on


def receive(fd: int, seconds: float, until: bytes | None = None) -> bytes:
    """What arrives within ``seconds``, or until ``until`` has arrived or the app has ended."""
    received = b""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and (until is None or until not in received):
        if select.select([fd], [], [], left)[0]:
            try:
                received += os.read(fd, 65536)
            except OSError:
                break
    return received


def all_at_rest(terminals: Sequence[Terminal], seconds: float) -> None:
    """Wait until none has sent a byte for so many seconds, all at once."""
    end = time.monotonic() + 20 * seconds
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < seconds:
        assert time.monotonic() < end, "an app never came to rest"
        for terminal in terminals:
            if terminal.receive(0.01):
                quiet_since = time.monotonic()
        time.sleep(0.05)


def sent_within(terminals: Sequence[Terminal], seconds: float) -> list[int]:
    """The bytes that each sends within so many seconds, all at once."""
    sent = [0] * len(terminals)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for number, terminal in enumerate(terminals):
            sent[number] += len(terminal.receive(0.01))
        time.sleep(0.05)
    return sent


@contextmanager
def app_in_a_terminal(
    path: Path,
    columns: int = 80,
    rows: int = 24,
    *,
    command: Sequence[str] = ("-m", "cosinterp", "tui"),
    env: Mapping[str, str] | None = None,
) -> Iterator[Terminal]:
    """An app that is killed at the end, if it has not ended by itself.

    Args:
        path: what is opened.
        columns: of the terminal.
        rows: of the terminal.
        command: what Python is given before the path.
        env: what is added to the environment.
    """
    ours, theirs = pty.openpty()
    _set_size(theirs, columns, rows)
    settings = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        [sys.executable, *command, str(path)],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {})},
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    terminal = Terminal(ours, process, settings)
    os.close(theirs)
    try:
        yield terminal
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)


def _set_size(fd: int, columns: int, rows: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _take_terminal() -> None:
    """As a shell's: it tells its session when its size changes, and when it is gone."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
