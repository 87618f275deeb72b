"""A folder for stores: full, unwritable, without locks, in memory, on a network, slow."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from cosinterp.doctor import disk
from tests.unit.doctor.asked import asked

GB = 10**9


def has(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(disk, "free_space", lambda path: (path.resolve(), free))


def mounted(monkeypatch: pytest.MonkeyPatch, kind: str, options: str = "rw") -> None:
    parts = [("/", "ext4", "rw"), ("/elsewhere", "xfs", "rw")]
    folder = str(Path(tempfile.gettempdir()).resolve())
    made = [SimpleNamespace(mountpoint=point, fstype=fs, opts=opts) for point, fs, opts in parts]
    made.append(SimpleNamespace(mountpoint=folder, fstype=kind, opts=options))
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: made)


def refusing(code: int) -> Any:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


def test_a_folder_that_is_to_be_made_is_asked_of_the_one_above_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_LITTLE_SPACE", 1)
    found = asked(disk.folder, tmp_path / "a" / "b")
    assert found["folder"].value.endswith("free (it does not exist yet)")
    assert [found[name].state for name in ("folder", "writing", "file locks")] == ["ok"] * 3
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = asked(disk.folder, tmp_path / "file")
    assert found.keys() == {"folder"}
    assert found["folder"].is_lacking


def test_a_folder_that_cannot_be_looked_into_is_a_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "free_space", refusing(errno.EACCES))
    found = asked(disk.folder, tmp_path)
    assert found.keys() == {"folder"}
    assert found["folder"].is_lacking
    assert found["folder"].value == f"{tmp_path}: Permission denied"
    assert asked(disk.write_speed, tmp_path) == {}


@pytest.mark.parametrize(("free", "state"), [(0, "lack"), (GB, "note"), (500 * GB, "ok")])
def test_a_full_disk_is_a_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    has(monkeypatch, free)
    found = asked(disk.folder, tmp_path)["folder"]
    assert (found.state, found.is_lacking) == (state, free == 0)


@pytest.mark.parametrize("left", [0, 10])
def test_few_names_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    has(monkeypatch, 500 * GB)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_files=10**6, f_favail=left))
    assert asked(disk.folder, tmp_path)["files"].state == ("note" if left else "lack")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_folder_that_takes_no_files_is_a_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", refusing(code))
    found = asked(disk.folder, tmp_path)
    assert (found["writing"].value, found["writing"].is_lacking) == (os.strerror(code), True)
    assert "file locks" not in found
    assert ("rights" in found["writing"].advice) == (code != errno.ENOSPC)


def test_without_locks_claims_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(errno.ENOLCK))
    found = asked(disk.folder, tmp_path)["file locks"]
    assert found.state == "note"
    assert found.value.startswith("none")


def test_locks_that_lock_nothing_are_a_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    found = asked(disk.folder, tmp_path)["file locks"]
    assert (found.state, found.is_lacking) == ("lack", False)


def test_a_file_system_that_makes_names_as_it_needs_them_has_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has(monkeypatch, 500 * GB)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_files=0, f_favail=0))
    assert "files" not in asked(disk.folder, tmp_path)


@pytest.mark.parametrize(
    ("kind", "state", "text"),
    [
        ("ext4", "ok", "of this machine"),
        ("tmpfs", "note", "memory"),
        ("overlay", "note", "container"),
        ("nfs4", "note", "shared"),
        ("lustre", "note", "shared"),
    ],
)
def test_the_kind_of_file_system_says_what_it_is_good_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, state: str, text: str
) -> None:
    mounted(monkeypatch, kind)
    found = asked(disk.folder, tmp_path)["file system"]
    assert found.state == state
    assert found.value.startswith(f"{kind}, mounted at ")
    assert text in found.meaning


@pytest.mark.parametrize(
    ("kind", "options", "state"),
    [
        ("nfs4", "rw,local_lock=none", "ok"),
        ("nfs", "rw,nolock,local_lock=all", "note"),
        ("lustre", "rw,localflock", "note"),
        ("ext4", "rw,nolock", "ok"),
    ],
)
def test_locks_of_one_machine_alone_are_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, options: str, state: str
) -> None:
    mounted(monkeypatch, kind, options)
    assert asked(disk.folder, tmp_path)["file locks"].state == state


def test_the_innermost_and_last_mount_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [("/", "overlay"), ("/data", "ext4"), ("/data", "nfs4"), ("/dat", "xfs"), ("/data/x", "tmpfs")]
    parts = [SimpleNamespace(mountpoint=point, fstype=kind, opts="rw") for point, kind in points]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: parts)
    kinds = [disk.mount_of(Path(place)) for place in ("/data/y", "/data/x/z", "/data2", "/")]
    assert [mount and mount.kind for mount in kinds] == ["nfs4", "tmpfs", "overlay", "overlay"]


@pytest.mark.parametrize(("speed", "state"), [(2e9, "ok"), (50e6, "note")])
def test_a_slow_disk_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speed: float, state: str
) -> None:
    has(monkeypatch, 500 * GB)
    monkeypatch.setattr(disk, "measure_write_speed", lambda folder, threads: speed)
    found = asked(disk.write_speed, tmp_path)["write speed"]
    assert found.state == state
    assert ("2.0 GB/s" if state == "ok" else "50.0 MB/s") in found.value


def test_speed_is_not_measured_where_little_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, GB)
    assert asked(disk.write_speed, tmp_path)["write speed"].value == "not measured"


def test_speed_that_cannot_be_measured_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, 500 * GB)
    monkeypatch.setattr(disk, "measure_write_speed", refusing(errno.EIO))
    assert asked(disk.write_speed, tmp_path)["write speed"].state == "unknown"
