"""What the app remembers from one start to the next, in ``$COSINTERP_HOME/tui.json``."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from cosinterp.jobs.home import home, make_private_folders, open_private, write_private
from tui.background import LatestReader

T = TypeVar("T")

FILE = "tui.json"
_LOOK = 1.0
"""Seconds that a folder has to answer at the start."""
_LAST_SAVE = 1.0
"""Seconds that the app waits at its end for what is still to be written."""


class Memory:
    """Values by name, each of them JSON; what several apps write at once is all kept, name by name.

    What is put is written by a thread of its own. Without a file, or where the file is none of ours or
    damaged, it begins empty.

    Args:
        file: None: nothing is read or written, as in tests.
        writes: whether it is written; if not, what is put is known until the app ends.
    """

    def __init__(self, file: Path | None = None, *, writes: bool = True) -> None:
        self.on_problem: Callable[[str], object] = lambda problem: None
        """Called, in the writing thread, with `problem`, as long as the memory is not closed."""
        self.problem = ""
        """Why nothing can be written; "": it can."""
        self._file = file
        self._writes = writes and file is not None
        self._values = _read(file) if file is not None else {}
        self._is_closed = False
        self._unsaved: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._writer: LatestReader[None] = LatestReader("memory", lambda _: self._save())

    @classmethod
    def of_user(cls, *, writes: bool = True) -> Memory:
        """That of this user; reads the disk."""
        return cls(home() / FILE, writes=writes)

    def get(self, name: str, default: T) -> T:
        """What is remembered by a name; ``default`` if nothing of its type is."""
        value = self._values.get(name, default)
        return value if type(value) is type(default) else default

    def put(self, name: str, value: Any) -> None:
        """Remember ``value``, which is JSON, by a name such as "runs.filter"."""
        if name in self._values and self._values[name] == value:
            return
        self._values[name] = value
        if self._writes:
            with self._lock:
                self._unsaved[name] = value
            self._writer.ask(None)

    def close(self) -> None:
        """Write what is not written yet, and wait for that a moment, but not for a dead disk."""
        self._is_closed = True
        self._writer.close()
        last = threading.Thread(target=self._save, name="memory's end", daemon=True)
        last.start()
        last.join(_LAST_SAVE)

    def _save(self) -> None:
        # Held to the end of the writing, so that the last one to come waits for what is being written.
        with self._saving:
            with self._lock:
                changes, self._unsaved = self._unsaved, {}
            if not changes or self._file is None:
                return
            try:
                _merge(self._file, changes)
            except OSError as error:
                # What is told once is not told at every key.
                self._writes = False
                self.problem = f"{self._file}: {error.strerror or error}"
                if not self._is_closed:
                    self.on_problem(self.problem)


def is_folder(path: Path) -> bool:
    """Whether there is a folder at a path; one on a disk that does not answer within a moment is none."""
    found: list[bool] = []
    look = threading.Thread(target=lambda: found.append(path.is_dir()), name="the last place", daemon=True)
    look.start()
    look.join(_LOOK)
    return found == [True]


def _merge(file: Path, changes: dict[str, Any]) -> None:
    """Change some names in a file, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    make_private_folders(file.parent)
    with _held(file.with_suffix(".lock")):
        draft = file.with_suffix(f".{os.getpid()}.draft")
        write_private(draft, json.dumps(_read(file) | changes, indent=1).encode() + b"\n")
        draft.replace(file)


def _read(file: Path) -> dict[str, Any]:
    """What is in a file; nothing if there is none, or if it is damaged."""
    try:
        values = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


@contextmanager
def _held(file: Path) -> Iterator[None]:
    """Hold the lock of a file, so that one app after another reads, changes and writes.

    On a file system without locks nothing is held: the one that writes last is right then.

    Raises:
        OSError: the file cannot be made.
    """
    fd = open_private(file, os.O_RDWR)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
        except OSError as error:
            from cosinterp.jobs.record import no_locks

            if not no_locks(error):
                raise
        yield
    finally:
        os.close(fd)
