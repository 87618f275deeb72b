"""What may block, away from the screen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from textual.message import Message

Request = TypeVar("Request")


class Crashed(Message):
    """A reading thread met a bug of ours; the app ends with its traceback."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__()


def do(deed: Callable[[], Message], post: Callable[[Message], object]) -> None:
    """Do something that may block in a thread of its own, and post what it says of that.

    Nothing asked later takes its place, as it does with what is only read.

    Args:
        deed: what is to be done; where it meets a bug, `Crashed` is posted.
        post: takes messages from any thread.
    """

    def work() -> None:
        try:
            said = deed()
        except Exception as error:  # noqa: BLE001  it is raised again in the app's own thread
            said = Crashed(error)
        post(said)

    threading.Thread(target=work, name="deed", daemon=True).start()


class LatestReader(Generic[Request]):
    """One thread that does the last thing asked of it, and drops what was asked before it came to that.

    It is a daemon thread of its own and not a Textual worker: those are waited for when the app ends, and a
    read from a file system that has died never comes back.

    Args:
        name: of the thread.
        read: does what is asked.
        post: takes messages from any thread: `Crashed` if ``read`` meets a bug; None: the thread ends with
            that.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[Request], None],
        post: Callable[[Message], object] | None = None,
    ) -> None:
        self._read = read
        self._post = post
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
            try:
                self._read(request)
            except Exception as error:
                if self._post is None:
                    raise
                self._post(Crashed(error))
