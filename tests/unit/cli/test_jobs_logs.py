"""What is shown of a job's log, and that it is followed to its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosinterp.cli import jobs_logs
from cosinterp.cli.jobs_logs import log_lines
from cosinterp.jobs.texts import plain


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_logs, "POLLED_EVERY", 0.001)


@pytest.mark.parametrize(
    ("printed", "seen"),
    [
        ("done: 4 runs", "done: 4 runs"),
        ("\x1b[1;31merror:\x1b[0m no such folder\r\n", "error: no such folder"),
        ("0%|  |\r50%|█ |\r100%|██|", "100%|██|"),
        ("\x1b]0;a title\x07after it", "after it"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[2J\x1b[Hgone\x08\x9b", "gone"),
        ("a\ttab, ümläut, 山", "a\ttab, ümläut, 山"),
    ],
)
def test_a_line_is_shown_without_what_could_change_the_terminal(printed: str, seen: str) -> None:
    assert plain(printed) == seen


@pytest.mark.parametrize(
    ("tail", "shown"), [(None, ["a", "b", "c"]), (2, ["b", "c"]), (0, []), (9, ["a", "b", "c"])]
)
def test_the_last_lines_of_what_is_there(tmp_path: Path, tail: int | None, shown: list[str]) -> None:
    log = tmp_path / "log.txt"
    log.write_text("a\nb\nc\n")
    assert list(log_lines(log, tail, lambda: True)) == shown


def test_a_line_that_was_never_ended_is_shown_at_the_end(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("whole\nKilled")
    assert list(log_lines(log, None, lambda: True)) == ["whole", "Killed"]


def test_no_log_is_no_line(tmp_path: Path) -> None:
    assert list(log_lines(tmp_path / "log.txt", None, lambda: True)) == []


def test_what_is_written_before_the_end_is_shown_however_late(tmp_path: Path) -> None:
    """The job may print between a look at its log and the look at its state that says it is over."""
    log = tmp_path / "log.txt"

    def looks() -> Iterator[bool]:
        yield False
        log.write_bytes("first\nsecönd".encode()[:-3])
        yield False
        with log.open("ab") as file:
            file.write("secönd".encode()[-3:] + b"\nlast\n")
        yield True

    looking = looks()
    shown = list(log_lines(log, None, lambda: next(looking)))
    assert shown == ["first", "secönd", "last"]


def test_lines_are_shown_as_they_come(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.touch()
    over = threading.Event()
    lines = log_lines(log, None, over.is_set)
    with log.open("a") as file:
        for number in range(3):
            file.write(f"{number}\n")
            file.flush()
            assert next(lines) == str(number)
    over.set()
    assert list(lines) == []
