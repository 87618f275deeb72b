"""What jobs are told to do. All of it may block, and each says in a line what it did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cosinterp.errors import JobError
from cosinterp.jobs.commands import described
from cosinterp.jobs.job import Job
from cosinterp.jobs.launching import submit
from cosinterp.jobs.outcome import Outcome, results_of
from cosinterp.jobs.spec import JobSpec
from cosinterp.jobs.texts import state_text
from stores.units import count_text


def cancel(path: Path) -> str:
    """Have a job stop. Raises JobError: it has ended, or runs elsewhere."""
    job = Job(path)
    twice = job.state().value == "cancelling"
    job.cancel()
    return f"{job.id} is told {'again to stop: it is quicker now' if twice else 'to stop'}"


def resume(path: Path) -> str:
    """Have a job go on where it stopped. Raises UserError: it runs, is finished, or does not start."""
    job = Job(path)
    job.resume()
    return f"{job.id} goes on: {state_text(job.state())}"


def restart(path: Path) -> str:
    """Start a new job with the words of one. Raises UserError: it does not start."""
    spec = Job(path).spec
    job = submit(JobSpec(words=spec.words, cwd=spec.cwd, name=spec.name))
    return f"{job.id} begins anew what {path.name} was to do: {state_text(job.state())}"


def remove(paths: Sequence[Path]) -> str:
    """Remove what is kept of jobs. Raises JobError: one of them cannot be removed; the others are."""
    problems: list[str] = []
    for path in paths:
        try:
            Job(path).remove()
        except JobError as error:
            problems.append(str(error))
    if problems:
        more = f" (and {count_text(len(problems) - 1, 'job')} more)" if len(problems) > 1 else ""
        raise JobError(f"{problems[0]}{more}")
    return f"removed {paths[0].name}" if len(paths) == 1 else f"removed {count_text(len(paths), 'job')}"


def goes_on(spec: JobSpec) -> bool:
    """Whether a command that is resumed goes on where it stopped, and does not begin anew.

    Raises:
        JobError: there is no such command.
    """
    command = described(spec.words)
    return command.resuming != command.words or "--resume" in command.words


def leads_to(spec: JobSpec, outcome: Outcome) -> tuple[Path, str | None] | None:
    """The store that a job leads to, and the result in it, if it made one; None: neither is there."""
    if outcome.store is None or not outcome.store.is_dir():
        return None
    return outcome.store, next(iter(results_of(spec, outcome)), None)
