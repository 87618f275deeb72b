"""What a worker tells its keeper, and what it does without one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cosinterp.jobs import telling
from cosinterp.jobs.telling import PIPE, tell, watch_keeper

_PATIENCE = 20.0
_ONE = """
import sys, time
from cosinterp.jobs.telling import tell, watch_keeper
watch_keeper()
watch_keeper()
import os
assert "COSINTERP_JOB_PIPE" not in os.environ
for done in range(1000):
    tell(description="x", done=done, total=999)
tell(sample="maze-1", total=None)
{then}
"""


class Worker:
    """A process that tells, and our end of the line to it."""

    def __init__(self, then: str, folder: Path) -> None:
        self.line, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ONE.format(then=then)],
            pass_fds=[theirs.fileno()],
            env={**os.environ, PIPE: str(theirs.fileno()), "COSINTERP_JOB": str(folder)},
            cwd=Path(__file__).parents[3],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        theirs.close()
        self.line.settimeout(_PATIENCE)

    def told(self) -> list[dict[str, Any]]:
        said = b""
        while new := self.line.recv(2**16):
            said += new
        return [json.loads(line) for line in said.splitlines()]


@pytest.fixture
def _no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_line", None)


def test_what_is_told_is_put_together_and_the_last_of_it_arrives(tmp_path: Path) -> None:
    worker = Worker("", tmp_path)
    told = worker.told()
    assert worker.process.wait(_PATIENCE) == 0
    assert told[-1] == {"description": "x", "done": 999, "total": None, "sample": "maze-1"}
    # A thousand things were said, and a few of them sent.
    assert len(told) <= 3
    worker.line.close()


def test_a_keeper_that_does_not_listen_holds_nothing_up(tmp_path: Path) -> None:
    # Never read, though far more is said than a line holds.
    then = """
from cosinterp.jobs import telling
for done in range(3000):
    tell(done=done, text="y" * 1000)
    telling._line._say()
"""
    worker = Worker(then, tmp_path)
    assert worker.process.wait(_PATIENCE) == 0, worker.process.stderr
    lines = worker.line.recv(2**24).split(b"\n")
    assert json.loads(lines[1])["text"] == "y" * 1000
    worker.line.close()


def test_without_its_keeper_a_worker_is_interrupted_and_prints_into_the_log(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("before\n")
    then = """
try:
    time.sleep(60)
except KeyboardInterrupt:
    sys.stderr.write("tidied up\\n")
    sys.exit(130)
"""
    worker = Worker(then, tmp_path)
    worker.line.recv(1)
    worker.line.close()
    assert worker.process.wait(_PATIENCE) == 130
    assert (tmp_path / "log.txt").read_text() == (
        "before\nthe keeper of this job is gone: stopping\ntidied up\n"
    )


def test_a_worker_that_does_not_listen_to_ctrl_c_is_ended_without_its_keeper(tmp_path: Path) -> None:
    then = """
import signal
from cosinterp.jobs import telling
telling._STAGES = ((signal.SIGINT, 0.1), (signal.SIGTERM, 0.1), (signal.SIGKILL, 0.0))
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
tell(ready=True)
time.sleep(60)
"""
    worker = Worker(then, tmp_path)
    while b"ready" not in worker.line.recv(2**16):
        pass
    worker.line.close()
    assert worker.process.wait(_PATIENCE) == -signal.SIGKILL


@pytest.mark.usefixtures("_no_line")
@pytest.mark.parametrize("given", ["", "x", "-1", "99999", "file"])
def test_what_is_no_line_is_left_alone(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that a job's command starts finds the variable, perhaps, and not what it names."""
    with (tmp_path / "file").open("w") as file:
        monkeypatch.setenv(PIPE, str(file.fileno()) if given == "file" else given)
        watch_keeper()
        assert PIPE not in os.environ
        tell(done=1)
        assert telling._line is None
        file.flush()
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.usefixtures("_no_line")
def test_telling_costs_next_to_nothing_outside_a_job() -> None:
    started = time.process_time()
    for done in range(10_000):
        tell(done=done)
    # A hundred times what it takes: that it does no work, not how fast it is.
    assert time.process_time() - started < 1
