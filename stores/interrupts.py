"""Ctrl-C at the right moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_deferred() -> Iterator[Callable[[], None]]:
    """Have Ctrl-C come after the block instead of anywhere in it; for what is over within seconds.

    What takes longer calls the function that it is given, where a Ctrl-C that waits may come as well.

    In other threads than the main one it never comes, and there this does nothing.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield lambda: None
        return
    waiting: list[FrameType | None] = []

    def let_through() -> None:
        if waiting:
            frame = waiting[0]
            waiting.clear()
            handler(signal.SIGINT, frame)

    signal.signal(signal.SIGINT, lambda _, frame: waiting.append(frame))
    try:
        yield let_through
    finally:
        signal.signal(signal.SIGINT, handler)
        let_through()


def interrupt_of(error: BaseException | None) -> KeyboardInterrupt | None:
    """The Ctrl-C that h5py made a SystemError of, as it does where HDF5 calls Python; None: it is none."""
    cause = error.__cause__ if isinstance(error, SystemError) else None
    return cause if isinstance(cause, KeyboardInterrupt) else None
