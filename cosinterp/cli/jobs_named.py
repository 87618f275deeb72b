"""Which jobs are meant: ids, beginnings of ids, and ``last``; and what the shell completes them with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from cosinterp.jobs.job import Job
    from cosinterp.jobs.status import Status

LAST = "last"


def completing(fits: Callable[[Status], bool]) -> Callable[[str], list[tuple[str, str]]]:
    """What the shell completes an id with: the jobs that fit, newest first, each with its state."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        from cosinterp.errors import JobError
        from cosinterp.jobs.texts import state_text

        try:
            known = known_jobs(lambda damaged: None)
        except JobError:
            # Nothing to offer; the command itself will say why.
            return []
        stands = [status for _, status in reversed(known) if fits(status)]
        return [
            (one.id, f"{state_text(one.state)}: {' '.join(one.words)}")
            for one in stands
            if one.id.startswith(incomplete)
        ]

    return complete


_HELP = "Of a job, or what it alone begins or ends with; or last."


def _argument(fits: Callable[[Status], bool]) -> Any:
    return typer.Argument(metavar="ID", help=_HELP, show_default=False, autocompletion=completing(fits))


OneJob: TypeAlias = Annotated[str, _argument(lambda status: True)]
LiveJobs: TypeAlias = Annotated[list[str], _argument(lambda status: not status.state.is_final)]
UnfinishedJobs: TypeAlias = Annotated[
    list[str], _argument(lambda status: status.state.is_final and status.state.value != "finished")
]
EndedJobs: TypeAlias = Annotated[list[str] | None, _argument(lambda status: status.state.is_final)]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def known_jobs(note: Callable[[str], None]) -> list[tuple[Job, Status]]:
    """All jobs and how it stands with them, oldest first.

    Args:
        note: takes what is wrong with a folder that is damaged, which hides no other.

    Raises:
        JobError: their folder cannot be read.
    """
    from cosinterp.errors import JobError
    from cosinterp.jobs.listing import jobs

    found: list[tuple[Job, Status]] = []
    for job in jobs():
        try:
            found.append((job, job.status()))
        except JobError as error:
            # It may have been removed meanwhile.
            if job.path.exists():
                note(str(error))
    return found


def named_job(name: str) -> Job:
    """The job that is called so; ``last`` is the one that was asked for last.

    Raises:
        JobError: there is none, or more than one.
    """
    from cosinterp.errors import JobError
    from cosinterp.jobs.listing import find_job, jobs

    if name != LAST:
        return find_job(name)
    known = jobs()
    if not known:
        raise JobError("there is no job yet; give a long command --detach")
    return known[-1]


def named_jobs(names: Sequence[str]) -> list[Job]:
    """As `named_job`, each job once."""
    return list(dict.fromkeys(named_job(name) for name in names))
