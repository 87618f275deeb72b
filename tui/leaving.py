"""How the app ends when it cannot wait: at a signal, without its terminal, with a read that never ends."""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import sys
import threading
from functools import partial
from typing import Any

from textual.app import App

PATIENCE = 3.0
"""Seconds that the app has to leave a terminal that may not take anything any more."""

_MOMENT = 0.02
"""Seconds after which it is looked again whether the app can end."""


def leave_on_signals(app: App[Any]) -> None:
    """Have SIGTERM and SIGHUP end the app as its key does: by default they leave the terminal as it then is.

    Call it in the app's own thread, before the app takes the terminal.
    """
    for signum in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signum, _leave, app, signum)


def _leave(app: App[Any], signum: int) -> None:
    code = 128 + signum
    # What is written to a terminal that is gone, or that is held up by ctrl+s, may wait for ever.
    timer = threading.Timer(PATIENCE, os._exit, (code,))
    timer.daemon = True
    timer.start()
    app.call_later(_exit, app, code)


def _exit(app: App[Any], code: int) -> None:
    """End the app once its screens stand: one that is just being put together could not be finished."""
    if all(screen.is_mounted for screen in app.screen_stack):
        app.exit(return_code=code)
    else:
        app.set_timer(_MOMENT, partial(_exit, app, code))


def wait_for_no_read(code: int) -> None:
    """Have the interpreter end with an exit code though a thread is held up by a file.

    h5py tidies up when the interpreter ends, and for that it takes the lock that such a thread holds.
    """
    objects = sys.modules.get("h5py._objects")
    if objects is None:
        return
    # A thread that is only importing it has made no lock yet.
    lock = getattr(objects, "phil", None)
    if lock is not None and lock.acquire(blocking=False):
        lock.release()
    else:
        # What is registered last is called first, once everything has been said.
        atexit.register(_end, code)


def _end(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
