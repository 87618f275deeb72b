"""A home for jobs, whose workers may be those of `acting`, and nothing left of them afterwards."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from cosinterp.jobs.home import HOME
from cosinterp.jobs.job import Job
from cosinterp.jobs.launching import submit
from cosinterp.jobs.limits import PATIENCE, PER_GPU, WITHOUT_GPU
from cosinterp.jobs.record import read_record
from cosinterp.jobs.status import RECORD
from cosinterp.jobs.telling import FOLDER

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
