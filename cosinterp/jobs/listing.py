"""All jobs, and the one that is meant."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from cosinterp.errors import JobError
from cosinterp.jobs.home import jobs_folder
from cosinterp.jobs.job import Job
from cosinterp.jobs.status import SPEC

_MOST_NAMED = 5


def jobs() -> list[Job]:
    """All jobs of this user, oldest first.

    Raises:
        JobError: their folder cannot be read.
    """
    folder = jobs_folder()
    found: list[tuple[int, Path]] = []
    try:
        for entry in folder.iterdir() if folder.exists() else ():
            # A folder without a spec is one that is just being made, or removed.
            with suppress(FileNotFoundError, NotADirectoryError):
                if not entry.name.startswith("."):
                    found.append(((entry / SPEC).stat().st_mtime_ns, entry))
    except OSError as error:
        raise JobError(f"{folder}: {error.strerror}") from None
    return [Job(entry) for _, entry in sorted(found)]


def find_job(name: str) -> Job:
    """The job that is called ``name``, or whose id alone begins with it or ends with it.

    Raises:
        JobError: there is none, or more than one.
    """
    known = jobs()
    exact = [job for job in known if job.id == name]
    found = exact or [
        job for job in known if name and (job.id.startswith(name) or job.id.endswith(f"-{name}"))
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise JobError(f'there is no job "{name}" in {jobs_folder()}; see: cosinterp jobs ls')
    named = ", ".join(job.id for job in found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    raise JobError(f'"{name}" may be any of {named}{more}; say more of its name')
