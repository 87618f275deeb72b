"""Reading with several threads: one pool for the whole process, made when it is first needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Lock

_MOST_THREADS = 8

_pool: ThreadPoolExecutor | None = None
_making = Lock()


def for_each(count: int, action: Callable[[int], object]) -> None:
    """Calls ``action`` with each number from 0 to ``count`` - 1, in several threads, this one among them.

    Whatever an action raises is raised here; those that had not begun by then are left out. No action is
    under way any more when this returns.
    """
    # Taking the next number is a single step of the interpreter, so no two threads get the same one.
    numbers = iter(range(count))
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for number in numbers:
                if failures:
                    return
                action(number)
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    helpers = min(_threads(), count) - 1
    if helpers < 1:
        for number in numbers:
            action(number)
        return
    pool = _shared_pool()
    futures = [pool.submit(work) for _ in range(helpers)]
    try:
        work()
        wait([future for future in futures if not future.cancel()])
    except BaseException as error:
        # Ctrl-C in the middle of waiting: the others stop by themselves.
        failures.append(error)
        raise
    if failures:
        raise next((error for error in failures if not isinstance(error, Exception)), failures[0])


def _threads() -> int:
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:
        allowed = os.cpu_count() or 1
    return min(allowed, _MOST_THREADS)


def _shared_pool() -> ThreadPoolExecutor:
    global _pool
    with _making:
        if _pool is None:
            _pool = ThreadPoolExecutor(_MOST_THREADS - 1, thread_name_prefix="store-reader")
        return _pool


def _forget() -> None:
    # Threads do not survive a fork, and the lock may have been held by one.
    global _pool, _making
    _pool, _making = None, Lock()


os.register_at_fork(after_in_child=_forget)
