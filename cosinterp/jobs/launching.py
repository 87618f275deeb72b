"""Starting jobs, and starting them again."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cosinterp.errors import JobError
from cosinterp.jobs.commands import Described, described
from cosinterp.jobs.events import EventLog, now
from cosinterp.jobs.holding import held
from cosinterp.jobs.home import HOME, home, host, jobs_folder, open_private, write_private
from cosinterp.jobs.job import Job
from cosinterp.jobs.limits import check_limits
from cosinterp.jobs.naming import make_job_folder
from cosinterp.jobs.own_code import KEEPER, own_command, own_environment
from cosinterp.jobs.processes import Identity
from cosinterp.jobs.record import Record, no_locks, write_record
from cosinterp.jobs.spec import JobSpec
from cosinterp.jobs.state import State
from cosinterp.jobs.status import EVENTS, SPEC, Standing, standing
from cosinterp.jobs.telling import FOLDER, LOG, PIPE

WATCHED = 1.5
"""Seconds for which a worker that lives is watched, to see whether it stumbles at once."""
_TO_LIVE = 30.0
_TWICE = "it cannot be started twice"
_POLL = 0.02
_ADVICE = (
    ((errno.ENOSPC, errno.EDQUOT), "make room there"),
    ((errno.EACCES, errno.EPERM, errno.EROFS), "see to its permissions"),
)


def submit(spec: JobSpec | Sequence[str], *, watched: float = WATCHED) -> Job:
    """Start a job, which goes on without this process and its terminal.

    Returns as soon as the job waits for its turn, or its command has run for ``watched`` seconds without
    failing.

    Args:
        spec: what it is to do; or the words of it, to be done in this folder.
        watched: seconds.

    Raises:
        JobError: it cannot be kept (no room, no rights), or its command failed at once: the message says
            why. In the latter case its folder is there, with its log.
        DeviceError: its --device names none.
    """
    if not isinstance(spec, JobSpec):
        spec = JobSpec.of_words(spec)
    command = described(spec.words)
    _check_device(command)
    check_limits()
    with _explained(jobs_folder()):
        folder = make_job_folder(jobs_folder(), spec.name or "-".join(spec.words[: command.names]))
        try:
            write_private(folder / SPEC, spec.as_json())
            with held(folder, _TWICE) as lock:
                _begin(folder, lock, command, attempt=1)
        except BaseException:
            # What was never begun is no job.
            if not (folder / LOG).exists():
                shutil.rmtree(folder, ignore_errors=True)
            raise
    job = Job(folder)
    _watch(job, watched)
    return job


def resume(job: Job, *, watched: float = WATCHED) -> None:
    """Start a job that has ended once more; see `Job.resume`.

    Raises:
        JobError: it runs, is finished, or does not start.
    """
    command = described(job.spec.words)
    _check_device(command)
    check_limits()
    with _explained(job.path), held(job.path, _TWICE) as lock:
        found = standing(job.path, held=True)
        if found.state is State.FINISHED:
            raise JobError(f"{job.id} is finished; there is nothing to go on with")
        if not found.state.is_final:
            raise JobError(f"{job.id} is {found.state} on another machine; {_TWICE}")
        attempt = 1
        if found.record is not None:
            attempt = found.record.attempt + 1
            _note_lost_end(job.path, found)
        _begin(job.path, lock, described(command.resuming), attempt)
    _watch(job, watched)


def _check_device(command: Described) -> None:
    if command.device is not None:
        from cosinterp.devices import parse_devices

        parse_devices(command.device)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Say what the system's refusal means for a job that is to be kept in ``folder``."""
    try:
        yield
    except OSError as error:
        if no_locks(error):
            raise JobError(
                f"{folder}: this file system has no locks, which jobs need; set {HOME} to a folder that has"
            ) from error
        advice = next((f"{advice}, or " for errors, advice in _ADVICE if error.errno in errors), "")
        raise JobError(
            f"the job cannot be kept in {error.filename or folder}: {error.strerror}; "
            f"{advice}set {HOME} to another folder"
        ) from error


def _note_lost_end(folder: Path, found: Standing) -> None:
    """Write down how the attempt before ended, if nobody lived to do it."""
    if found.record is not None and found.record.ended is None and found.end is not None:
        with _open_events(folder) as log:
            log.write(found.end)


def _begin(folder: Path, lock: int, command: Described, attempt: int) -> None:
    """Start the keeper, which takes over the lock.

    Raises:
        OSError: there is no room for what is kept of the job.
        JobError: the keeper does not start.
    """
    submitted = now(
        "submitted",
        attempt,
        words=list(command.words),
        takes_device=command.takes_device,
        takes_all=command.takes_all or None,
        device=command.device,
    )
    record = Record(attempt=attempt, phase="starting", host=host(), keeper=Identity.of(os.getpid()))
    with _open_events(folder) as log:
        # The event first: where there is no room for it, the record of the attempt before stands.
        log.write(submitted)
        log.sync()
        write_record(lock, record)
        os.fsync(lock)
        try:
            _start_keeper(folder, lock)
        except JobError as error:
            ended = now(State.CRASHED, attempt, message=str(error))
            record.phase, record.ended = "ended", ended.as_data()
            write_record(lock, record)
            log.note(ended)
            raise


@contextmanager
def _open_events(folder: Path) -> Iterator[EventLog]:
    fd = open_private(folder / EVENTS, os.O_RDWR | os.O_APPEND)
    try:
        yield EventLog(fd)
    finally:
        os.close(fd)


def _start_keeper(folder: Path, lock: int) -> None:
    # It runs in another folder, which a relative home would be of.
    environment = own_environment() | {HOME: str(home())}
    # A job that is started from within a job is none of its processes.
    for name in (FOLDER, PIPE):
        environment.pop(name, None)
    log = open_private(folder / LOG, os.O_WRONLY | os.O_APPEND)
    try:
        # The process that is started forks the keeper and ends, so that the keeper is nobody's child.
        starter = subprocess.Popen(
            own_command(KEEPER, str(folder), str(lock)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment,
            pass_fds=(lock,),
            start_new_session=True,
        )
    except OSError as error:
        raise JobError(f"the keeper of {folder.name} cannot be started: {error.strerror}") from error
    finally:
        os.close(log)
    if starter.wait() != 0:
        raise JobError(f"the keeper of {folder.name} does not start; see {folder / LOG}")


def _watch(job: Job, watched: float) -> None:
    """Wait until a job waits or its worker lives, and then for ``watched`` seconds whether it fails.

    Raises:
        JobError: it did.
    """
    until, lives = time.monotonic() + _TO_LIVE, False
    while not (found := standing(job.path)).state.is_final:
        phase = None if found.record is None else found.record.phase
        if phase == "running" and not lives:
            until, lives = time.monotonic() + watched, True
        if phase == "queued" or time.monotonic() > until:
            return
        time.sleep(_POLL)
    if found.state in (State.FINISHED, State.CANCELLED):
        return
    message = "" if found.end is None else found.end.details.get("message", "")
    raise JobError(
        f"{message or found.state}\n(job {job.id}, {found.state}; all that it said: {job.log_path})"
    )
