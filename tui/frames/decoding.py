"""Decoding runs by detached jobs, and what is said of it in the place of the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cosinterp.jobs.texts import one_line, span_text, state_text
from tui.frames.film import decode_words

if TYPE_CHECKING:
    from cosinterp.jobs.status import Status
    from tui.browser.rows import Row

Group = tuple["Row", ...]
"""Runs that one job decodes: of one store, sample and variant."""


def groups(rows: Sequence[Row]) -> list[Group]:
    """Runs by the jobs that decode them."""
    found: dict[tuple[Path, str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.store, row.sample, row.variant), []).append(row)
    return [tuple(sorted(group, key=lambda row: row.seed)) for group in found.values()]


def start(rows: Group) -> str:
    """Start the job that decodes runs; it may block. Returns its id.

    Raises:
        UserError: it cannot be kept, or failed at once.
    """
    from cosinterp.jobs.launching import submit
    from cosinterp.jobs.spec import JobSpec

    return submit(JobSpec.of_words(decode_words(rows))).id


def words_of(status: Status) -> str:
    """What a job that decodes is doing, or how it ended badly; nothing if it ended well."""
    where = f"job {status.id} (4 leads to it)"
    if status.state == "finished":
        return ""
    if status.state.is_final:
        why = one_line(status.message)
        return f"decoding {state_text(status.state)}{': ' if why else ''}{why}\n{where}"
    if status.state != "running":
        why = one_line(status.message)
        return f"decoding is {state_text(status.state)}{': ' if why else ''}{why}\n{where}"
    done = one_line(status.description) or "starting"
    if status.done is not None and status.total:
        done = f"step {status.done:.0f} of {status.total:.0f}"
    left = "" if status.seconds_left is None else f", {span_text(status.seconds_left)} left"
    return f"decoding: {done}{left}\n{where}"
