"""The folder that stores go into: room, kind of file system, writing, locks, speed."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosinterp.doctor.asking import Circumstances
from cosinterp.doctor.finding import Finding, is_fine, is_lacking, is_noted, is_unknown
from cosinterp.planning.disk_speed import measure_write_speed
from stores.files import free_space
from stores.units import size_text

# What one run of maze-wan with all layers takes, some times over.
_LITTLE_SPACE = 10 * 10**9
_FEW_NAMES = 100_000
_THREADS = 4
# Below the speed of a hard disk, a trace of anything waits for the disk.
_SLOW = 100 * 10**6
_NETWORK = frozenset(
    (
        *("9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "orangefs"),
        *("panfs", "smb3", "smbfs", "virtiofs", "wekafs"),
        *("fuse.ceph", "fuse.glusterfs", "fuse.juicefs", "fuse.s3fs", "fuse.sshfs"),
    )
)
_IN_MEMORY = frozenset(("tmpfs", "ramfs"))
_OF_CONTAINER = frozenset(("overlay", "aufs", "fuse-overlayfs", "fuse.fuse-overlayfs"))
# Options of a mount by which locks hold on one machine alone, or nowhere: nfs(5), mount.lustre(8).
_LOCAL_LOCKS = frozenset(("nolock", "local_lock=all", "local_lock=flock", "localflock", "noflock"))
_NO_LOCKS = frozenset((errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP))


@dataclass(frozen=True)
class Mount:
    """Where a file system is mounted, of what kind it is (as ``mount`` says), and its options."""

    point: Path
    kind: str
    options: frozenset[str]

    @property
    def is_network(self) -> bool:
        """Whether other machines may see it."""
        return self.kind in _NETWORK


def folder(circumstances: Circumstances) -> Iterator[Finding]:
    """The folder: whether it is one, what is free, the kind of its file system, whether it takes files."""
    path = circumstances.path
    try:
        is_file = path.exists() and not path.is_dir()
        place, free = free_space(path)
    except OSError as error:
        value = f"{path}: {error.strerror or error}"
        yield is_lacking(
            "folder", value, "It cannot be looked into.", "Change its rights, or name another.", needed=True
        )
        return
    if is_file:
        advice = "Name a folder, or one that is to be made."
        yield is_lacking("folder", str(path), "This is a file; a store is a folder.", advice, needed=True)
        return
    yield _space(path, place, free)
    yield from _names(place)
    mount = mount_of(place)
    if mount is not None:
        yield _kind(mount)
    finding = _writable(place)
    yield finding
    if finding.state == "ok":
        yield _locks(place, mount)


def write_speed(circumstances: Circumstances) -> Iterator[Finding]:
    """How fast the folder takes what a trace writes, on the disk and not only in memory; takes a second."""
    name = "write speed"
    try:
        place, free = free_space(circumstances.path)
    except OSError:
        # Told as what the folder lacks.
        return
    if not place.is_dir():
        return
    if free < _LITTLE_SPACE:
        yield is_noted(name, "not measured", f"Less than {size_text(_LITTLE_SPACE)} are free.")
        return
    try:
        speed = measure_write_speed(place, _THREADS)
    except OSError as error:
        yield is_unknown(name, f"not measured: {error.strerror}", "The folder takes no files.", "See above.")
        return
    value = f"{size_text(int(speed))}/s ({_THREADS} threads, one file, fsync; measured)"
    if speed < _SLOW:
        yield is_noted(
            name,
            value,
            f"All layers of a large model are 13.8 GB a step and branch: {13.8e9 / speed / 60:.0f} minutes.",
            "A faster disk, or less of it: --reduce, --save-steps, --layers. --dry-run says what it takes.",
        )
    else:
        yield is_fine(name, value, f"13.8 GB (all layers of a large model, once) in {13.8e9 / speed:.0f} s.")


def mount_of(place: Path) -> Mount | None:
    """The file system that an existing folder is on; None if that is not known."""
    import psutil

    found = None
    for part in psutil.disk_partitions(all=True):
        point = Path(part.mountpoint)
        # Of mounts at the same place the last one lies on top.
        if place.is_relative_to(point) and (found is None or point.is_relative_to(found.point)):
            found = Mount(point, part.fstype, frozenset(part.opts.split(",")))
    return found


def _space(path: Path, place: Path, free: int) -> Finding:
    value = f"{path}: {size_text(free)} free"
    if path.resolve() != place:
        value += " (it does not exist yet)"
    if free == 0:
        return is_lacking(
            "folder", value, "The disk is full: nothing can be recorded.", "Name another disk.", needed=True
        )
    if free < _LITTLE_SPACE:
        return is_noted(
            "folder",
            value,
            "A run of maze-wan with all layers takes 0.4 GB, one of a large model tens or hundreds.",
            "Name another disk; --dry-run says what a trace takes.",
            needed=True,
        )
    return is_fine("folder", value, "A trace compares what it needs with it before it starts.", needed=True)


def _names(place: Path) -> Iterator[Finding]:
    status = os.statvfs(place)
    # File systems that make inodes as they need them say 0 of 0.
    if status.f_files and status.f_favail < _FEW_NAMES:
        state = is_lacking if status.f_favail == 0 else is_noted
        yield state(
            "files",
            f"{status.f_favail:,} more of {status.f_files:,} (inodes)",
            "A store has one file for each run.",
            "Remove files that are not needed, or name another disk.",
        )


def _kind(mount: Mount) -> Finding:
    name, value = "file system", f"{mount.kind}, mounted at {mount.point}"
    if mount.kind in _IN_MEMORY:
        meaning = "It is memory: what is stored there is taken from the host's, and gone after a restart."
        return is_noted(name, value, meaning, "Name a folder on a disk for what is to be kept.")
    if mount.kind in _OF_CONTAINER:
        meaning = "It is the container's own layer: slow for many writes, and gone with the container."
        return is_noted(name, value, meaning, "Name a folder that is mounted into the container.")
    if mount.is_network:
        return is_noted(
            name,
            value,
            "It is shared: several machines can fill one store, and share its speed.",
            "Compare the write speed with a local disk's; docs/cluster.md says which is the bottleneck when.",
        )
    return is_fine(name, value, "A disk of this machine.")


def _writable(place: Path) -> Finding:
    try:
        write_a_file(place)
    except OSError as error:
        return is_lacking(
            "writing",
            error.strerror or str(error),
            f"No file can be made in {place}.",
            "Change its owner or rights, or name another folder."
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
            else "Name another folder.",
            needed=True,
        )
    return is_fine("writing", "a file was made, synced and removed", "Runs can be written.", needed=True)


def _locks(place: Path, mount: Mount | None) -> Finding:
    """Whether a lock that one holder has is refused to another, as claims on runs need it."""
    name, beside = "file locks", "Claims on runs are files beside them instead."
    try:
        refused = lock_is_refused(place)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        advice = "After a crash on another machine, delete the .claim file that the error names."
        return is_noted(name, f"none: {error.strerror}", beside, advice)
    if not refused:
        return is_lacking(
            name,
            "a lock is given twice",
            "Two processes may make the same run, and one overwrites the other.",
            "Let one process at a time write to a store here, or name another file system.",
        )
    local = sorted(mount.options & _LOCAL_LOCKS) if mount is not None and mount.is_network else []
    if local:
        return is_noted(
            name,
            f"on this machine only (mounted with {', '.join(local)})",
            "Processes of several machines that make the same runs do not see each other's claims.",
            "Give each machine samples or seeds of its own, or a store of its own (cosinterp store merge).",
        )
    return is_fine(name, "work", "Of all processes that want to make a run, one does.")


def write_a_file(place: Path) -> None:
    """Write a file in ``place`` through to the disk, and leave nothing of it.

    Raises:
        OSError: the folder takes none.
    """
    with tempfile.TemporaryFile(dir=place) as file:
        file.write(b"cosinterp")
        file.flush()
        os.fsync(file.fileno())


def lock_is_refused(place: Path) -> bool:
    """Whether a second lock of a file in ``place`` is refused while the first is held.

    Raises:
        OSError: there are no locks here.
    """
    with tempfile.NamedTemporaryFile(dir=place, prefix=".cosinterp-doctor-") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with open(file.name, "rb") as other:
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False
