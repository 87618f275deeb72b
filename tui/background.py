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
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def ask(self, request: Request) -> None:
        """Have ``request`` read next, in place of any that still waits."""
        with self._changed:
            self._asked[:] = [request]
            self._changed.notify()
        if not self._thread.is_alive():
            self._thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._asked)
                request = self._asked.pop()
            self._read(request)
