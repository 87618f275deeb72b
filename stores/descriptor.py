"""A finished file, open for reading past HDF5, by any number of threads at once."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock
from typing import Any


class Descriptor:
    """A file descriptor that is closed once nobody reads from it any more: its number may be used again then.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._users = 0
        self._closing = True
        self._lock = Lock()
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._closing = False

    def read_into(self, buffer: Any, offset: int) -> None:
        """Fills ``buffer`` with the bytes from ``offset`` on.

        Raises:
            ValueError: the file ends before, or is closed.
            OSError: it cannot be read.
        """
        view = memoryview(buffer).cast("B")
        with self._lock:
            if self._closing:
                raise ValueError("the file is closed")
            self._users += 1
        try:
            done = 0
            while done < len(view):
                count = os.preadv(self._fd, [view[done:]], offset + done)
                if count == 0:
                    raise ValueError("it is cut short")
                done += count
        finally:
            with self._lock:
                self._users -= 1
                if self._closing and not self._users:
                    os.close(self._fd)

    def read(self, length: int, offset: int) -> bytes:
        """So many bytes from ``offset`` on; raises as `read_into`."""
        data = bytearray(length)
        self.read_into(data, offset)
        return bytes(data)

    def status(self) -> os.stat_result:
        """What the operating system says of the file."""
        return os.fstat(self._fd)

    def close(self) -> None:
        """Ends reading; closing again does nothing."""
        with self._lock:
            if not self._closing:
                self._closing = True
                if not self._users:
                    os.close(self._fd)

    def __del__(self) -> None:
        self.close()
