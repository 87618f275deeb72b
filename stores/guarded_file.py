"""The file that a run is written to, as HDF5 sees it.

HDF5 does not survive a full disk: a write that fails stays in its caches, fails again when the file is
closed, and ends in a crash of the process. So HDF5 writes through this object, which never fails: it keeps
the first error for the writer to raise, and from then on swallows what is written, to a file that is about to
be removed.

What is large goes to its place in the file directly, past HDF5 (`GuardedFile.put`).
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any

from stores.errors import StoreError

_FLUSH = 128 * 2**20
_guarded_files: weakref.WeakSet[GuardedFile] = weakref.WeakSet()


class GuardedFile(io.RawIOBase):
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
        self._unflushed = 0
        self._counting = Lock()
        self._flushing = Lock()
        self._users = 0
        self._using = Lock()
        self._is_retired = False
        self._close: Callable[[], object] | None = None
        _guarded_files.add(self)

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
        with self._open() as fd:
            while fd is not None and done < len(view):
                count = os.preadv(fd, [view[done:]], self._position + done)
                if count == 0:
                    break
                done += count
        view[done:] = bytes(len(view) - done)
        self._position += len(view)
        return len(view)

    def write(self, data: Any) -> int:
        """Writes at the position, all of it."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            with self._open() as fd:
                while fd is not None and self.error is None and done < len(view):
                    done += os.pwrite(fd, view[done:], self._position + done)
        except OSError as error:
            self.error = error
        self._position += len(view)
        self._size = max(self._size, self._position)
        return len(view)

    def give_up(self) -> None:
        """Swallows all that HDF5 still wants to write: the file is about to be removed."""
        self.error = self.error or _cancelled()

    def retire(self, close: Callable[[], object]) -> None:
        """Uses the descriptor no more, and has ``close`` called, here or by the last thread that still does.

        Its number may be another file's as soon as it is closed. Retiring again does nothing.
        """
        with self._using:
            if self._is_retired:
                return
            self._is_retired = True
            in_use = self._users > 0
            if in_use:
                self._close = close
        if not in_use:
            close()

    def check(self) -> None:
        """Raises what the disk refused, if it did."""
        if self.error is not None:
            raise self.error

    def put(self, data: Any, offset: int) -> None:
        """Writes ``data`` at ``offset``, past HDF5 and without moving; any number of threads may do so.

        Raises:
            OSError: the disk refuses, or has refused something before.
        """
        self.check()
        view = memoryview(data)
        done = 0
        try:
            with self._open() as fd:
                if fd is None:
                    raise _cancelled()
                while done < len(view):
                    done += os.pwrite(fd, view[done:], offset + done)
        except OSError as error:
            self.error = self.error or error
            raise

    def flush_behind(self, nbytes: int) -> None:
        """Brings the file to the disk whenever `_FLUSH` bytes have been written since the last time.

        Without it the disk would do little while a run is made, and much at its end, when everyone waits for
        it. Called by whoever has written ``nbytes``, outside HDF5's lock: one of several threads then waits
        for the disk while the others go on.

        Raises:
            OSError: the disk refuses.
        """
        with self._counting:
            self._unflushed += nbytes
            if self._unflushed < _FLUSH or not self._flushing.acquire(blocking=False):
                return
            self._unflushed = 0
        try:
            with self._open() as fd:
                if fd is None:
                    raise _cancelled()
                os.fsync(fd)
        except OSError as error:
            # The system tells of a failed write once, so it must not be forgotten.
            self.error = self.error or error
            raise
        finally:
            self._flushing.release()

    def truncate(self, size: int) -> int:
        """Makes the file ``size`` bytes long."""
        try:
            with self._open() as fd:
                if fd is not None and self.error is None:
                    os.ftruncate(fd, size)
        except OSError as error:
            self.error = error
        self._size = size
        return size

    def flush(self) -> None:
        """Does nothing: there is no buffer."""

    @contextlib.contextmanager
    def _open(self) -> Iterator[int | None]:
        """The descriptor, which stays open for as long as the block lasts; None once it is retired."""
        with self._using:
            fd = None if self._is_retired else self._fd
            self._users += fd is not None
        try:
            yield fd
        finally:
            if fd is not None:
                with self._using:
                    self._users -= 1
                    close = None if self._users else self._close
                if close is not None:
                    close()

    def _retire_in_child(self) -> None:
        # The file is its parent's, and the claim has closed the descriptor.
        self._using = Lock()
        self._is_retired = True
        self.give_up()


def _cancelled() -> OSError:
    return OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))


def _retire_all_in_child() -> None:
    for guarded in list(_guarded_files):
        guarded._retire_in_child()


os.register_at_fork(after_in_child=_retire_all_in_child)


@contextlib.contextmanager
def refusals(path: Path, guarded: GuardedFile | None = None) -> Iterator[None]:
    """A block in which what the disk refuses, perhaps unseen by HDF5, becomes a StoreError about ``path``."""
    try:
        yield
        if guarded is not None:
            guarded.check()
    except Exception as error:
        refusal = guarded.error if guarded is not None else None
        if refusal is None and isinstance(error, OSError):
            refusal = error
        if refusal is None:
            raise
        raise StoreError(f"{path}: cannot be written: {refusal.strerror or refusal}") from error
