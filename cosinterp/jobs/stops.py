"""How the keeper hears of signals while it waits for other things."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType

CANCEL = signal.SIGUSR1
"""By which the user has the keeper stop. The system does so by SIGTERM: when it goes down, say."""
_STOPS = (CANCEL, signal.SIGTERM, signal.SIGINT)


class Stops:
    """Counts how often this process was told to stop.

    Attributes:
        count: so often.
        told: by which signal first, or `CANCEL` if that is among them; None: it was not.
        woken: a descriptor that can be read when a signal has come, also of a child that has ended.
    """

    def __init__(self) -> None:
        self.count = 0
        self.told: signal.Signals | None = None
        self.woken, write = os.pipe()
        os.set_blocking(self.woken, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for signum in _STOPS:
            signal.signal(signum, self._stop)
        # With a handler of ours, what we start has these as the system sets them: what we ignored (or our
        # launcher, in the background of a shell) it would ignore, and Ctrl-C is how it is told to stop.
        for signum in (signal.SIGCHLD, signal.SIGHUP):
            signal.signal(signum, _ignore)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def clear(self) -> None:
        """Forget what has woken, not what was counted."""
        with suppress(BlockingIOError):
            while os.read(self.woken, 2**10):
                pass

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.told is None or signum == CANCEL:
            self.told = signal.Signals(signum)


def _ignore(signum: int, frame: FrameType | None) -> None:
    """Wake, and do nothing."""
