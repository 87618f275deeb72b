"""Works that need no model, for tests of executors."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosinterp.errors import UserError
from cosinterp.executors.executor import Later, Tell


@dataclass(frozen=True)
class Doing:
    """Opens as a function that does what a task's words say; `folder` takes notes of what happened."""

    folder: Path

    def open(self, device: str | None) -> Callable[[str, Tell], object]:
        note(self.folder, "opened", os.getpid())
        return _Opened(self.folder, device)


class _Opened:
    def __init__(self, folder: Path, device: str | None) -> None:
        self._folder = folder
        self._device = device

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        note(self._folder, "left", "" if kind is None else kind.__name__)

    def __call__(self, task: str, tell: Tell) -> Any:
        word, _, argument = task.partition(" ")
        note(self._folder, "began", task)
        return getattr(self, f"_{word}")(argument, tell)

    def _upper(self, text: str, tell: Tell) -> str:
        tell(f"about to make {text} large")
        return text.upper()

    def _together(self, words: str, tell: Tell) -> tuple[str | None, str | None]:
        """Where it is done, once as many tasks as the first word says are being done."""
        until = time.monotonic() + 60
        while sum(line.startswith("began") for line in notes(self._folder)) < int(words[0]):
            assert time.monotonic() < until
            time.sleep(0.02)
        return self._device, os.environ.get("OMP_NUM_THREADS")

    def _die(self, times: str, tell: Tell) -> str:
        if count(self._folder, f"began die {times}") <= int(times):
            print("my last words", file=sys.stderr, flush=True)  # noqa: T201
            os.kill(os.getpid(), signal.SIGKILL)
        return "alive"

    def _crash(self, number: str, tell: Tell) -> None:
        print("my last words", file=sys.stderr, flush=True)  # noqa: T201
        signal.raise_signal(int(number))

    def _mistake(self, text: str, tell: Tell) -> None:
        raise UserError(f"this is yours: {text}")

    def _bug(self, text: str, tell: Tell) -> None:
        raise LookupError(f"this is ours: {text}")

    def _later(self, text: str, tell: Tell) -> Later[str]:
        def wait() -> str:
            note(self._folder, "waited", text)
            if text == "bad":
                raise UserError("later it failed")
            return text

        return Later(wait)

    def _sleep(self, seconds: str, tell: Tell) -> None:
        try:
            tell("asleep")
            time.sleep(float(seconds))
        finally:
            note(self._folder, "woke", seconds)

    def _stubborn(self, seconds: str, tell: Tell) -> None:
        until = time.monotonic() + float(seconds)
        words = ["asleep"]
        while time.monotonic() < until:
            try:
                while words:
                    tell(words.pop())
                time.sleep(0.05)
            except KeyboardInterrupt:
                note(self._folder, "interrupted", "")

    def _print(self, text: str, tell: Tell) -> None:
        print(text)  # noqa: T201
        print(f"30%\r60%\r{text} in the end", file=sys.stderr)  # noqa: T201

    def _flood(self, lines: str, tell: Tell) -> None:
        for number in range(int(lines)):
            print(f"{number} {'.' * 100}")  # noqa: T201


@dataclass(frozen=True)
class Unopened:
    """Cannot be opened: by a mistake of the user, a bug, or because the process dies."""

    how: str

    def open(self, device: str | None) -> Callable[[str, Tell], str]:
        if self.how == "dies":
            os.kill(os.getpid(), signal.SIGSEGV)
        raise UserError("no such model") if self.how == "mistake" else LookupError("no such line")


@dataclass(frozen=True)
class Crowded:
    """Dies while it is opened if another worker is being opened too, as where memory holds one model."""

    folder: Path

    def open(self, device: str | None) -> Callable[[str, Tell], None]:
        own = self.folder / f"opening-{os.getpid()}"
        own.touch()
        time.sleep(0.5)
        is_alone = list(self.folder.glob("opening-*")) == [own]
        time.sleep(0.5)
        own.unlink()
        if not is_alone:
            os.kill(os.getpid(), signal.SIGKILL)
        note(self.folder, "opened", os.getpid())
        return lambda task, tell: time.sleep(1)


class Unpicklable(str):
    """A task that shows only when it is sent that it cannot be done."""

    def __reduce__(self) -> Any:
        raise UserError("the image has changed")


def note(folder: Path, what: str, more: object) -> None:
    """Append a line to the notes."""
    with (folder / "notes").open("a") as file:
        file.write(f"{what} {more}\n")


def notes(folder: Path) -> list[str]:
    """All lines."""
    path = folder / "notes"
    return path.read_text().splitlines() if path.exists() else []


def count(folder: Path, line: str) -> int:
    """How often a line was noted."""
    return notes(folder).count(line)
