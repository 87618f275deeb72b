"""The folder of jobs: whether it takes files and locks, how many jobs are in it, how many run at once."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from cosinterp.doctor.asking import Circumstances
from cosinterp.doctor.disk import lock_is_refused, write_a_file
from cosinterp.doctor.finding import Finding, is_fine, is_lacking, is_noted
from cosinterp.errors import JobError
from cosinterp.jobs import listing
from cosinterp.jobs.home import HOME, home, jobs_folder
from cosinterp.jobs.limits import PER_GPU, WITHOUT_GPU, check_limits
from cosinterp.jobs.state import State
from stores.files import free_space
from stores.units import count_text, size_text

_NAME = "job folders"
_ADVICE = f"Set {HOME} to a folder of yours on a disk of this machine."
_UNDER_WAY = (State.QUEUED, State.RUNNING, State.CANCELLING)
_LITTLE_SPACE = 100 * 10**6
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def folder(_: Circumstances) -> Iterator[Finding]:
    """Where jobs are, what is in it, and whether jobs can be made there."""
    path = jobs_folder()
    try:
        place, free = free_space(path)
        made = _made(path, place, free)
    except (OSError, JobError) as error:
        value = f"{path}: {error.strerror}" if isinstance(error, OSError) else str(error)
        yield is_lacking(
            _NAME, value, "It cannot be looked into, so there are no jobs.", _ADVICE, needed=True
        )
        return
    yield made
    yield from _private(path)
    yield _slots()


def _made(path: Path, place: Path, free: int) -> Finding:
    there = listing.jobs()
    running = sum(job.state() in _UNDER_WAY for job in there)
    value = f"{path}: {count_text(len(there), 'job')}" + (f", {running} under way" if running else "")
    try:
        write_a_file(place)
    except OSError as error:
        refused = f"{value}; {error.strerror}"
        meaning = "Nothing can be started with --detach."
        return is_lacking(_NAME, refused, meaning, _ADVICE, needed=True)
    try:
        locked = lock_is_refused(place)
    except OSError:
        locked = False
    if not locked:
        meaning = "The queue is made of locks, which this file system does not have: jobs cannot take turns."
        return is_lacking(_NAME, f"{value}; no file locks", meaning, _ADVICE, needed=True)
    if free < _LITTLE_SPACE:
        meaning = "What jobs print and tell of themselves is lost when the disk is full."
        return is_noted(_NAME, f"{value}; {size_text(free)} free", meaning, _ADVICE, needed=True)
    return is_fine(_NAME, value, "Jobs can be started with --detach.", needed=True)


def _slots() -> Finding:
    variables = f"{PER_GPU} and {WITHOUT_GPU}"
    try:
        limits = check_limits()
    except JobError as error:
        meaning = "Nothing can be started with --detach."
        return is_lacking("slots", str(error), meaning, f"Set {variables} to whole numbers, or unset them.")
    value = f"{limits.per_gpu} for each GPU, {limits.without_gpu} without"
    return is_fine("slots", value, f"{variables} say how many jobs run at once.")


def _private(path: Path) -> Iterator[Finding]:
    """Who else may read what jobs print."""
    for one in (path, home()):
        if one.is_dir() and stat.S_IMODE(one.stat().st_mode) & _OTHERS == 0:
            return
    if path.is_dir():
        meaning = "Others on this machine may list your jobs, though not what is in them."
        yield is_noted("privacy", f"{path} is open to others", meaning, f"chmod 700 {path}")
