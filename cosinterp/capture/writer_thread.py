"""One thread that does the writing, fed by a queue whose bytes are bounded."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType


class WriterThread:
    """Runs actions in the order in which they are submitted, on one thread of its own.

    Submitting waits while the bytes that queued actions hold would exceed ``budget``. The first exception of
    an action ends the thread and is raised by the next `submit`, or by `close`: nothing waits for ever.

    As a context manager it closes (waits for everything) or, if the block raised, aborts (drops the queue).
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._actions: deque[tuple[Callable[[], object], int]] = deque()
        self._held = 0
        self._closing = False
        self._ended = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        # A daemon, so that no queue keeps a process alive whose main thread has died.
        self._thread = threading.Thread(target=self._work, name="cosinterp-writer", daemon=True)
        self._thread.start()

    def submit(self, action: Callable[[], object], nbytes: int = 0) -> None:
        """Queue ``action``, which holds ``nbytes`` until it is done.

        Raises:
            ValueError: ``nbytes`` exceeds the whole budget.
            BaseException: what an earlier action raised.
        """
        if nbytes > self._budget:
            raise ValueError(f"an action of {nbytes} bytes does not fit a budget of {self._budget}")
        with self._changed:
            while self._error is None and self._held + nbytes > self._budget:
                self._changed.wait()
            self._raise_error()
            if self._closing:
                raise RuntimeError("the writer is closed")
            self._actions.append((action, nbytes))
            self._held += nbytes
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until everything is written and end the thread; raises what an action raised.

        An interrupted wait (Ctrl-C) aborts.
        """
        try:
            self._end()
        except BaseException:
            self.abort()
            raise
        self._raise_error()

    def abort(self) -> None:
        """Drop what is queued, let the action under way finish, and end the thread; raises nothing."""
        with self._changed:
            self._actions.clear()
        self._end()

    def __enter__(self) -> WriterThread:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _end(self) -> None:
        # Not only by Thread.join: that takes a thread for ended once a wait for it was interrupted.
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            while not self._ended:
                self._changed.wait()
        self._thread.join()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            self._run_actions()
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _run_actions(self) -> None:
        while True:
            with self._changed:
                while not self._actions and not self._closing:
                    self._changed.wait()
                if not self._actions:
                    return
                action, nbytes = self._actions.popleft()
            try:
                action()
            except BaseException as error:  # noqa: BLE001 - raised again where the queue is fed
                with self._changed:
                    self._error = error
                    self._actions.clear()
                    self._changed.notify_all()
                return
            # The action holds the array: let go of it before its bytes count as free.
            del action
            with self._changed:
                self._held -= nbytes
                self._changed.notify_all()
