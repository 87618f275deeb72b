"""What is so of a job now: rewritten in place, and read whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosinterp.jobs.processes import Identity
from cosinterp.jobs.record import SIZE, Record, is_locked, read_record, take_lock, write_record

KEEPER = Identity(pid=1, since="then")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "now.json"


@pytest.fixture
def fd(path: Path) -> Iterator[int]:
    opened = os.open(path, os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


def record(**fields: object) -> Record:
    return Record(attempt=1, phase="running", host="here", keeper=KEEPER, **fields)


def test_a_record_is_read_as_it_was_written(fd: int, path: Path) -> None:
    written = record(devices=["GPU 0"], progress={"done": 3.5, "sample": "maze-1"}, why="✓")
    write_record(fd, written)
    assert read_record(path) == written
    written.phase = "ended"
    written.progress = None
    write_record(fd, written)
    assert read_record(path) == written
    assert written.write == 2


def test_rewriting_takes_no_more_room_whatever_there_is_to_say(fd: int, path: Path) -> None:
    write_record(fd, record())
    long = "ä" * 10_000
    ended = {"time": 1.0, "event": "failed", "attempt": 1, "message": long}
    progress = {f"text-{number}": long for number in range(20)}
    write_record(fd, record(why=long, machine=progress, progress=progress, ended=ended))
    assert path.stat().st_size == SIZE
    read = read_record(path)
    assert read.ended["message"].startswith("äää")
    assert read.ended["event"] == "failed"


@pytest.mark.parametrize("character", ["😀", "\x01", '"', "\\", "\udcff", "ä", "x"])
def test_a_message_of_any_characters_fits(character: str, fd: int, path: Path) -> None:
    message = character * 1000
    ended = {"time": 1.0, "event": "failed", "attempt": 1, "message": message, "exit_code": 2}
    progress = dict.fromkeys(("description", "unit", "sample", "seeds"), message[:200])
    write_record(fd, record(why=message, progress=progress, devices=[message], ended=ended))
    assert path.stat().st_size == SIZE
    read = read_record(path)
    assert read.ended["event"] == "failed"
    # Half of a character is none.
    shown = "?" if character == "\udcff" else character
    # What is said of the cut takes some of it.
    assert set(read.ended["message"].rstrip("…")) == {shown}
    assert 100 < len(read.ended["message"]) <= 1000
    assert len(json.dumps(read.ended["message"], ensure_ascii=False).encode()) <= 1002


def test_a_short_text_is_kept_as_it_is(fd: int, path: Path) -> None:
    said = "naïve ✓ 😀\n\x1b"
    write_record(fd, record(why=said + "x" * 900))
    assert read_record(path).why == said + "x" * 900


def test_a_record_that_is_being_rewritten_is_none(fd: int, path: Path) -> None:
    first = record(why="first")
    write_record(fd, first)
    before = path.read_bytes()
    # As long as the first, so that what is mixed of both is JSON, and only the counts of writes tell.
    first.why = "other"
    write_record(fd, first)
    after = path.read_bytes()
    cut = before.index(b"first")
    for mixed in (before[:cut] + after[cut:], after[:cut] + before[cut:]):
        os.pwrite(fd, mixed, 0)
        assert read_record(path) is None
    os.pwrite(fd, after, 0)
    assert read_record(path) == first


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\0" * SIZE])
def test_a_damaged_record_is_none(text: bytes, path: Path) -> None:
    path.write_bytes(text)
    assert read_record(path) is None


def test_no_file_is_no_record(path: Path) -> None:
    assert read_record(path) is None


def test_one_holds_the_lock_until_all_that_have_it_open_are_gone(fd: int, path: Path) -> None:
    assert not is_locked(path)
    assert take_lock(fd)
    handed_over = os.dup(fd)
    other = os.open(path, os.O_RDWR)
    assert not take_lock(other)
    assert is_locked(path)
    os.close(fd)
    assert not take_lock(other)
    os.close(handed_over)
    assert take_lock(other)
    os.dup2(other, fd)
    os.close(other)
