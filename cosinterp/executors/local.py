"""The executor of this machine: one process a device."""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any, Generic

from cosinterp.errors import UserError
from cosinterp.executors import messages
from cosinterp.executors.executor import (
    MOST_TRIES,
    Failed,
    Finished,
    Happened,
    Task,
    Told,
    Value,
    Work,
    WorkerError,
)
from cosinterp.executors.process import WorkerProcess
from stores.interrupts import interrupts_deferred

PATIENCE = 10.0
"""Seconds that stopped workers have to clean up; then they are killed."""

# How many lines of a worker are told from new ones.
_REMEMBERED = 500
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

Say = Callable[[str, str], None]


def say_on_stderr(device: str, line: str) -> None:
    """Print a line of a worker to standard error, with its device before it."""
    sys.stderr.write(f"[{device}] {line}\n")


class LocalExecutor:
    """Has tasks done by one process a device on this machine.

    Workers end when the driver ends, however it ends. Processor cores are shared out among them, unless
    ``OMP_NUM_THREADS`` says how many threads each has.

    Args:
        devices: one worker each: "cuda:0", "cuda:2"; "cpu" as often as there are to be workers.
        say: shown what workers print: (device, line), each line once in a worker's life, and only that of one
            worker where others print it too.
    """

    def __init__(self, devices: Sequence[str | None], *, say: Say = say_on_stderr) -> None:
        if not devices:
            raise ValueError("an executor needs a device")
        self._devices = list(devices)
        self._say = say

    @property
    def workers(self) -> int:
        """How many tasks are done at once."""
        return len(self._devices)

    def run(
        self, work: Work[Task, Value], tasks: Sequence[Task]
    ) -> Generator[Happened[Task, Value], None, None]:
        """As `Executor.run`."""
        if not tasks:
            return
        crew = _Crew(work, tasks, self._devices[: len(tasks)], self._say)
        with closing(crew):
            yield from crew.work()
            crew.dismiss()


@dataclass
class _Seat:
    """A device, and the worker that serves it.

    Attributes:
        device: of the seat.
        process: of the worker; None: there is none now.
        tasks: the numbers of those that it was given and that are not done.
        is_idle: whether it waits for a task.
        has_opened: whether this worker has opened the work.
        is_leaving: whether it ends by itself: its last task failed by a fault of ours.
        failures: workers in a row that died while they opened the work.
        is_held: whether the next worker has to wait until no other is opening the work.
        said: the last lines of the worker that is here, or was last.
    """

    device: str | None
    process: WorkerProcess | None = None
    tasks: list[int] = field(default_factory=list)
    is_idle: bool = False
    has_opened: bool = False
    is_leaving: bool = False
    failures: int = 0
    is_held: bool = False
    said: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    @property
    def is_opening(self) -> bool:
        return self.process is not None and not self.has_opened

    @property
    def name(self) -> str:
        return self.device or "worker"


class _Crew(Generic[Task, Value]):
    """The workers of one run, and what is left to do."""

    def __init__(
        self, work: Work[Task, Value], tasks: Sequence[Task], devices: Sequence[str | None], say: Say
    ) -> None:
        self._work = pickle.dumps(work)
        self._tasks = tasks
        self._say = say
        self._waiting = deque(range(len(tasks)))
        self._left = set(range(len(tasks)))
        self._tries = [0] * len(tasks)
        self._seats = [_Seat(device) for device in devices]
        self._environment = _environment(len(devices))

    def work(self) -> Generator[Happened[Task, Value], None, None]:
        for seat in self._seats:
            self._start(seat)
        while self._left:
            by_connection: dict[Any, _Seat] = {}
            by_output: dict[Any, _Seat] = {}
            for seat in self._seats:
                if seat.process is not None:
                    by_connection[seat.process.connection] = seat
                    by_output[seat.process.output] = seat
            # A worker that ends by itself says no more, and its output ends before its connection is read.
            for ready in wait([*by_connection, *by_output]):
                if ready in by_output:
                    self._show(by_output[ready])
                else:
                    yield from self._heard(by_connection[ready])
                    self._release()

    def dismiss(self) -> None:
        """Let the workers end, which have nothing to do any more."""
        for seat in self._seats:
            if seat.process is not None:
                seat.process.send(messages.End())
        self._wait()

    def close(self) -> None:
        """Stop the workers that there are, and wait until there are none."""
        try:
            for seat in self._seats:
                if seat.process is not None:
                    seat.process.send(messages.Stop())
            self._wait()
        finally:
            # Also where somebody is tired of waiting, and interrupts once more.
            with interrupts_deferred():
                for seat in self._seats:
                    self._leave(seat, kill=True)

    def _wait(self) -> None:
        until = time.monotonic() + PATIENCE
        for seat in self._seats:
            process = seat.process
            # What it prints is read meanwhile: a full pipe would keep it from ending.
            while process is not None and not process.wait(0.02) and time.monotonic() < until:
                self._show(seat)
            if process is not None and process.wait(0):
                self._leave(seat)

    def _leave(self, seat: _Seat, kill: bool = False) -> None:
        process = seat.process
        if process is None:
            return
        if kill:
            process.kill()
        self._show(seat)
        process.close()
        seat.process = None

    def _start(self, seat: _Seat) -> None:
        begin = messages.Begin(self._work, seat.device)
        # A process that is there, but not known here, could not be stopped.
        with interrupts_deferred():
            seat.process = WorkerProcess(begin, self._environment)
        seat.tasks, seat.is_idle, seat.has_opened, seat.is_leaving = [], False, False, False
        seat.said.clear()

    def _show(self, seat: _Seat) -> None:
        for line in [] if seat.process is None else seat.process.lines():
            if not any(line in other.said for other in self._seats):
                self._say(seat.name, line)
            if line not in seat.said:
                seat.said.append(line)

    def _heard(self, seat: _Seat) -> Generator[Happened[Task, Value], None, None]:
        assert seat.process is not None
        answer = seat.process.receive()
        match answer:
            case None:
                yield from self._gone(seat)
            case messages.Wants():
                seat.has_opened, seat.failures = True, 0
                yield from self._give(seat)
            case messages.Message(number, content):
                yield Told(self._tasks[number], content)
            case messages.Done(number, value):
                self._over(seat, number)
                yield Finished(self._tasks[number], value)
            case messages.Undone(number, error, is_users):
                self._over(seat, number)
                seat.is_leaving = seat.is_leaving or not is_users
                yield Failed(self._tasks[number], error, is_users)
            case messages.CannotOpen(error, is_users):
                raise UserError(f"{seat.name}: {error}") if is_users else WorkerError(f"{seat.name}: {error}")

    def _over(self, seat: _Seat, number: int) -> None:
        seat.tasks.remove(number)
        self._left.discard(number)

    def _give(self, seat: _Seat) -> Generator[Happened[Task, Value], None, None]:
        """Give a worker the next task, or have it finish what is under way."""
        assert seat.process is not None
        seat.is_idle = True
        while self._waiting and seat.is_idle:
            number = self._waiting.popleft()
            try:
                content = pickle.dumps(self._tasks[number])
            except UserError as error:
                # Such as a first image that has changed since.
                self._left.discard(number)
                yield Failed(self._tasks[number], str(error), True)
                continue
            seat.tasks.append(number)
            seat.is_idle = False
            seat.process.send(messages.Task(number, content, alone=self._tries[number] > 0))
        if seat.is_idle:
            seat.process.send(messages.Idle())

    def _gone(self, seat: _Seat) -> Generator[Happened[Task, Value], None, None]:
        """A worker has ended: its tasks are for others, and it for a new one to replace."""
        assert seat.process is not None
        # All that it printed is there to be read only then.
        seat.process.end()
        self._show(seat)
        how = seat.process.ended()
        given = list(seat.tasks)
        if not seat.is_leaving:
            self._say(seat.name, f"the worker is gone: {how}")
        if not seat.has_opened:
            seat.failures += 1
            if seat.failures == MOST_TRIES:
                raise WorkerError(f"{seat.name}: {MOST_TRIES} workers died while they got ready, {how}")
        self._leave(seat)
        again = []
        for number in given:
            # Which of two it died of is not known. Each is tried again by itself.
            self._tries[number] += not seat.is_leaving
            if self._tries[number] < MOST_TRIES:
                again.append(number)
            else:
                self._left.discard(number)
                yield Failed(self._tasks[number], f"its worker died {MOST_TRIES} times, {how}", False)
        self._waiting.extendleft(reversed(again))
        for other in self._seats:
            if other.is_idle and other.process is not None and self._waiting:
                yield from self._give(other)
        # Where memory does not hold several models while they are loaded, it may hold one after another.
        seat.is_held = not seat.has_opened
        if not seat.is_held:
            self._start_if_needed(seat)

    def _release(self) -> None:
        """Start a worker that had to wait, if none is opening the work."""
        if not any(seat.is_opening for seat in self._seats):
            for seat in [seat for seat in self._seats if seat.is_held][:1]:
                seat.is_held = False
                self._start_if_needed(seat)

    def _start_if_needed(self, seat: _Seat) -> None:
        if self._waiting:
            self._start(seat)


def _environment(workers: int) -> dict[str, str]:
    """That of the workers: the driver's, with each its share of the processor's cores."""
    import joblib

    environment = dict(os.environ)
    if _THREADS[0] not in environment and workers > 1:
        # Of the cores that we may use: by affinity, and by what a container is given.
        share = max(1, joblib.cpu_count() // workers)
        environment.update(dict.fromkeys(_THREADS, str(share)))
    return environment
