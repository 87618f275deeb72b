"""Processes that rehearse: overtaken, hanging, killed, left alone.

Those here import nothing before they are asked, so that they start at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cosinterp.jobs.own_code import own_environment
from cosinterp.rehearsal import Answer, Rehearsal

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc"),
]
SERVE_COLD = """
from cosinterp.rehearsal.serving import Server, forked
from cosinterp.rehearsal.warming import Warmth
Server(forked, Warmth()).run()
"""
SERVE_FRESH = "from cosinterp.rehearsal.serving import serve\nserve(forks=False)"
COLD, FRESH = ((sys.executable, "-P", "-c", code) for code in (SERVE_COLD, SERVE_FRESH))
GOOD = ("store", "ls", "runs")
BAD = ("store", "ls", "runs", "--stepps", "3")


@pytest.fixture
def rehearsal() -> Iterator[Rehearsal]:
    made = Rehearsal(COLD)
    yield made
    made.close()


@pytest.fixture
def hanging(tmp_path: Path) -> tuple[str, ...]:
    """Words of a trace whose prompt comes from a pipe that nobody writes into."""
    os.mkfifo(tmp_path / "prompt")
    flags = ("--model", "maze-wan", "--store", str(tmp_path / "x"), "--prompt-file", str(tmp_path / "prompt"))
    return ("trace", *flags)


def until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    """The processes that a process has started and that have not ended."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(parent) == pid and state != "Z":
                found.append(int(folder.name))
    return found


def is_gone(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def asked(rehearsal: Rehearsal, words: tuple[str, ...]) -> tuple[threading.Thread, list[Answer | None]]:
    """A thread that asks, and what it hears."""
    heard: list[Answer | None] = []
    thread = threading.Thread(target=lambda: heard.append(rehearsal.ask(words)))
    thread.start()
    return thread, heard


def forks(rehearsal: Rehearsal) -> list[int]:
    return [] if rehearsal.pid is None else children(rehearsal.pid)


def test_a_newer_question_kills_one_that_hangs(rehearsal: Rehearsal, hanging: tuple[str, ...]) -> None:
    first, heard = asked(rehearsal, hanging)
    until(lambda: bool(forks(rehearsal)))
    (old,) = forks(rehearsal)
    answer = rehearsal.ask(BAD)
    assert answer is not None
    assert answer.flag == "--stepps"
    first.join(30)
    assert heard == [None]
    until(lambda: is_gone(old))
    # Nothing of it is left, and the same process goes on answering.
    pid = rehearsal.pid
    assert rehearsal.ask(GOOD) == Answer(True)
    assert rehearsal.pid == pid


def test_who_waits_can_be_sent_away_and_all_of_it_closed(
    rehearsal: Rehearsal, hanging: tuple[str, ...]
) -> None:
    first, heard = asked(rehearsal, hanging)
    until(lambda: bool(forks(rehearsal)))
    old = forks(rehearsal)
    rehearsal.overtake()
    first.join(30)
    second, heard_then = asked(rehearsal, hanging)
    until(lambda: any(fork not in old for fork in forks(rehearsal)))
    pid = rehearsal.pid
    (fork,) = set(forks(rehearsal)) - set(old)
    rehearsal.close()
    second.join(30)
    assert heard + heard_then == [None, None]
    assert pid is not None
    until(lambda: is_gone(pid) and is_gone(fork))
    assert rehearsal.ask(GOOD) is None


def test_a_process_that_is_killed_is_started_anew_once(
    rehearsal: Rehearsal, hanging: tuple[str, ...]
) -> None:
    thread, heard = asked(rehearsal, hanging)
    killed: list[int] = []
    for _ in range(2):
        until(lambda: bool(forks(rehearsal)) and rehearsal.pid not in killed)
        (fork,) = forks(rehearsal)
        assert rehearsal.pid is not None
        killed.append(rehearsal.pid)
        os.kill(killed[-1], signal.SIGKILL)
        # What it has started dies with it.
        until(lambda gone=fork: is_gone(gone))
    thread.join(30)
    assert [answer.message for answer in heard if answer is not None] == [
        "what rehearses commands has ended: signal 9"
    ]
    assert rehearsal.ask(GOOD) == Answer(True)


def test_a_process_that_dies_on_a_question_is_a_bug(rehearsal: Rehearsal, hanging: tuple[str, ...]) -> None:
    thread, heard = asked(rehearsal, hanging)
    until(lambda: bool(forks(rehearsal)))
    os.kill(forks(rehearsal)[0], signal.SIGSEGV)
    thread.join(30)
    (answer,) = heard
    assert answer is not None
    assert not answer.ok
    assert "signal 11" in answer.message
    assert answer.bug
    assert rehearsal.ask(GOOD) == Answer(True)


def test_nothing_is_left_when_who_asks_is_killed(hanging: tuple[str, ...]) -> None:
    asks = f"from cosinterp.rehearsal import Rehearsal\nRehearsal({COLD!r}).ask({hanging!r})"
    process = subprocess.Popen([sys.executable, "-P", "-c", asks], env=own_environment())
    below: list[int] = []

    def started() -> bool:
        below[:] = [pid for child in children(process.pid) for pid in (child, *children(child))]
        return len(below) == 2

    until(started)
    # Ctrl-C of the terminal is sent to a group that they do not belong to.
    assert os.getpgid(process.pid) not in map(os.getpgid, below)
    process.kill()
    process.wait()
    until(lambda: all(map(is_gone, below)))


def test_a_process_that_cannot_fork_starts_fresh_ones(hanging: tuple[str, ...]) -> None:
    rehearsal = Rehearsal(FRESH)
    thread, heard = asked(rehearsal, hanging)
    until(lambda: bool(forks(rehearsal)))
    (old,) = forks(rehearsal)
    answer = rehearsal.ask(BAD)
    assert answer is not None
    assert answer.flag == "--stepps"
    thread.join(30)
    assert heard == [None]
    assert is_gone(old)
    rehearsal.close()


def test_relative_paths_are_of_the_folder_that_is_asked_about(rehearsal: Rehearsal, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text(" ")
    words = ("trace", "--model", "maze-wan", "--store", "x", "--prompt-file", "empty.txt")
    here, there = rehearsal.ask(words), rehearsal.ask(words, tmp_path)
    assert here is not None
    assert there is not None
    assert (here.flag, there.flag) == ("--prompt-file", "--prompt-file")
    assert here.message != there.message
    assert list(tmp_path.iterdir()) == [tmp_path / "empty.txt"]
