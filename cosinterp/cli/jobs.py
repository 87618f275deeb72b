"""``cosinterp jobs``: how it stands with the jobs, and waiting for them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from cosinterp.cli.jobs_named import AsJson, LiveJobs, OneJob, known_jobs, named_job, named_jobs
from cosinterp.cli.options import one_of
from cosinterp.jobs.state import State

if TYPE_CHECKING:
    from cosinterp.jobs.job import Job
    from cosinterp.jobs.status import Status

_SHOWN = 20
_NO_WIDTH = 10_000
_TIMED_OUT = 124
_STATES = tuple(state.value.replace("_", "-") for state in State)


def ls(
    every: Annotated[
        bool, typer.Option("--all", help=f"All; else those that go on, and {_SHOWN} more.")
    ] = False,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="STATES",
            help=f"Only those in one of these states, separated by commas: {', '.join(_STATES)}.",
            show_default=False,
            autocompletion=one_of(*_STATES, after=","),
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, of all jobs.")] = False,
) -> None:
    """List jobs, the newest first.

    A terminal that is too narrow for all of it does without the command first, then without what is being
    done or went wrong; show says everything of one job.
    The memory is what its GPUs have in use; of a job without, what its processes take of the host's.
    """
    from rich.console import Console

    from cosinterp.cli.console import err, out, print_json, print_warning
    from cosinterp.cli.jobs_table import jobs_table
    from stores.units import count_text

    wanted = _states(state)
    known = [status for _, status in reversed(known_jobs(print_warning))]
    fitting = [status for status in known if status.state in wanted]
    if as_json:
        print_json([status.as_data() for status in fitting])
        return
    if not fitting:
        said = "no job is selected" if known else "no job yet: give a long command --detach"
        err().print(said, markup=False, soft_wrap=True)
        return
    shown = fitting if every or state is not None else _newest(fitting)
    # A pipe has no width that a name would have to be cut to.
    wide = not out().is_terminal
    console = Console(highlight=False, emoji=False, width=_NO_WIDTH) if wide else out()
    bars = not wide and out().encoding.startswith("utf")
    console.print(jobs_table(shown, time.time(), console.width, bars=bars))
    if len(shown) < len(fitting):
        older = count_text(len(fitting) - len(shown), "older job")
        err().print(f"and {older}: --all", markup=False, soft_wrap=True)


def show(job: OneJob, as_json: AsJson = False) -> None:
    """Say everything of one job: how it stands, how each attempt ended, and what repeats it."""
    from cosinterp.cli.console import out, print_json
    from cosinterp.jobs.account import attempts_of, data_of, lines_of
    from cosinterp.jobs.outcome import outcome_of

    found = named_job(job)
    if as_json:
        print_json(data_of(found))
        return
    out().print(found.id, style="bold", markup=False)
    target = outcome_of(found.spec).main
    lines = lines_of(found, found.status(), attempts_of(found.events()), target, time.time())
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        # Unbroken, so that a command can be pasted.
        out().print(f"  {name:{width}}  {text}", markup=False, soft_wrap=True)


def wait(
    jobs: LiveJobs,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Then give up.", min=0, show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Wait until jobs have ended.

    Ends with exit code 0 if all of them finished, 1 if one did not, and 124 if --timeout passed before.
    Ctrl-C ends the waiting, and no job.
    """
    from cosinterp.cli.console import err, out, print_json
    from cosinterp.jobs.texts import ended_text

    meant = named_jobs(jobs)
    ended = wait_for(meant, timeout)
    stands = [job.status() for job in meant]
    if as_json:
        print_json([status.as_data() for status in stands])
    for status in () if as_json else stands:
        out().print(ended_text(status), markup=False, soft_wrap=True)
    if not ended:
        err().print(f"not ended after {timeout:g} s", markup=False, soft_wrap=True)
        raise typer.Exit(_TIMED_OUT)
    if any(status.state is not State.FINISHED for status in stands):
        raise typer.Exit(1)


def wait_for(jobs: list[Job], timeout: float | None = None) -> bool:
    """Wait until all jobs have ended; False: so many seconds passed before."""
    deadline = None if timeout is None else time.monotonic() + timeout
    for job in jobs:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not job.wait(left).is_final:
            return False
    return True


def _newest(statuses: list[Status]) -> list[Status]:
    """Those that go on, and the newest of the others."""
    ended = [status for status in statuses if status.state.is_final][:_SHOWN]
    return [status for status in statuses if not status.state.is_final or status in ended]


def _states(text: str | None) -> frozenset[State]:
    """Raises JobError: there is no such state."""
    from cosinterp.errors import JobError

    if text is None:
        return frozenset(State)
    names = [name.strip().replace("-", "_") for name in text.split(",")]
    wrong = [name for name in names if name not in set(State)]
    if wrong:
        raise JobError(f"--state {text}: there is no state {wrong[0]!r}; states are {', '.join(_STATES)}")
    return frozenset(map(State, names))
