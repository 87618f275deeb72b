"""Everything that is told of one job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.jobs.outcome import outcome_of
from cosinterp.jobs.state import State
from cosinterp.jobs.texts import (
    amount_text,
    moment_text,
    one_line,
    outcome_text,
    pasteable,
    place_text,
    plain,
    rate_text,
    share_of,
    span_text,
)
from stores.units import size_text

if TYPE_CHECKING:
    from cosinterp.jobs.events import Event
    from cosinterp.jobs.job import Job
    from cosinterp.jobs.status import Status


@dataclass
class Attempt:
    """How an attempt went; times in seconds since the epoch. What is not known is None."""

    attempt: int
    submitted: float | None = None
    started: float | None = None
    ended: float | None = None
    state: str | None = None
    message: str | None = None


def data_of(job: Job) -> dict[str, Any]:
    """All that is known of a job, as JSON."""
    target = outcome_of(job.spec).main
    return {
        **job.status().as_data(),
        "folder": str(job.path),
        "log": str(job.log_path),
        "works_on": None if target is None else str(target),
        "command": pasteable(job.spec),
        "python": job.spec.python,
        "version": job.spec.version,
        "attempts": [asdict(one) for one in attempts_of(job.events())],
    }


def attempts_of(events: Iterable[Event]) -> list[Attempt]:
    """What happened in each attempt, the first one first."""
    found: dict[int, Attempt] = {}
    for event in events:
        attempt = found.setdefault(event.attempt, Attempt(event.attempt))
        if event.event in ("submitted", "started"):
            setattr(attempt, event.event, event.time)
        elif event.is_end:
            attempt.ended, attempt.state = event.time, event.event
            attempt.message = event.details.get("message")
    return [found[number] for number in sorted(found)]


def lines_of(
    job: Job, status: Status, attempts: Sequence[Attempt], target: Path | None, now: float
) -> list[tuple[str, str]]:
    """What is told of a job: pairs of a name and a text.

    Args:
        job: which.
        status: how it stands with it.
        attempts: how each went, as `attempts_of` tells it.
        target: what it works on.
        now: seconds since the epoch.
    """
    lines = [
        ("state", outcome_text(status.state, status.message)),
        *_work(status),
        *_machine(status),
        ("asked for", f"{moment_text(status.created)}, {span_text(now - status.created)} ago"),
        *(("attempt", _attempt(one, status, now)) for one in attempts),
        ("folder", str(job.path)),
        ("works on", "" if target is None else plain(str(target))),
        ("command", pasteable(job.spec)),
        ("log", f"cosinterp jobs logs {'' if status.state.is_final else '-f '}{status.id}"),
        ("to go on", _to_go_on(status)),
    ]
    return [(name, text) for name, text in lines if text]


def _work(status: Status) -> Iterator[tuple[str, str]]:
    if status.state is not State.FINISHED:
        parts = (one_line(status.description), one_line(place_text(status)))
        yield "doing" if not status.state.is_final else "was doing", ", ".join(part for part in parts if part)
    if status.done is None:
        return
    unit = "" if status.unit in (None, "bytes") else f" {status.unit}"
    of = "" if not status.total else f" of {amount_text(status.total, status.unit)}"
    share = share_of(status)
    told = [
        f"{amount_text(status.done, status.unit)}{of}{unit}" + ("" if share is None else f" ({share:.0%})")
    ]
    if not status.state.is_final:
        told.append(rate_text(status.rate, status.unit))
        if status.seconds_left is not None and status.done != status.total:
            told.append(f"about {span_text(status.seconds_left)} left")
    yield "done", ", ".join(part for part in told if part)


def _machine(status: Status) -> Iterator[tuple[str, str]]:
    where = "" if status.host is None else status.host
    if not status.state.is_final and status.pid is not None:
        where += f", process {status.pid}"
    yield (
        "runs on" if not status.state.is_final else "ran on",
        ", ".join(part for part in (where, *status.devices) if part),
    )
    used = [] if status.host_memory is None else [f"{size_text(status.host_memory)} of the host"]
    for gpu in status.gpus:
        memory, busy = gpu.get("memory"), gpu.get("utilization")
        told = [] if memory is None else [size_text(memory)]
        told += [] if busy is None else [f"{busy:.0f} % busy"]
        used.append(f"GPU {gpu.get('index')}: {', '.join(told) or 'not known'}")
    yield "memory", "; ".join(used)


def _attempt(one: Attempt, status: Status, now: float) -> str:
    begun = one.started or one.submitted
    when = "" if begun is None else f", {moment_text(begun)}"
    ended, state, message = one.ended, one.state, one.message
    if state is None and one.attempt == status.attempt and status.state.is_final:
        # Nobody lived to write it down.
        ended, state, message = status.ended, status.state.value, status.message
    if state is None:
        return f"{one.attempt}{when}"
    took = "" if begun is None or ended is None else f" after {span_text(ended - begun)}"
    return f"{one.attempt}{when}: {outcome_text(state, message, took)}"


def _to_go_on(status: Status) -> str:
    unfinished = status.state.is_final and status.state is not State.FINISHED
    return f"cosinterp jobs resume {status.id}" if unfinished else ""
