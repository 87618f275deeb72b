"""What is read of one job again and again: what happened to it, the end of its log. All of it may block."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cosinterp.errors import JobError
from cosinterp.jobs.account import Attempt, attempts_of, lines_of
from cosinterp.jobs.events import Event, new_events
from cosinterp.jobs.job import Job
from cosinterp.jobs.outcome import Outcome, outcome_of
from cosinterp.jobs.status import EVENTS
from cosinterp.jobs.texts import plain

if TYPE_CHECKING:
    from cosinterp.jobs.spec import JobSpec
    from cosinterp.jobs.status import Status

_Pairs = list[tuple[float, float]]
_TAIL = 2**16
_TAIL_LINES = 200
_OF_THE_COMMAND_LINE = ("log", "to go on")


@dataclass(frozen=True)
class Metrics:
    """What an attempt took and did, over time: pairs of a time (seconds since the epoch) and a value.

    Attributes:
        rate: units a second.
        host_memory: bytes.
        gpu_memory: bytes on all its GPUs.
        gpu_use: per cent, of all its GPUs on average.
        unit: of the rate.
    """

    rate: tuple[tuple[float, float], ...] = ()
    host_memory: tuple[tuple[float, float], ...] = ()
    gpu_memory: tuple[tuple[float, float], ...] = ()
    gpu_use: tuple[tuple[float, float], ...] = ()
    unit: str | None = None


@dataclass(frozen=True)
class Detail:
    """What is shown of one job beside its line in the table.

    Attributes:
        status: how it stood when this was read.
        facts: what is told of it: pairs of a name and a text.
        metrics: of its last attempt.
        log: the last lines that it printed, without control codes.
        outcome: what it leads to.
        spec: its words.
    """

    status: Status
    facts: tuple[tuple[str, str], ...]
    metrics: Metrics
    log: tuple[str, ...]
    outcome: Outcome
    spec: JobSpec


class Following:
    """One job, read again and again; each time only what has come since.

    Args:
        path: its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._job = Job(path)
        self._new: Iterator[list[Event]] = new_events(path / EVENTS)
        self._events: list[Event] = []
        self._series = _Series()
        self._outcome: Outcome | None = None
        self._log: tuple[str, ...] = ()
        self._log_seen: tuple[int, int] | None = None

    def read(self, now: float) -> Detail:
        """What is known of it at a moment.

        Raises:
            JobError: its folder is gone, or damaged.
        """
        status = self._job.status()
        if self._outcome is None:
            self._outcome = outcome_of(self._job.spec)
        try:
            self._take(next(self._new))
            self._read_log()
        except OSError as error:
            raise JobError(f"{error.filename or self.path}: {error.strerror}") from None
        attempts: list[Attempt] = attempts_of(self._events)
        told = lines_of(self._job, status, attempts, self._outcome.main, now)
        facts = tuple((name, text) for name, text in told if name not in _OF_THE_COMMAND_LINE)
        return Detail(status, facts, self._series.metrics(), self._log, self._outcome, self._job.spec)

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if event.event in ("progress", "machine"):
                self._series.add(event)
            else:
                self._events.append(event)

    def _read_log(self) -> None:
        try:
            found = self._job.log_path.stat()
        except FileNotFoundError:
            self._log = ()
            return
        seen = (found.st_size, found.st_mtime_ns)
        if seen != self._log_seen:
            self._log = last_lines(self._job.log_path, _TAIL_LINES)
            self._log_seen = seen


def last_lines(path: Path, count: int) -> tuple[str, ...]:
    """The last lines of a text file, however large it is; see `plain`.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        begin = max(0, size - _TAIL)
        file.seek(begin)
        text = file.read(_TAIL).decode(errors="replace")
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    if begin and len(lines) > 1:
        # Its beginning is not there.
        del lines[0]
    return tuple(map(shown, lines[-count:]))


def shown(line: str) -> str:
    """A line of a log as it is shown: without control codes, tabs as blanks."""
    # Tables are filled up with blanks, of which a narrow screen would make empty lines.
    return plain(line).expandtabs().rstrip(" ")


@dataclass
class _Series:
    """The metrics of the last attempt as they come in."""

    attempt: int = 0
    rate: _Pairs = field(default_factory=list)
    host_memory: _Pairs = field(default_factory=list)
    gpu_memory: _Pairs = field(default_factory=list)
    gpu_use: _Pairs = field(default_factory=list)
    unit: str | None = None

    def add(self, event: Event) -> None:
        if event.attempt != self.attempt:
            self.__init__(event.attempt)
        told = event.details
        self._note(self.rate, event.time, [told.get("rate")])
        self.unit = told.get("unit", self.unit)
        self._note(self.host_memory, event.time, [told.get("host_memory")])
        gpus = told.get("gpus")
        known = [gpu for gpu in gpus if isinstance(gpu, dict)] if isinstance(gpus, list) else []
        self._note(self.gpu_memory, event.time, [gpu.get("memory") for gpu in known])
        self._note(self.gpu_use, event.time, [gpu.get("utilization") for gpu in known], mean=True)

    def metrics(self) -> Metrics:
        return Metrics(
            tuple(self.rate), tuple(self.host_memory), tuple(self.gpu_memory), tuple(self.gpu_use), self.unit
        )

    @staticmethod
    def _note(series: _Pairs, when: float, values: list[object], *, mean: bool = False) -> None:
        numbers = [float(value) for value in values if isinstance(value, (int, float))]
        if numbers:
            series.append((when, sum(numbers) / (len(numbers) if mean else 1)))
