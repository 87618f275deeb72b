"""Works for Ray's workers that need no model."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from cosinterp.errors import TraceError
from cosinterp.executors.executor import Tell, Work


@dataclass(frozen=True)
class Squares:
    """Squares numbers, and tells their halves on the way; some numbers it does not like."""

    folder: Path

    def open(self, device: str | None) -> Callable[[int, Tell], tuple[int, int, str | None]]:
        with (self.folder / "opened").open("a") as file:
            file.write(f"{os.getpid()} {device}\n")

        def square(number: int, tell: Tell) -> tuple[int, int, str | None]:
            tell(number / 2)
            if number == 13:
                raise TraceError("13 is no number")
            if number == 14:
                raise ZeroDivisionError("a bug")
            if number == 15 or (number == 16 and self._first(number)):
                os.kill(os.getpid(), signal.SIGKILL)
            return number * number, os.getpid(), device

        return square

    def _first(self, number: int) -> bool:
        try:
            (self.folder / str(number)).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


@dataclass(frozen=True)
class Together:
    """Another work, whose tasks are begun when so many workers have opened it."""

    work: Work[Any, Any]
    folder: Path
    workers: int

    def open(self, device: str | None) -> Any:
        opened = self.work.open(device)
        (self.folder / str(os.getpid())).touch()
        while len(list(self.folder.iterdir())) < self.workers:
            time.sleep(0.02)
        return opened


class Endless:
    """Tells its process, and works until it is stopped; says so then."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, device: str | None) -> EndlessTask:
        return EndlessTask(self._folder)


class EndlessTask:
    """See `Endless`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, task: int, tell: Tell) -> NoReturn:
        tell(os.getpid())
        while True:
            time.sleep(0.02)

    def __enter__(self) -> EndlessTask:
        return self

    def __exit__(self, *exception: object) -> None:
        (self._folder / str(os.getpid())).write_text(str(exception[0]))


class NotHere:
    """A work that cannot be opened."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def open(self, device: str | None) -> NoReturn:
        raise self._error
