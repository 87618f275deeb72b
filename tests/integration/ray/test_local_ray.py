"""A Ray that is started for one command: what it listens on, and that nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from cosinterp.executors.ray_watcher import OWNER, clean_up, processes_of

ROOT = Path(__file__).parents[3]


def start(notes: Path) -> subprocess.Popen[str]:
    """Start the program that works until it is stopped."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.ray.endless", notes],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As a terminal starts it, so that signals to its group are not for the tests.
        start_new_session=True,
    )


def of_session(leader: int) -> list[psutil.Process]:
    """The living processes of a session: not even a change of title takes one out of it."""
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError, psutil.Error):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def words_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


class Program:
    """A program with a Ray of its own, whose two workers are at work.

    Attributes:
        process: it.
        ray: the processes of its Ray.
        folder: of its Ray.
    """

    def __init__(self, notes: Path) -> None:
        self.process = start(notes)
        assert self.process.stdout is not None
        workers = [psutil.Process(int(self.process.stdout.readline())) for _ in range(2)]
        self.folder = Path(workers[0].environ()[OWNER])
        self.ray = processes_of(str(self.folder))
        assert set(workers) <= set(self.ray)
        assert {worker.nice() for worker in workers} == {psutil.Process(self.process.pid).nice()}

    def assert_gone(self, seconds: float) -> None:
        """Nothing of its Ray is there, at most so many seconds later."""
        _, left = psutil.wait_procs(self.ray, timeout=seconds)
        assert not left
        deadline = time.monotonic() + seconds
        while self.folder.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not self.folder.exists()
        assert not processes_of(str(self.folder))
        assert not of_session(self.process.pid)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    started = Program(tmp_path)
    yield started
    started.process.kill()
    started.process.communicate()
    clean_up(str(started.folder))


def test_it_listens_on_the_loopback_address_alone_and_dies_with_the_program(program: Program) -> None:
    names = [" ".join(process.cmdline()) for process in program.ray]
    assert any("gcs_server" in name for name in names)
    assert any("raylet" in name for name in names)
    # The watcher has to know them once the raylet, which would end them, is gone.
    assert any("ray::DashboardAgent" in name for name in names)
    listening = [
        connection.laddr.ip
        for process in [psutil.Process(program.process.pid), *program.ray]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN or not connection.raddr
    ]
    assert listening
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    # What other users of the machine need to talk to it, or to see what it writes.
    environments = [process.environ() for process in program.ray]
    assert all(variables["RAY_AUTH_TOKEN"] for variables in environments if OWNER in variables)
    assert program.folder.stat().st_mode & 0o077 == 0

    program.process.kill()
    program.assert_gone(seconds=10)


def test_an_interrupt_stops_the_tasks_and_ends_it(program: Program, tmp_path: Path) -> None:
    # To all processes of the terminal, as Ctrl-C does.
    os.killpg(program.process.pid, signal.SIGINT)
    said, wrong = program.process.communicate(timeout=60)

    assert program.process.returncode == 128 + signal.SIGINT or program.process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in wrong
    program.assert_gone(seconds=0)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["<class 'KeyboardInterrupt'>"] * 2
    assert said == ""


def test_an_interrupt_while_it_starts_comes_once_it_is_there_and_leaves_nothing(tmp_path: Path) -> None:
    process = start(tmp_path)
    try:
        # One of Ray's servers is there, and others are to come.
        while not any("gcs_server" in " ".join(words_of(one)) for one in of_session(process.pid)):
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        said, wrong = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()

    assert process.returncode in (128 + signal.SIGINT, -signal.SIGINT)
    assert wrong.rstrip().endswith("KeyboardInterrupt")
    assert "Exception ignored" not in wrong
    assert said == ""
    assert not list(tmp_path.iterdir())
    assert not of_session(process.pid)
