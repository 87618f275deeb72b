"""Holding a job: of all who want to start, resume or remove it, one does."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cosinterp.errors import JobError
from cosinterp.jobs.home import open_private
from cosinterp.jobs.record import take_lock
from cosinterp.jobs.state import State
from cosinterp.jobs.status import RECORD, SPEC, standing

_PATIENCE = 10.0
_POLL = 0.02


@contextmanager
def held(folder: Path, otherwise: str) -> Iterator[int]:
    """Hold the job in a folder for a block; gives the descriptor of its record, which has the lock.

    Whoever is handed the descriptor holds the job on.

    Args:
        folder: of the job.
        otherwise: what to say of a job that is held by another: "JOB is running; OTHERWISE".

    Raises:
        JobError: another holds it, or it has been removed.
        OSError: its record cannot be opened, or the file system has no locks.
    """
    deadline = time.monotonic() + _PATIENCE
    lock = _opened(folder)
    try:
        while True:
            state = standing(folder).state
            # A keeper that has said how the job ended is gone in a moment; so is a worker without a keeper.
            if state.is_final and take_lock(lock):
                break
            passing = state.is_final or state is State.CANCELLING
            if not passing or time.monotonic() > deadline:
                raise JobError(f"{folder.name} is {state}; {otherwise}")
            time.sleep(_POLL)
        if not (folder / SPEC).exists():
            raise JobError(f"{folder.name} has been removed")
        yield lock
    finally:
        os.close(lock)


def _opened(folder: Path) -> int:
    if not (folder / SPEC).exists():
        raise JobError(f"{folder.name} has been removed")
    try:
        return open_private(folder / RECORD, os.O_RDWR)
    except FileNotFoundError:
        raise JobError(f"{folder.name} has been removed") from None
