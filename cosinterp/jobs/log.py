"""What a worker prints, on its way into ``log.txt``.

It comes through the keeper, so that a disk without room for it stops nobody: a command that printed into the
file itself would fail by it.
"""

from __future__ import annotations

import os
from pathlib import Path

from cosinterp.jobs.home import open_private

_TAIL = 2**16


class Log:
    """Adds to a log.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._fd = open_private(path, os.O_WRONLY | os.O_APPEND)
        self._tail = b""
        self._lost = 0

    @property
    def tail(self) -> str:
        """The last of what was printed, whether or not there was room for it."""
        return self._tail.decode(errors="replace")

    def add(self, printed: bytes) -> None:
        """Add what was printed, as far as there is room."""
        self._tail = (self._tail + printed)[-_TAIL:]
        if self._lost:
            said = f"\n[{self._lost} bytes were lost here: there was no room for them]\n".encode()
            if self._write(said) == len(said):
                self._lost = 0
        self._lost += len(printed) - self._write(printed)

    def mark(self, text: str) -> None:
        """Add something that nobody printed, if there is room."""
        self._write(text.encode())

    def close(self) -> None:
        """No more is added."""
        os.close(self._fd)

    def _write(self, text: bytes) -> int:
        """How much of a text was written; a full disk takes less than all."""
        written = 0
        while written < len(text):
            try:
                written += os.write(self._fd, text[written:])
            except OSError:
                break
        return written
