"""Folders of jobs for the terminal app to show, planted without running anything.

What is planted is written by the very code that jobs write it with. A job that is to live needs a process
that keeps it: this one, unless another is given. Do not cancel it then: that is told to its keeper.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

from cosinterp.jobs.diary import Diary
from cosinterp.jobs.home import host, open_private, write_private
from cosinterp.jobs.processes import Identity
from cosinterp.jobs.record import Record
from cosinterp.jobs.spec import JobSpec
from cosinterp.jobs.state import State
from cosinterp.jobs.status import RECORD, SPEC
from cosinterp.jobs.telling import LOG

TRACE = ("trace", "--model", "maze-wan", "--dataset", "mazes", "--store", "runs/first", "--seeds", "0-3")
_PHASES = {State.QUEUED: "queued", State.RUNNING: "running", State.CANCELLING: "cancelling"}


@dataclass
class Planted:
    """A job's folder, and the hand that writes on in it."""

    path: Path
    diary: Diary
    done: float = 0.0
    lock: int = field(default=-1)

    @property
    def id(self) -> str:
        return self.path.name

    def go_on(self, steps: float = 7.0, total: float = 1200.0) -> None:
        """Tell progress and memory, as a job does about each second."""
        self.done = min(total, self.done + steps)
        rate = 3.2 + 0.1 * (self.done % 5)
        self.diary.progress(
            {
                "description": "tracing",
                "done": self.done,
                "total": total,
                "unit": "steps",
                "rate": rate,
                "seconds_left": (total - self.done) / rate,
                "sample": f"maze-{int(self.done) // 100}",
                "seeds": "0-3",
            }
        )
        busy = 90 + int(self.done) % 10
        gpu = {"index": 0, "memory": 41_200_000_000 + int(self.done) * 10**7, "utilization": busy}
        self.diary.machine(3_100_000_000 + int(self.done) * 10**6, [gpu])
        self.diary.tick()

    def print(self, text: str) -> None:
        """Print into its log."""
        with (self.path / LOG).open("a") as log:
            log.write(text)

    def end(self, state: State, **details: Any) -> None:
        """Have it end."""
        self.diary.end(state, **details)
        self.close()

    def close(self) -> None:
        """Write no more, and let its lock go."""
        self.diary.close()
        os.close(self.lock)


def plant(
    home: Path,
    name: str,
    words: Sequence[str] = TRACE,
    *,
    cwd: Path | str = "/data",
    age: float = 400.0,
    keeper: int | None = None,
) -> Planted:
    """A job that waits for its turn, asked for ``age`` seconds ago.

    Args:
        home: the folder of `COSINTERP_HOME`.
        keeper: the process that keeps it; this one by default.
    """
    folder = home / "jobs" / name
    folder.mkdir(parents=True, mode=0o700)
    created = time.time() - age
    write_private(folder / SPEC, JobSpec(words=tuple(words), cwd=str(cwd), created=created).as_json())
    os.utime(folder / SPEC, (created, created))
    lock = open_private(folder / RECORD, os.O_RDWR)
    pid = keeper or os.getpid()
    record = Record(attempt=1, phase="starting", host=host(), keeper=Identity.of(pid), session=pid)
    diary = Diary(folder, lock, record)
    diary.note("submitted", words=list(words))
    diary.change(phase="queued", why="4 jobs without a GPU already running")
    return Planted(folder, diary, lock=lock)


def plant_running(home: Path, name: str, words: Sequence[str] = TRACE, **settings: Any) -> Planted:
    """A job that runs, is at 52 % and has printed two lines."""
    job = plant(home, name, words, **settings)
    job.diary.started(Identity.of(os.getpid()), ["GPU 0"])
    job.diary.change(started=time.time() - 390)
    job.go_on(624.0)
    job.print("loading maze-wan\ntracing 300 runs\n")
    return job


def plant_ended(
    home: Path, name: str, state: State, words: Sequence[str] = TRACE, *, took: float = 80.0, **told: Any
) -> Planted:
    """A job that has ended, with what is told of its end: ``message``, ``exit_code``, ..."""
    settings = {key: told.pop(key) for key in ("cwd", "age", "keeper") if key in told}
    job = plant(home, name, words, **settings)
    job.diary.started(Identity.of(os.getpid()), [])
    job.diary.change(started=time.time() - took)
    job.print("loading maze-wan\n")
    job.end(state, **told)
    return job


def plant_many(home: Path, count: int) -> None:
    """So many jobs that have ended."""
    for number in range(count):
        state = State.FINISHED if number % 5 else State.FAILED
        plant_ended(home, f"trace-1123-{number:04d}-kite", state, age=500.0 + 60 * number)


@contextmanager
def running_jobs(home: Path, count: int, pace: float = 1.0) -> Iterator[list[Planted]]:
    """So many jobs that run, go on about each second and print now and then, until the end of a block."""
    jobs = [plant_running(home, f"trace-1123-185{number}-fox", age=400.0 + number) for number in range(count)]
    over = Event()

    def work() -> None:
        turn = 0
        while not over.wait(pace):
            turn += 1
            for number, job in enumerate(jobs):
                job.go_on(3.0 + number)
                if (turn + number) % 4 == 0:
                    job.print(f"maze-{turn}: seeds 0-3 are done\n")

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        yield jobs
    finally:
        over.set()
        thread.join()
        for job in jobs:
            job.close()
