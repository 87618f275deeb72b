"""``cosinterp jobs cancel``, ``resume`` and ``rm``: what jobs are told to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cosinterp.cli.jobs_named import AsJson, EndedJobs, LiveJobs, UnfinishedJobs, known_jobs, named_jobs
from cosinterp.jobs.state import State

if TYPE_CHECKING:
    from cosinterp.jobs.job import Job
    from cosinterp.jobs.status import Status

_MOST = 20
_REFUSED = 2


def cancel(
    jobs: LiveJobs,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait until they are gone.")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop jobs, as Ctrl-C stops a command: what is finished is kept.

    Each has half a minute to tidy up before it is ended, less if it is told twice. With [bold]cosinterp jobs
    resume[/bold] it goes on where it stopped.
    """
    from cosinterp.cli.console import err, out, print_error, print_json
    from cosinterp.errors import JobError
    from cosinterp.jobs.texts import ended_text
    from stores.units import count_text

    told: list[Job] = []
    refused = False
    for job in named_jobs(jobs):
        try:
            job.cancel()
            told.append(job)
        except JobError as error:
            print_error(str(error))
            refused = True
    if told and not no_wait:
        with err().status(f"stopping {told[0].id if len(told) == 1 else count_text(len(told), 'job')}"):
            for job in told:
                job.wait()
    stands = [job.status() for job in told]
    if as_json:
        print_json([status.as_data() for status in stands])
    for status in () if as_json else stands:
        out().print(ended_text(status), markup=False, soft_wrap=True)
    if refused:
        raise typer.Exit(_REFUSED)


def resume(jobs: UnfinishedJobs, as_json: AsJson = False) -> None:
    """Start jobs again that did not finish.

    The same words in the same folder, with --resume where the command has that flag, so that it does only
    what is not there yet. The log goes on behind that of the attempt before.
    """
    from cosinterp.cli.console import out, print_error, print_json
    from cosinterp.cli.jobs_started import say_started
    from cosinterp.errors import JobError

    stands: list[Status] = []
    refused = False
    for job in named_jobs(jobs):
        try:
            job.resume()
        except JobError as error:
            print_error(str(error))
            refused = True
        else:
            if not as_json:
                out().print(job.id, markup=False, soft_wrap=True)
            stands.append(say_started(job))
    if as_json:
        print_json([status.as_data() for status in stands])
    if refused:
        raise typer.Exit(_REFUSED)


def rm(
    jobs: EndedJobs = None,
    finished: Annotated[bool, typer.Option("--finished", help="All jobs that finished.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what is kept of jobs that have ended: their log and what happened.

    What their commands made stays: stores, results, videos. Asks before it removes more than one.
    """
    from cosinterp.cli.console import out, print_json, print_warning
    from cosinterp.errors import JobError
    from stores.units import count_text

    if finished == bool(jobs):
        raise JobError("say which jobs: their ids, or --finished")
    if jobs:
        chosen = named_jobs(jobs)
        for job in chosen:
            if not (state := job.state()).is_final:
                raise JobError(f"{job.id} is {state}; cancel it first. Nothing removed")
    else:
        chosen = [job for job, status in known_jobs(print_warning) if status.state is State.FINISHED]
    if len(chosen) > 1 and not yes:
        _ask(chosen)
    for job in chosen:
        job.remove()
    if as_json:
        print_json({"jobs": [job.id for job in chosen]})
    else:
        what = chosen[0].id if len(chosen) == 1 else count_text(len(chosen), "job")
        out().print(f"removed {what}", markup=False, soft_wrap=True)


def _ask(jobs: Sequence[Job]) -> None:
    """Ask whether to remove jobs.

    Raises:
        JobError: nobody can be asked.
        Exit: the answer is no.
    """
    from cosinterp.cli.console import err
    from cosinterp.cli.store_rm import can_ask
    from cosinterp.errors import JobError

    if not can_ask():
        raise JobError(f"to remove {len(jobs)} jobs without being asked, give --yes")
    more = [f"and {len(jobs) - _MOST} more"] if len(jobs) > _MOST else []
    for line in [*(job.id for job in jobs[:_MOST]), *more]:
        err().print(f"  {line}", markup=False, soft_wrap=True)
    if not typer.confirm(f"remove what is kept of {len(jobs)} jobs?", err=True):
        err().print("nothing was removed")
        raise typer.Exit(1)
