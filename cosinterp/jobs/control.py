"""Stopping jobs, and removing what is kept of them."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from cosinterp.errors import JobError
from cosinterp.jobs.home import host, open_private
from cosinterp.jobs.processes import send, stop
from cosinterp.jobs.record import Record, take_lock
from cosinterp.jobs.status import RECORD, standing

_PATIENCE = 5.0


def cancel(folder: Path) -> None:
    """Tell the job in a folder to stop; see `cosinterp.jobs.job.Job.cancel`.

    Raises:
        JobError: it has ended, or runs on another machine.
    """
    found = standing(folder)
    if found.state.is_final or found.record is None:
        raise JobError(f"{folder.name} is {found.state} already; there is nothing to cancel")
    record = found.record
    if record.host != host():
        raise JobError(f"{folder.name} runs on {record.host}; cancel it there")
    if record.phase != "starting" and record.keeper.is_alive:
        # The keeper knows what belongs to the job, and writes down that it was cancelled.
        send(record.keeper.pid, signal.SIGTERM)
    else:
        _stop_without_keeper(record)


def remove(folder: Path) -> None:
    """Remove the folder of a job; see `cosinterp.jobs.job.Job.remove`.

    Raises:
        JobError: the job runs, or its folder cannot be removed.
    """
    try:
        lock = open_private(folder / RECORD, os.O_RDWR)
    except FileNotFoundError:
        raise JobError(f"{folder.name} has just been removed") from None
    except OSError as error:
        raise JobError(f"{folder}: {error.strerror}") from None
    try:
        found = standing(folder)
        if not take_lock(lock) or not found.state.is_final:
            raise JobError(f"{folder.name} is {found.state}; cancel it first")
        # Out of sight at once, so that a list never meets half a folder.
        aside = folder.with_name(f".{folder.name}.removed")
        folder.rename(aside)
        shutil.rmtree(aside)
    except OSError as error:
        raise JobError(f"{folder} cannot be removed: {error.strerror}") from None
    finally:
        os.close(lock)


def _stop_without_keeper(record: Record) -> None:
    """Stop what is left of a job whose keeper is gone, and whose worker does not stop by itself."""
    if record.session is not None:
        stop(record.session, patience=_PATIENCE)
