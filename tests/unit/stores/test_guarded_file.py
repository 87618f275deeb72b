"""The file that a run is written to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from stores import guarded_file
from stores.guarded_file import GuardedFile


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    with (tmp_path / "file").open("w+b") as file:
        yield file.fileno()


def test_it_is_brought_to_the_disk_now_and_then(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(guarded_file, "_FLUSH", 1000)
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(os.fstat(fd).st_size))
    guarded = GuardedFile(fd)
    for number in range(10):
        guarded.put(bytes(300), 300 * number)
        guarded.flush_behind(300)
    assert synced == [1200, 2400]


def test_threads_that_write_do_not_wait_for_the_one_that_flushes(
    fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded_file, "_FLUSH", 1000)
    guarded = GuardedFile(fd)
    others_went_on: list[bool] = []

    def slow(_: int) -> None:
        other = Thread(target=lambda: guarded.flush_behind(5000))
        other.start()
        other.join(10)
        others_went_on.append(not other.is_alive())

    monkeypatch.setattr(os, "fsync", slow)
    guarded.flush_behind(1000)
    assert others_went_on == [True]


def test_a_refusal_of_the_disk_is_kept(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(guarded_file, "_FLUSH", 1)
    monkeypatch.setattr(os, "fsync", refuse)
    guarded = GuardedFile(fd)
    with pytest.raises(OSError, match="No space left"):
        guarded.flush_behind(1)
    with pytest.raises(OSError, match="No space left"):
        guarded.check()
    with pytest.raises(OSError, match="No space left"):
        guarded.put(b"more", 0)
