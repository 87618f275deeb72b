"""The file that a run is written to, as HDF5 sees it.

HDF5 does not survive a full disk: a write that fails stays in its caches, fails again when the file is
closed, and ends in a crash of the process. So HDF5 writes through this object, which never fails: it keeps
the first error for the writer to raise, and from then on swallows what is written, to a file that is about to
be removed.
"""

from __future__ import annotations

import io
import os
from typing import Any


class Sink(io.RawIOBase):
    """A file-like object for h5py over an open file descriptor, which it does not own.

    Attributes:
        error: the first thing that the disk refused; None if nothing was.
    """

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._position = 0
        self._size = os.fstat(fd).st_size
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to ``offset``, as files do."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Where it stands."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Reads at the position; zeros where a write was swallowed."""
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view):
            count = os.preadv(self._fd, [view[done:]], self._position + done)
            if count == 0:
                view[done:] = bytes(len(view) - done)
                break
            done += count
        self._position += len(view)
        return len(view)

    def write(self, data: Any) -> int:
        """Writes at the position, all of it."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            while self.error is None and done < len(view):
                done += os.pwrite(self._fd, view[done:], self._position + done)
        except OSError as error:
            self.error = error
        self._position += len(view)
        self._size = max(self._size, self._position)
        return len(view)

    def truncate(self, size: int) -> int:
        """Makes the file ``size`` bytes long."""
        try:
            if self.error is None:
                os.ftruncate(self._fd, size)
        except OSError as error:
            self.error = error
        self._size = size
        return size

    def flush(self) -> None:
        """Does nothing: there is no buffer."""
