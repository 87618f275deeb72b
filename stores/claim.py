"""The claim on a run: of all processes that want to make the same run, one does.

A claim is an exclusive lock (``flock``) on the run's ``.partial`` file, held for as long as the file is open.
The operating system drops it when its process ends, however it ends, so what a killed process leaves behind
never stands in the way: the next one takes the lock and starts the file anew.

Some network file systems have no locks. There the claim is a file beside it, ``.partial.claim``, naming the
process; if that process ran on this machine and is gone, the claim is taken over, otherwise the error names
the file to delete.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import socket
import time
import weakref
from pathlib import Path

from stores import layout
from stores.errors import ClaimedError

_NO_LOCKS = frozenset((errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP))
_ATTEMPTS = 5
_held: weakref.WeakSet[Claim] = weakref.WeakSet()


class Claim:
    """An exclusive claim on ``partial``, the unfinished file of a run.

    The file exists (perhaps with the remains of a killed process in it) while the claim is held.

    Raises:
        ClaimedError: another process, or another writer of this one, holds the claim.
        OSError: the file cannot be made.
    """

    def __init__(self, partial: Path, run: str) -> None:
        self._partial = partial
        self._sidecar: Path | None = None
        while True:
            self._fd = _open(partial)
            try:
                self._lock(run)
                if _is_same_file(self._fd, partial):
                    break
            except BaseException:
                os.close(self._fd)
                raise
            # Its previous owner finished or removed the file between our opening it and our locking it.
            os.close(self._fd)
        _held.add(self)

    def fileno(self) -> int:
        """The descriptor of the file, open for reading and writing."""
        return self._fd

    def release(self) -> None:
        """Gives the claim up; releasing it again does nothing."""
        if self._fd < 0:
            return
        if self._sidecar is not None:
            self._sidecar.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = -1
        _held.discard(self)

    def _lock(self, run: str) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                # `is_claimed` holds a lock for an instant; an owner holds it for longer than we wait.
                if attempt + 1 < _ATTEMPTS:
                    time.sleep(0.01)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                self._sidecar = _claim_by_file(self._partial, run)
                return
        raise ClaimedError(f"{run}: another process is making this run; wait for it, or choose other seeds")

    def _forget_in_child(self) -> None:
        # A forked child that kept the descriptor would keep the lock after its parent's death.
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def is_claimed(partial: Path) -> bool:
    """Whether a process holds the claim on ``partial`` that is not known to be gone.

    Raises:
        OSError: the file cannot be opened.
    """
    fd = os.open(partial, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        owner = _owner(partial.with_name(partial.name + layout.CLAIM))
        return owner is not None and not _is_gone(*owner)
    finally:
        os.close(fd)
    return False


def _open(partial: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(partial, flags, 0o666)
    except FileNotFoundError:
        # Who removes the last run of a sample removes its folder, perhaps just after it was made for us.
        partial.parent.mkdir(exist_ok=True)
        return os.open(partial, flags, 0o666)


def _is_same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def _claim_by_file(partial: Path, run: str) -> Path:
    sidecar = partial.with_name(partial.name + layout.CLAIM)
    owner = f"{socket.gethostname()} {os.getpid()}"
    while True:
        try:
            fd = os.open(sidecar, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            _remove_if_stale(sidecar, run)
            continue
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(owner)
        return sidecar


def _remove_if_stale(sidecar: Path, run: str) -> None:
    owner = _owner(sidecar)
    if owner is None:
        return
    if _is_gone(*owner):
        _remove(sidecar, owner)
        return
    host, pid = owner
    raise ClaimedError(
        f"{run}: process {pid or '?'} on {host or 'an unknown machine'} is making this run; "
        f"if it is gone, delete {sidecar}"
    )


def _remove(sidecar: Path, owner: tuple[str, str]) -> None:
    """Removes the claim of ``owner``, and no other that has taken its place in the meantime."""
    aside = sidecar.with_name(f"{sidecar.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        os.rename(sidecar, aside)
    except FileNotFoundError:
        return
    if _owner(aside) != owner:
        os.rename(aside, sidecar)
        return
    aside.unlink(missing_ok=True)


def _owner(sidecar: Path) -> tuple[str, str] | None:
    """(machine, process) that a claim by file names; None if there is no such file."""
    try:
        host, _, pid = sidecar.read_text(encoding="utf-8").rpartition(" ")
    except FileNotFoundError:
        return None
    return host, pid


def _is_gone(host: str, pid: str) -> bool:
    """Whether it is known that the process is gone, which it can be of this machine only."""
    return host == socket.gethostname() and pid.isdigit() and not _is_alive(int(pid))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _forget_all_in_child() -> None:
    for claim in list(_held):
        claim._forget_in_child()
    _held.clear()


os.register_at_fork(after_in_child=_forget_all_in_child)
