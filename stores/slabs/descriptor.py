"""A finished file, open for reading past HDF5, by any number of threads at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from stores.errors import StoreError


class Descriptor:
    """A file descriptor that is closed once nobody reads from it any more: its number may be used again then.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._users = 0
        self._closing = True
        self._lock = Lock()
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._closing = False

    @contextmanager
    def reading(self) -> Iterator[int]:
        """The number of the descriptor, for `read_exactly`; it stays open for as long as the block lasts.

        Raises:
            StoreError: the file is closed.
        """
        with self._lock:
            if self._closing:
                raise StoreError(f"{self._path}: this file is closed; open it again to read it")
            self._users += 1
        try:
            yield self._fd
        finally:
            with self._lock:
                self._users -= 1
                if self._closing and not self._users:
                    os.close(self._fd)

    def read(self, length: int, offset: int) -> bytearray:
        """So many bytes from ``offset`` on; raises as `reading` and `read_exactly`."""
        data = bytearray(length)
        with self.reading() as fd:
            read_exactly(fd, memoryview(data), offset)
        return data

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
        # Without the lock: nobody else is left, but in a forked child its owner may be missing.
        if not self._closing:
            self._closing = True
            os.close(self._fd)


def read_exactly(fd: int, view: memoryview, offset: int) -> None:
    """Fills ``view`` (of bytes) with what is in the file from ``offset`` on.

    Raises:
        ValueError: the file ends before.
        OSError: it cannot be read.
    """
    done = os.preadv(fd, [view], offset)
    while done < len(view):
        count = os.preadv(fd, [view[done:]], offset + done)
        if count == 0:
            raise ValueError("it is cut short")
        done += count
