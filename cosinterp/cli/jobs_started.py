"""What is said of a job that was just started: how to follow it, to stop it, and where it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cosinterp.cli.console import err
from cosinterp.jobs.outcome import outcome_of
from cosinterp.jobs.texts import one_line, plain, state_text

if TYPE_CHECKING:
    from cosinterp.jobs.job import Job
    from cosinterp.jobs.status import Status


def say_started(job: Job) -> Status:
    """Print to standard error how it stands with a job, which is returned, and how to go on from there."""
    status = job.status()
    err().print(f"job {job.id} {_how(status)}", markup=False, soft_wrap=True)
    target = outcome_of(job.spec).main
    lines = {
        "works on": None if target is None else plain(str(target)),
        "follow it": f"cosinterp jobs logs -f {job.id}",
        "cancel it": None if status.state.is_final else f"cosinterp jobs cancel {job.id}",
    }
    for name, text in lines.items():
        if text is not None:
            err().print(f"  {name + ':':<10} {text}", markup=False, soft_wrap=True)
    return status


def _how(status: Status) -> str:
    if status.state.is_final:
        return f"is {state_text(status.state)}"
    if status.state.value == "queued":
        why = one_line(status.message)
        return f"waits: {why}" if why else "waits"
    return "runs, and goes on without this terminal"
