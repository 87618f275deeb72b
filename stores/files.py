"""Files that are there whole or not at all, and the room for them."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from stores.errors import StoreError
from stores.guarded_file import refusals
from stores.units import size_text

_PIECE = 2**26
# EPERM: containers may forbid the call.
_NO_COPY_RANGE = frozenset(
    (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM)
)


def free_space(path: Path) -> tuple[Path, int]:
    """The nearest folder to ``path`` that exists, and the bytes that are free there."""
    place = path.resolve()
    while not place.exists():
        place = place.parent
    return place, shutil.disk_usage(place).free


def check_space(path: Path, needed: int, what: str) -> None:
    """Compare the bytes that ``what`` needs with those that are free where ``path`` is, or will be.

    Raises:
        StoreError: too few are free; says both numbers.
    """
    place, free = free_space(path)
    if needed > free:
        raise StoreError(
            f"no space: {what} needs {needed:,} bytes ({size_text(needed)}), {place} has {free:,} free "
            f"({size_text(free)}); select less, or use another disk"
        )


def copy_bytes(source: int, target: int, copied: Callable[[int], object]) -> int:
    """Copies all of one open file to another, from their beginnings; the bytes that were copied.

    The file system does it where it can: on one server, or by sharing blocks.

    Args:
        source, target: file descriptors.
        copied: called with the bytes of each piece.

    Raises:
        OSError: the disk refuses.
    """
    total = 0
    in_kernel = getattr(os, "copy_file_range", None)
    while True:
        if in_kernel is not None:
            try:
                count = in_kernel(source, target, _PIECE, total, total)
            except OSError as error:
                if total or error.errno not in _NO_COPY_RANGE:
                    raise
                in_kernel = None
                continue
        else:
            data = memoryview(os.pread(source, _PIECE, total))
            count, done = len(data), 0
            while done < count:
                done += os.pwrite(target, data[done:], total + done)
        if count == 0:
            return total
        total += count
        copied(count)


def fsync_folder(folder: Path) -> None:
    """Makes the names in ``folder`` survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def replacing(path: Path, force: bool, replaceable: Callable[[Path], bool]) -> Iterator[Path]:
    """A name beside ``path``, for a file or a folder; it becomes ``path`` when the block is left.

    If the block is left by an exception, what has the name is removed, and ``path`` stays as it is.

    Args:
        force, replaceable: as `refuse_existing`.

    Raises:
        StoreError: ``path`` must not be replaced, or the disk refuses.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with refusals(path):
            refuse_existing(path, force, replaceable)
            path.parent.mkdir(parents=True, exist_ok=True)
            yield draft
            _sync(draft)
            # Once more: it may have been made in the meantime.
            refuse_existing(path, force, replaceable)
            _put(draft, path)
            fsync_folder(path.parent)
    finally:
        _remove(draft)


def refuse_existing(path: Path, force: bool, replaceable: Callable[[Path], bool]) -> None:
    """Raises StoreError unless ``path`` may be written: nothing is there, or an empty folder.

    Args:
        force: let something be there, if it is ``replaceable``.
    """
    if not (path.exists() or path.is_symlink()) or (path.is_dir() and not any(path.iterdir())):
        return
    if not force:
        raise StoreError(f"{path}: this exists; replace it with --force, or choose another name")
    if not replaceable(path):
        raise StoreError(
            f"{path}: this is no such export, so --force does not replace it; remove it yourself"
        )


def _put(draft: Path, path: Path) -> None:
    """Gives ``draft`` the name ``path``; a folder that has it is moved away first, and removed then."""
    if not path.is_dir() or path.is_symlink():
        os.replace(draft, path)
        return
    old = draft.with_name(f"{draft.name}.old")
    os.rename(path, old)
    try:
        os.rename(draft, path)
    except BaseException:
        os.rename(old, path)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Waits until a file, or all files of a folder, are on the disk."""
    for folder, _, names in os.walk(path):
        for name in names:
            _fsync(Path(folder) / name)
        fsync_folder(Path(folder))
    if path.is_file():
        _fsync(path)


def _fsync(file: Path) -> None:
    fd = os.open(file, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
