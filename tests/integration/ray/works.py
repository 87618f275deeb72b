"""Works for Ray's workers that need no model."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

from cosinterp.errors import TraceError
from cosinterp.executors.executor import Tell, Work

HELD_AT = 3
"""The message after which tasks of `Held` wait."""


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
class Held:
    """Another work, whose tasks wait after their first messages until a file is there."""

    work: Work[Any, Any]
    until: Path

    def open(self, device: str | None) -> HeldTasks:
        return HeldTasks(self.work.open(device), self.until)


class HeldTasks:
    """See `Held`."""

    def __init__(self, opened: Any, until: Path) -> None:
        self._opened = opened
        self._until = until

    def __call__(self, task: Any, tell: Tell) -> Any:
        messages = count(1)

        def tell_and_wait(message: object) -> None:
            tell(message)
            if next(messages) == HELD_AT:
                while not self._until.exists():
                    time.sleep(0.02)

        return self._opened(task, tell_and_wait)

    def __enter__(self) -> HeldTasks:
        self._opened.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._opened.__exit__(*exception)


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
