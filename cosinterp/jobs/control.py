"""Stopping jobs, and removing what is kept of them."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from cosinterp.errors import JobError
from cosinterp.jobs.holding import held
from cosinterp.jobs.processes import send, stop
from cosinterp.jobs.status import is_here, standing
from cosinterp.jobs.stops import CANCEL

_PATIENCE = 5.0
_STARTING = 10.0
_POLL = 0.02


def cancel(folder: Path) -> None:
    """Tell the job in a folder to stop; see `cosinterp.jobs.job.Job.cancel`.

    Raises:
        JobError: it has ended, or runs on another machine.
    """
    deadline = time.monotonic() + _STARTING
    while True:
        found = standing(folder)
        if found.state.is_final:
            raise JobError(f"{folder.name} is {found.state} already; there is nothing to cancel")
        record = found.record
        if record is not None and not is_here(record):
            raise JobError(f"{folder.name} runs on {record.host}; cancel it there")
        # Until there is a keeper there is nobody to tell.
        if record is not None and record.session is not None:
            break
        if time.monotonic() > deadline:
            raise JobError(f"{folder.name} is just being started; try again")
        time.sleep(_POLL)
    if record.keeper.is_alive:
        # The keeper knows what belongs to the job, and writes down that it was cancelled.
        send(record.keeper.pid, CANCEL)
    else:
        # The worker stops by itself, or does not.
        stop(record.session, patience=_PATIENCE)


def remove(folder: Path) -> None:
    """Remove the folder of a job; see `cosinterp.jobs.job.Job.remove`.

    Raises:
        JobError: the job runs, or its folder cannot be removed.
    """
    # Out of sight at once, so that a list never meets half a folder.
    aside = folder.with_name(f".{folder.name}.removed")
    try:
        with held(folder, "cancel it first"):
            if not (state := standing(folder, held=True).state).is_final:
                raise JobError(f"{folder.name} is {state} on another machine; cancel it there first")
            folder.rename(aside)
        # Nobody has it any more. Over NFS a folder with a file that is open, as its lock was, cannot go.
        shutil.rmtree(aside)
    except OSError as error:
        left = aside if aside.exists() else folder
        raise JobError(f"{left} cannot be removed: {error.strerror}") from None
