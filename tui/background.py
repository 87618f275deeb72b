"""Blocking reads away from the screen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Request = TypeVar("Request")


class LatestReader(Generic[Request]):
    """One thread that does the last thing asked of it, and drops what was asked before it came to that.

    It is a daemon thread of its own and not a Textual worker: those are waited for when the app ends, and a
    read from a file system that has died never comes back.
    """

    def __init__(self, name: str, read: Callable[[Request], None]) -> None:
        self._read = read
        self._asked: list[Request] = []
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    @property
    def overtaken(self) -> bool:
        """Whether something else is asked for by now, or nothing any more: a long read then leaves off."""
        return self._closed or bool(self._asked)

    def ask(self, request: Request) -> None:
        """Have ``request`` read next, in place of any that still waits."""
        with self._changed:
            self._asked[:] = [request]
            self._changed.notify()
        if not self._thread.is_alive() and not self._closed:
            self._thread.start()

    def close(self) -> None:
        """Ask for nothing any more; the thread ends as soon as what it reads lets it."""
        with self._changed:
            self._closed = True
            self._asked.clear()
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._asked or self._closed)
                if self._closed:
                    return
                request = self._asked.pop()
            self._read(request)
