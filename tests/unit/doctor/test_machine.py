"""Memory, cores, shared memory, open files and the encoding of text."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from types import SimpleNamespace

import joblib
import psutil
import pytest

from cosinterp.doctor import machine
from tests.unit.doctor.asked import asked

GB = 10**9


def groups(folder: Path, lines: str, limits: dict[str, str]) -> tuple[Path, Path]:
    """The files that tell of control groups: the tree, and in which of them a process is."""
    for name, text in limits.items():
        file = folder / "groups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    own = folder / "own"
    own.write_text(lines)
    return folder / "groups", own


@pytest.mark.parametrize(
    ("lines", "limits", "limit"),
    [
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("0::/\n", {"memory.max": "8000000000\n"}, 8 * GB),
        ("0::/job/step\n", {"job/memory.max": "4000000000\n", "job/step/memory.max": "max\n"}, 4 * GB),
        ("0::/host/path\n", {"memory.max": "2000000000\n"}, 2 * GB),
        (
            "5:cpu:/\n4:memory:/job\n0::/\n",
            {
                "memory/job/memory.limit_in_bytes": "3000000000\n",
                "memory/memory.limit_in_bytes": "9223372036854771712",
            },
            3 * GB,
        ),
    ],
)
def test_the_least_limit_of_all_control_groups_counts(
    tmp_path: Path, lines: str, limits: dict[str, str], limit: int | None
) -> None:
    assert machine.memory_limit(*groups(tmp_path, lines, limits)) == limit


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert machine.memory_limit(tmp_path, tmp_path / "none") is None


@pytest.mark.parametrize(
    ("free", "limit", "state"), [(100 * GB, None, "ok"), (100 * GB, 6 * GB, "note"), (5 * GB, None, "note")]
)
def test_memory_that_is_too_little_for_a_ring_is_noted(
    monkeypatch: pytest.MonkeyPatch, free: int, limit: int | None, state: str
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free, total=128 * GB))
    monkeypatch.setattr(machine, "memory_limit", lambda: limit)
    found = asked(machine.memory)["memory"]
    assert found.state == state
    assert ("6.0 GB" in found.value) == (limit is not None)


def test_one_core_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    found = asked(machine.cores)["cores"]
    assert (found.state, found.value) == ("note", "1 core of 64")


def test_little_shared_memory_is_noted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "_SHARED", tmp_path)
    small = SimpleNamespace(f_bavail=64, f_blocks=64, f_frsize=10**6)
    monkeypatch.setattr(os, "statvfs", lambda _: small)
    found = asked(machine.shared_memory)["/dev/shm"]
    assert (found.state, found.value) == ("note", "64.0 MB free of 64.0 MB")
    assert "--shm-size" in found.advice
    monkeypatch.setattr(machine, "_SHARED", tmp_path / "none")
    assert asked(machine.shared_memory)["/dev/shm"].value == "not there"


@pytest.mark.parametrize(
    ("limits", "state", "advice"),
    [
        ((256, 4096), "note", "ulimit -n 4096"),
        ((256, resource.RLIM_INFINITY), "note", "ulimit -n 65536"),
        ((65536, 65536), "ok", ""),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), "ok", ""),
    ],
)
def test_few_open_files_are_noted(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], state: str, advice: str
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    found = asked(machine.open_files)["open files"]
    assert found.state == state
    assert found.advice.startswith(advice)


@pytest.mark.parametrize(("encoding", "state"), [("UTF-8", "ok"), ("utf8", "ok"), ("ISO-8859-1", "lack")])
def test_an_encoding_that_has_not_all_letters_is_a_lack(
    monkeypatch: pytest.MonkeyPatch, encoding: str, state: str
) -> None:
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(encoding=encoding))
    found = asked(machine.encoding)["encoding"]
    assert (found.state, found.is_lacking) == (state, False)
