"""How fast a disk is: measured within bounds, and nothing stays behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from cosinterp.planning import disk_speed
from cosinterp.planning.disk_speed import measure_write_speed

MB = 10**6


class Written:
    """Counts what is written, and how often it is brought to the disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes = 0
        self.rounds = 0
        self._pwrite, self._fsync = os.pwrite, os.fsync
        monkeypatch.setattr(disk_speed.os, "pwrite", self.pwrite)
        monkeypatch.setattr(disk_speed.os, "fsync", self.fsync)

    def pwrite(self, fd: int, data: memoryview, place: int) -> int:
        done = self._pwrite(fd, data, place)
        self.bytes += done
        return done

    def fsync(self, fd: int) -> None:
        assert os.fstat(fd).st_size == self.bytes
        self.rounds += 1


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    return Written(monkeypatch)


def ticking(seconds: float) -> Iterator[float]:
    """A clock that goes on by so much each time it is looked at."""
    return (tick * seconds for tick in count())


def test_a_fast_disk_is_measured_until_the_bytes_are_used_up(written: Written, tmp_path: Path) -> None:
    clock = ticking(1e-4)
    speed = measure_write_speed(tmp_path, 2, most_bytes=60 * MB, clock=lambda: next(clock))
    # Rounds of 8, 16 and 32 MB; the next would be 64.
    assert (written.bytes, written.rounds) == (56 * MB, 3)
    assert speed == pytest.approx(32 * MB / 1e-4)


def test_a_slow_disk_is_measured_until_the_time_is_used_up(written: Written, tmp_path: Path) -> None:
    clock = ticking(0.2)
    speed = measure_write_speed(tmp_path, 1, clock=lambda: next(clock))
    # The second round ends after 0.8 s; a third would take 0.4 s more.
    assert (written.bytes, written.rounds) == (24 * MB, 2)
    assert speed == pytest.approx(16 * MB / 0.2)


def test_a_very_slow_disk_is_measured_once(written: Written, tmp_path: Path) -> None:
    clock = ticking(30)
    assert measure_write_speed(tmp_path, 4, clock=lambda: next(clock)) == pytest.approx(8 * MB / 30)
    assert written.rounds == 1


@pytest.mark.parametrize("most_bytes", [1, 3 * MB])
def test_little_space_is_never_exceeded(written: Written, tmp_path: Path, most_bytes: int) -> None:
    assert measure_write_speed(tmp_path, 3, most_bytes=most_bytes) > 0
    assert written.bytes == most_bytes


def test_a_piece_that_is_written_in_parts_is_written_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, place: pwrite(fd, data[:700_001], place))
    seen: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: seen.append(os.fstat(fd).st_size))
    measure_write_speed(tmp_path, 2, most_bytes=8 * MB)
    assert seen == [8 * MB]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")], ids=str)
def test_nothing_stays_behind(
    error: BaseException | type[BaseException], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def failing(fd: int) -> None:
        assert os.fstat(fd).st_nlink == 0
        assert list(tmp_path.iterdir()) == []
        raise error

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(error if isinstance(error, type) else type(error)):
        measure_write_speed(tmp_path, 2, most_bytes=MB)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file or directory"):
        measure_write_speed(tmp_path / "none", 1)
