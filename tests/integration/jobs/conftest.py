"""A home for jobs, whose workers may be those of `acting`, and nothing left of them afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner, Result

from cosinterp.cli import app
from cosinterp.cli.console import err, out
from cosinterp.jobs.home import HOME
from cosinterp.jobs.job import Job
from cosinterp.jobs.launching import submit
from cosinterp.jobs.limits import PATIENCE, PER_GPU, WITHOUT_GPU
from cosinterp.jobs.record import read_record
from cosinterp.jobs.status import RECORD
from cosinterp.jobs.telling import FOLDER

ROOT = Path(__file__).parents[3]
ACTING = Path(__file__).parent / "acting"
Act = Callable[..., Job]


def processes_of(home: Path) -> list[psutil.Process]:
    """The processes of all jobs in a home: what has its folder in its words or its environment."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            words = [*process.cmdline(), process.environ().get(FOLDER, "")]
            if process.pid != os.getpid() and any(word.startswith(str(home)) for word in words):
                found.append(process)
    return [process for process in found if process.is_running() and process.status() != "zombie"]


def keeper_of(job: Job) -> psutil.Process:
    """The process that keeps a job, which is its keeper's once it waits or runs."""
    record = read_record(job.path / RECORD)
    assert record is not None
    return psutil.Process(record.keeper.pid)


def left_of(home: Path, patience: float = 1.0) -> list[psutil.Process]:
    """The processes that are left of jobs that have ended, when their keepers have had a moment to go."""
    until = time.monotonic() + patience
    while (left := processes_of(home)) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def run(*words: object) -> Result:
    """Run ``cosinterp WORDS...`` in this process."""
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, [str(word) for word in words])


def follow(job: Job) -> subprocess.Popen[str]:
    """``cosinterp jobs logs -f`` as a terminal would start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "cosinterp", "jobs", "logs", "-f", job.id],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background inherits that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def story(job: Job) -> list[str]:
    """What happened to a job, without what depends on how long it took."""
    return [event.event for event in job.events() if event.event not in ("progress", "machine")]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home of this test's jobs."""
    folder = tmp_path / "home"
    monkeypatch.setenv(HOME, str(folder))
    monkeypatch.setenv("PYTHONPATH", str(ACTING))
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", PER_GPU, WITHOUT_GPU, PATIENCE):
        monkeypatch.delenv(name, raising=False)
    yield folder
    for process in processes_of(folder):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


@pytest.fixture
def act(home: Path) -> Act:
    """Starts a job whose worker does one of `acting.acts`, and watches it no longer than it takes to live."""

    def start(name: str, *words: object, watched: float = 0.0) -> Job:
        return submit(["mazes", name, *map(str, words)], watched=watched)

    return start


@pytest.fixture
def forced_colours(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment that would have bars drawn into a log."""
    # The consoles of this process look at it only once.
    for console in (out, err):
        console.cache_clear()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    yield
    for console in (out, err):
        console.cache_clear()
