"""The threads that write: jobs of one batch in the order that they need, batches side by side."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType

Action = Callable[[], object]


class Lane:
    """The jobs of one batch of runs; made by `Writers.lane`.

    What is `put` may be done beside and before other things that were put, but after the last `then` before
    it. What is asked for by `then` is done when everything before it is done.
    """

    def __init__(self, writers: Writers) -> None:
        self._writers = writers
        self._submitted = 0
        self._barriers = 0
        self.done = 0
        self.barriers_done = 0

    def put(self, action: Action) -> None:
        """Queue an action without an order of its own; raises what an earlier action raised."""
        self._writers.submit(_Job(action, self, self._submitted, self._barriers, barrier=False))
        self._submitted += 1

    def then(self, action: Action) -> None:
        """Queue an action that comes after all before it, and before all after it; raises as `put`."""
        self._writers.submit(_Job(action, self, self._submitted, self._barriers, barrier=True))
        self._submitted += 1
        self._barriers += 1


class _Job:
    """An action; ``before`` jobs of its lane were queued before it, ``barriers`` of them by `Lane.then`."""

    __slots__ = ("action", "barrier", "barriers", "before", "lane")

    def __init__(self, action: Action, lane: Lane, before: int, barriers: int, barrier: bool) -> None:
        self.action = action
        self.lane = lane
        self.before = before
        self.barriers = barriers
        self.barrier = barrier

    @property
    def ready(self) -> bool:
        """Whether everything that it has to wait for is done."""
        if self.barrier:
            return self.lane.done == self.before
        return self.lane.barriers_done == self.barriers


class Writers:
    """Threads that carry out the jobs of lanes.

    The first exception of a job ends all threads once their jobs under way are done, and is raised by the
    next submission, or by `close`: nothing waits for ever.

    As a context manager it closes (waits for everything) or, if the block raised, aborts (drops the queue).

    Args:
        threads: how many.
        on_error: called when a job has failed, on its thread: to wake whoever waits for something else.
    """

    def __init__(self, threads: int, on_error: Action) -> None:
        self._on_error = on_error
        self._jobs: deque[_Job] = deque()
        self._closing = False
        self._running = threads
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        # Daemons, so that no queue keeps a process alive whose main thread has died.
        self._threads = [
            threading.Thread(target=self._work, name=f"cosinterp-writer-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def lane(self) -> Lane:
        """A lane of its own for a batch."""
        return Lane(self)

    def submit(self, job: _Job) -> None:
        """Queue a job; raises what an earlier one raised. Use `Lane.put` and `Lane.then`."""
        with self._changed:
            self.raise_error()
            if self._closing:
                raise RuntimeError("the writers are closed")
            self._jobs.append(job)
            self._changed.notify()

    def raise_error(self) -> None:
        """Raise what a job has raised, if one has."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Wait until everything is done and end the threads; raises what a job raised.

        An interrupted wait (Ctrl-C) aborts.
        """
        try:
            self._end()
        except BaseException:
            self.abort()
            raise
        self.raise_error()

    def abort(self) -> None:
        """Drop what is queued, let the jobs under way finish, and end the threads; raises nothing."""
        with self._changed:
            self._jobs.clear()
        self._end()

    def __enter__(self) -> Writers:
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
            while self._running:
                self._changed.wait()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        try:
            while self._do_next():
                pass
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _do_next(self) -> bool:
        """Do one job; False if there will be none, or it failed."""
        # A method of its own, so that a job's memory is let go before the wait for the next.
        job = self._next()
        if job is None:
            return False
        try:
            job.action()
        except BaseException as error:  # noqa: BLE001 - raised again where the queue is fed
            self._fail(error)
            return False
        with self._changed:
            job.lane.done += 1
            job.lane.barriers_done += job.barrier
            self._changed.notify_all()
        return True

    def _next(self) -> _Job | None:
        """The first job that is ready; waits for one. None if there will be none."""
        with self._changed:
            while True:
                if self._error is not None:
                    return None
                for index, job in enumerate(self._jobs):
                    if job.ready:
                        del self._jobs[index]
                        return job
                if self._closing and not self._jobs:
                    return None
                self._changed.wait()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            if self._error is None:
                self._error = error
            self._jobs.clear()
            self._changed.notify_all()
        self._on_error()
