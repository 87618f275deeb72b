"""Opening run files and finding things in them, with errors that name the file."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from types import TracebackType

import h5py

from stores.errors import NoRunError, StoreError, UnreadableError
from stores.interrupts import interrupt_of
from stores.seal import check_seal
from stores.slabs.descriptor import Descriptor

# What HDF5, h5py and our own checks raise on a file that is not as we wrote it.
_DAMAGE = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
)
# What the system says of a place that no file has: our own files do not ask for any.
_OF_DAMAGE = frozenset((errno.EINVAL, errno.EFBIG, errno.EOVERFLOW))
_REMEDY = "delete it and trace it again with --resume"


def open_run_file(path: Path) -> h5py.File:
    """Opens a finished run for reading, once its seal is found to be whole.

    Raises:
        StoreError: as `open_twice`.
    """
    file, descriptor = open_twice(path)
    descriptor.close()
    return file


def open_twice(path: Path) -> tuple[h5py.File, Descriptor]:
    """Opens a finished run for reading by HDF5 and past it, once its seal is found to be whole.

    Raises:
        NoRunError: it is not there.
        UnreadableError: the system does not let us read it.
        VersionError: it is of another format version.
        StoreError: it is damaged.
    """
    try:
        with Reading(path):
            while True:
                descriptor = Descriptor(path)
                check_seal(descriptor, path)
                file = h5py.File(path, "r", locking="best-effort")
                # The run may have been removed and made anew in between.
                if os.path.samestat(os.fstat(file.id.get_vfd_handle()), descriptor.status()):
                    return file, descriptor
                file.close()
    except UnreadableError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise NoRunError(f"{path}: no such run") from None
        raise


def why_unreadable(error: BaseException) -> str | None:
    """What the system says if it does not let us read a file; None if the file itself is at fault."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    if not isinstance(error, OSError) or not error.errno or error.errno in _OF_DAMAGE:
        return None
    return os.strerror(error.errno)


class Reading:
    """A block in which what goes wrong becomes a StoreError that names the file.

    That is an UnreadableError where the system refuses, and otherwise whatever HDF5 makes of a damaged file.
    Ctrl-C stays Ctrl-C.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        interrupt = interrupt_of(error)
        if interrupt is not None:
            raise interrupt from None
        reason = None if error is None else why_unreadable(error)
        if reason is not None:
            raise UnreadableError(f"{self._path}: cannot be read: {reason}") from error
        if isinstance(error, _DAMAGE):
            raise StoreError(f"{self._path}: damaged, {_one_line(error)}; {_REMEDY}") from error


def dataset(parent: h5py.Group, path: str) -> h5py.Dataset:
    """Raises KeyError unless ``path`` is a dataset under ``parent``."""
    item = parent[path]
    if not isinstance(item, h5py.Dataset):
        raise KeyError(f"{path} is no dataset")
    return item


def group(parent: h5py.Group, path: str) -> h5py.Group:
    """Raises KeyError unless ``path`` is a group under ``parent``."""
    item = parent[path]
    if not isinstance(item, h5py.Group):
        raise KeyError(f"{path} is no group")
    return item


def _one_line(error: BaseException) -> str:
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    # h5py puts HDF5's own reason in brackets behind what was called.
    reason = re.search(r"\((.*)\)\s*$", text, re.DOTALL) if isinstance(error, OSError) else None
    return " ".join((reason[1] if reason else text).split()) or type(error).__name__
