"""A worker on this machine: opens a work and does the tasks that its driver sends, until there are none.

It ends by itself when its driver is gone, whatever it is doing.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from cosinterp.executors.executor import Later, Tell, entered
from cosinterp.executors.messages import (
    Answer,
    Begin,
    CannotOpen,
    Done,
    Idle,
    Message,
    Order,
    Stop,
    Task,
    Undone,
    Wants,
)
from cosinterp.mendable import told

PATIENCE = 10.0
"""Seconds that a stopped worker has to clean up."""

_STUCK = 1


def main(connection: Connection) -> None:
    """Work until the driver at the other end has nothing left to do, or is gone."""
    stopping = _Stopping()
    begin: Begin = connection.recv()
    orders: SimpleQueue[Order] = SimpleQueue()
    warnings.showwarning = _show_warning
    # Stopped, and cleaned up; or left with what is told already.
    with suppress(KeyboardInterrupt, _Broken):
        try:
            # Which may find at once that it is to stop.
            threading.Thread(target=_listen, args=(connection, orders, stopping), daemon=True).start()
            _Worker(connection, orders, stopping).work(begin)
        finally:
            stopping.over()


class _Broken(Exception):
    """A task failed by a fault of ours: who knows what state this process is in."""


class _Stopping:
    """Turns a stop into one `KeyboardInterrupt` of the main thread.

    Ctrl-C in a terminal reaches all processes there; that is for the driver to take, which then stops its
    workers. So a signal from anywhere else is passed over.
    """

    def __init__(self) -> None:
        self._main = threading.get_ident()
        self._asked = self._stopped = False
        signal.signal(signal.SIGINT, self._on_signal)
        # Held back since before the driver started us.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def stop(self) -> None:
        """Interrupt the main thread, and end the process if that does not end it."""
        self._asked = True
        signal.pthread_kill(self._main, signal.SIGINT)
        time.sleep(PATIENCE)
        os._exit(_STUCK)

    def interrupt(self) -> None:
        """Raise `KeyboardInterrupt`, if it was not raised before."""
        if not self._stopped:
            self._stopped = True
            raise KeyboardInterrupt

    def over(self) -> None:
        """Interrupt nothing any more: the interpreter is about to end by itself."""
        self._stopped = True

    def _on_signal(self, number: int, frame: object) -> None:
        if self._asked:
            self.interrupt()


def _listen(connection: Connection, orders: SimpleQueue[Order], stopping: _Stopping) -> None:
    while True:
        try:
            order: Order = connection.recv()
        except (EOFError, OSError):
            order = Stop()
        if isinstance(order, Stop):
            stopping.stop()
            return
        orders.put(order)


class _Worker:
    """Does what is ordered, and answers."""

    def __init__(self, connection: Connection, orders: SimpleQueue[Order], stopping: _Stopping) -> None:
        self._connection = connection
        self._orders = orders
        self._stopping = stopping
        self._under_way: tuple[int, Later[Any]] | None = None

    def work(self, begin: Begin) -> None:
        try:
            opened = pickle.loads(begin.work).open(begin.device)
        except Exception as error:  # noqa: BLE001 - told to the driver
            self._answer(CannotOpen(*told(error)))
            return
        with entered(opened) as do:
            while (task := self._next()) is not None:
                self._do(do, task)
            self._finish()

    def _next(self) -> Task | None:
        """The next task; None if there will be none."""
        self._answer(Wants())
        while not isinstance(order := self._orders.get(), Task):
            if not isinstance(order, Idle):
                return None
            self._finish()
        return order

    def _do(self, do: Callable[[Any, Tell], Any], task: Task) -> None:
        if task.alone:
            self._finish()
        try:
            value = do(pickle.loads(task.content), partial(self._tell, task.number))
        except Exception as error:  # noqa: BLE001 - told to the driver
            self._failed(task.number, error, self._finish)
            return
        self._finish()
        if isinstance(value, Later):
            self._under_way = task.number, value
        else:
            self._answer(Done(task.number, value))
        if task.alone:
            self._finish()

    def _finish(self) -> None:
        """Wait for the task that is under way, if one is."""
        if self._under_way is None:
            return
        (number, later), self._under_way = self._under_way, None
        try:
            value = later.wait()
        except Exception as error:  # noqa: BLE001 - told to the driver
            self._failed(number, error)
        else:
            self._answer(Done(number, value))

    def _failed(self, number: int, error: Exception, then: Callable[[], None] = lambda: None) -> None:
        text, is_users = told(error)
        self._answer(Undone(number, text, is_users))
        then()
        if not is_users:
            raise _Broken

    def _tell(self, number: int, content: object) -> None:
        self._answer(Message(number, content))

    def _answer(self, answer: Answer) -> None:
        try:
            self._connection.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            # The driver is gone.
            self._stopping.interrupt()


def _show_warning(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    # One line, since it is shown among those of other workers, and without the place in our code.
    sys.stderr.write(f"{category.__name__}: {message}\n")
