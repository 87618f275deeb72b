"""Minding a worker: hearing what it tells and prints, measuring what it takes, and stopping it."""

from __future__ import annotations

import json
import os
import selectors
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cosinterp.devices.gpu import Gpu
from cosinterp.jobs.diary import Diary, spacing
from cosinterp.jobs.log import Log
from cosinterp.jobs.machine import gpu_use, host_memory
from cosinterp.jobs.processes import members, send, stop
from cosinterp.jobs.stops import Stops
from cosinterp.jobs.worker import Worker

_TICK = 1.0
_QUICK_TICK = 0.2
_MEASURING = 5.0
_FIRST_MEASURE = 1.0
_TERMINATING = 5.0
_PARTING = 0.5
_BLOCK = 2**16
_BLOCKS_AT_ONCE = 16


class Minder:
    """Minds a worker from its start until nothing is left of it.

    Args:
        worker: that has been started.
        diary: takes what happens.
        log: takes what it prints.
        stops: says when it is to stop.
        patience: seconds that it has for tidying up.
        look: tells how its GPUs are used.
    """

    def __init__(
        self,
        worker: Worker,
        diary: Diary,
        log: Log,
        stops: Stops,
        patience: float,
        look: Callable[[], list[Gpu]],
    ) -> None:
        self._worker = worker
        self._diary = diary
        self._log = log
        self._stops = stops
        self._patience = patience
        self._look = look
        self._measure_at = time.monotonic() + _FIRST_MEASURE
        self._stage = 0
        self._stage_over = 0.0
        self._told = b""

    @property
    def was_stopped(self) -> bool:
        """Whether the worker was told to stop."""
        return self._stage > 0

    def mind(self) -> int:
        """Wait for the worker's end, and see to it that nothing of it is left; returns how it ended.

        That is its exit code, or minus the number of the signal that ended it.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._worker.printed, selectors.EVENT_READ, self._hear_printed)
            selector.register(self._worker.line, selectors.EVENT_READ, self._hear_told)
            selector.register(self._stops.woken, selectors.EVENT_READ, self._hear_signal)
            while self._worker.code is None:
                for key, _ in selector.select(_QUICK_TICK if self._stage else _TICK):
                    if not key.data():
                        # Closed by what it came from, which may live on.
                        selector.unregister(key.fileobj)
                self._reap()
                self._go_on_stopping()
                self._measure()
                self._diary.tick()
        self._end_rest()
        self._hear_printed()
        self._hear_told()
        return self._worker.code

    def _hear_printed(self) -> bool:
        """Take what was printed into the log; whether there may be more."""
        # Together more than a pipe holds.
        for _ in range(_BLOCKS_AT_ONCE):
            try:
                printed = os.read(self._worker.printed, _BLOCK)
            except BlockingIOError:
                break
            if not printed:
                return False
            self._log.add(printed)
        return True

    def _hear_told(self) -> bool:
        """Take in how far the worker says it is; whether there may be more."""
        goes_on = True
        with suppress(BlockingIOError):
            while new := self._receive():
                self._told += new
            goes_on = False
        *lines, self._told = self._told.split(b"\n")
        # Each says all that is known, so the last is enough.
        for line in lines[-1:]:
            progress = _progress(line)
            if progress is not None:
                self._diary.progress(progress)
        return goes_on

    def _receive(self) -> bytes:
        try:
            return self._worker.line.recv(_BLOCK)
        except ConnectionResetError:
            return b""

    def _hear_signal(self) -> bool:
        self._stops.clear()
        return True

    def _reap(self) -> None:
        """Hear of children that have ended: the worker, and what came to us when its parent ended."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
                if ended[0] == self._worker.pid:
                    self._worker.code = os.waitstatus_to_exitcode(ended[1])

    def _go_on_stopping(self) -> None:
        """Interrupt, terminate, kill: each when that before took too long, or we are told again."""
        told_on = self._stops.count > self._stage
        if self._worker.code is not None or not (
            told_on or (self._stage and time.monotonic() > self._stage_over)
        ):
            return
        self._stage += 1
        if self._stage == 1:
            self._diary.change(phase="cancelling")
            self._diary.note("cancelling")
            # To the group, as a terminal does.
            send(self._worker.pid, signal.SIGINT, group=True)
            self._stage_over = time.monotonic() + self._patience
            return
        signum = signal.SIGTERM if self._stage == 2 else signal.SIGKILL
        for pid in self._members():
            send(pid, signum)
        self._stage_over = time.monotonic() + _TERMINATING

    def _end_rest(self) -> None:
        """End what the worker has left behind: it may hold a GPU, or a lock of this job."""
        until = time.monotonic() + _PARTING
        while self._members() and time.monotonic() < until:
            # Much of it ends by itself, when it sees that the worker is gone.
            time.sleep(0.02)
            self._reap()
        stop(os.getsid(0), [os.getpid()], patience=_PARTING)
        self._reap()

    def _members(self) -> list[int]:
        return members(os.getsid(0), [os.getpid()], spared=[os.getpid()])

    def _measure(self) -> None:
        if time.monotonic() >= self._measure_at and self._worker.code is None:
            self._diary.machine(host_memory(self._members()), gpu_use(self._look()))
            self._measure_at = time.monotonic() + spacing(self._diary.ran, _MEASURING)


def _progress(line: bytes) -> dict[str, Any] | None:
    """What a line of the worker says; None: it says nothing that can be read."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None
