"""Commands that are started at once, to be killed, interrupted, starved or raced against one another."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
_PATIENCE = 60.0
_SAMPLE = (
    "--prompt",
    "go to the red goal",
    "--name",
    "goal",
    "--height",
    32,
    "--width",
    32,
    "--num-frames",
    5,
)


def trace_of(model: Path, *flags: object) -> tuple[object, ...]:
    """The words that trace the sample "goal", of 3 x 4 x 4 tokens, with the model in a folder."""
    return ("trace", "--model", model, "--device", "cpu", *_SAMPLE, *flags)


def note(text: str) -> None:
    """Say what a test is at, which is shown if it fails."""
    sys.stdout.write(f"{text}\n")


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, or minus the signal that killed it, and all that it printed."""

    code: int
    said: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Command:
    """A command that is running."""

    def __init__(self, workshop: Workshop, pid: int, log: Path) -> None:
        self.pid = pid
        self._workshop = workshop
        self._log = log

    @property
    def said(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def send(self, signum: signal.Signals) -> None:
        """Send it a signal; nothing happens if it has ended."""
        # It may have ended without our having heard of it yet.
        with suppress(ProcessLookupError):
            if self._workshop.status(self.pid) is None:
                os.kill(self.pid, signum)

    def wait_until(self, happened: Callable[[], bool]) -> None:
        """Wait until something has happened; it is an error if the command ends before."""
        deadline = time.monotonic() + _PATIENCE
        while not happened():
            waiting = self._workshop.status(self.pid) is None and time.monotonic() < deadline
            assert waiting or happened(), self.said
            time.sleep(0.002)

    def wait_to_say(self, text: str) -> None:
        """Wait until it has printed ``text``, as `wait_until`."""
        self.wait_until(lambda: text in self.said)

    def end(self, patience: float = _PATIENCE) -> Ended:
        """Wait until it has ended; after ``patience`` seconds it hangs, which is an error."""
        status = self._workshop.status(self.pid, patience)
        if status is None:
            os.kill(self.pid, signal.SIGKILL)
            raise AssertionError(f"the command hangs; it said:\n{self.said}")
        return Ended(os.waitstatus_to_exitcode(status), self.said)


class Workshop:
    """Starts ``cosinterp`` commands as forks of one process that has everything loaded; see `forking`.

    A command is a process of its own, without the seconds that it takes to import torch.
    """

    def __init__(self, models: list[Path], logs: Path) -> None:
        self._logs = logs
        self._count = 0
        self._started: list[int] = []
        self._statuses: dict[int, int] = {}
        self._unread = b""
        words = [sys.executable, "-m", "tests.integration.faults.forking", *map(str, models)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "400"}
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=environment
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._next_started()

    def start(self, *words: object, **faults: Any) -> Command:
        """Start ``cosinterp WORDS...`` with ``faults`` of `forking.FAULTS`."""
        self._count += 1
        log = self._logs / f"{self._count}.txt"
        log.touch()
        request = {"words": [str(word) for word in words], "log": str(log), "faults": faults}
        os.write(self._requests, json.dumps(request).encode() + b"\n")
        return Command(self, self._next_started(), log)

    def run(self, *words: object, **faults: Any) -> Ended:
        """Start a command and wait for its end."""
        return self.start(*words, **faults).end()

    def status(self, pid: int, patience: float = 0) -> int | None:
        """How a command ended, as `os.waitpid` says it; None if it still runs after ``patience`` seconds."""
        deadline = time.monotonic() + patience
        while pid not in self._statuses and self._listen(deadline):
            pass
        return self._statuses.get(pid)

    def close(self) -> None:
        """End the process that forks. Commands that still run are not ended by it."""
        self._process.communicate(timeout=_PATIENCE)

    def _next_started(self) -> int:
        deadline = time.monotonic() + _PATIENCE
        while not self._started:
            assert self._listen(deadline), "the process that forks does not answer"
        return self._started.pop()

    def _listen(self, deadline: float) -> bool:
        """Take in what the process says until ``deadline``; whether it said anything."""
        if not select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        said = os.read(self._answers, 2**16)
        assert said, "the process that forks is gone"
        *whole, self._unread = (self._unread + said).split(b"\n")
        for answer in map(json.loads, whole):
            if "status" in answer:
                self._statuses[answer["pid"]] = answer["status"]
            else:
                self._started.append(answer["pid"])
        return True
