"""Telling once that a job has ended, wherever in the app the user is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cosinterp.jobs.status import Status
    from tui.jobs.watch import JobsSeen

MOST_TOLD = 3


def ended_between(before: JobsSeen | None, now: JobsSeen) -> list[Status]:
    """How those jobs stand that lived before and have ended since; none of which that is not known."""
    lived = set() if before is None else {status.id for status in before.living}
    found = [seen.status for seen in now.jobs if seen.status is not None and not seen.lives]
    return [status for status in found if status.id in lived]


def ending_text(status: Status) -> str:
    """That a job has ended, how, and what to press."""
    from cosinterp.jobs.texts import outcome_text, span_text

    took = ""
    if status.started is not None and status.ended is not None:
        took = f" after {span_text(status.ended - status.started)}"
    leads = "4 and enter lead to what it made"
    if status.state.value != "finished":
        leads = "4 leads to it"
    return f"{status.id} {outcome_text(status.state, status.message, took)}. {leads}"
