"""What is known of a form that is being filled in, in words."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from cosinterp.jobs.texts import span_text
from stores.units import count_text, size_text

if TYPE_CHECKING:
    from cosinterp.rehearsal import Answer, Plan
    from tui.jobs.watch import JobsSeen

MUCH = 10_000_000_000
"""Bytes to be written from which on a form asks before it starts a job."""
LONG = 3600.0
"""Seconds that a job takes from which on a form asks before it starts it."""
_GAP = "  "
_NOT_ASKED = "--no-measure"
"""What a form asks with; lines that say so are of no use to who fills it in."""


class Stage(Enum):
    """How far the command line's word on a form has come."""

    NOTHING = "nothing asked"
    ASKED = "being asked"
    REFUSED = "refused"
    PLANNED = "planned"


@dataclass(frozen=True)
class Outlook:
    """What is known of the words of a form.

    Attributes:
        stage: how far it has come.
        said: why nothing is asked, or what is asked, or the error.
        answer: of the command line; None: it has not answered.
    """

    stage: Stage
    said: str = ""
    answer: Answer | None = None

    @property
    def plan(self) -> Plan | None:
        """What would be done, if that is known."""
        return None if self.answer is None else self.answer.plan

    @property
    def short(self) -> str:
        """One line."""
        if self.stage is Stage.REFUSED:
            return f"! {self.said.splitlines()[0] if self.said else 'refused'}"
        if self.plan is not None:
            return numbers(self.plan) or "checked"
        return self.said

    @property
    def is_unknown(self) -> bool:
        """Whether what would be done could not be found out, by a fault that is not the user's."""
        return self.answer is not None and bool(self.answer.bug)

    @property
    def warning(self) -> str:
        """What has to be said before so much is started; "": it is not much, as far as that is known."""
        plan = self.plan
        if (
            self.stage is Stage.REFUSED
            or plan is None
            or ((plan.bytes or 0) <= MUCH and (plan.seconds or 0) <= LONG)
        ):
            return ""
        return f"This takes {numbers(plan)}."


def numbers(plan: Plan) -> str:
    """What a plan takes, in figures; those that are not known are left out."""
    parts = []
    if plan.runs is not None:
        parts.append(count_text(plan.runs, "run"))
    if plan.rows is not None:
        parts.append(count_text(plan.rows, "row"))
    if plan.bytes is not None:
        parts.append(size_text(plan.bytes))
    if plan.seconds is not None:
        parts.append(f"about {span_text(plan.seconds)}")
    if plan.gpu_memory and plan.device != "cpu":
        parts.append(f"{size_text(plan.gpu_memory)} of GPU memory")
    return ", ".join(parts)


def page(outlook: Outlook, jobs: JobsSeen | None, wrong: Style, quiet: Style) -> RenderableType:
    """All that is known of the words of a form.

    Args:
        outlook: what the command line says.
        jobs: all there are, for the queue; None: not known yet.
        wrong, quiet: styles for errors and for what is said by the way.
    """
    parts: list[RenderableType] = []
    if outlook.stage is Stage.REFUSED:
        parts.append(Text(f"! {outlook.said.rstrip()}", wrong))
    elif outlook.plan is None:
        parts.append(Text(outlook.said, quiet))
    if outlook.plan is not None:
        if figures := numbers(outlook.plan):
            parts.append(Text(figures, "bold"))
        parts += _aligned([line for line in outlook.plan.lines if _NOT_ASKED not in line], quiet)
    if outlook.answer is not None:
        parts += [Text(line, quiet) for line in outlook.answer.remarks]
    if jobs is not None:
        parts.append(Text(queue_text(jobs), quiet))
    return Group(*parts)


def _aligned(lines: Sequence[str], quiet: Style) -> Iterator[RenderableType]:
    """Lines, some of a name and what is said of it; what is wrapped of those stays in its column."""
    for are_named, group in groupby(lines, key=lambda line: _GAP in line):
        if not are_named:
            yield from (Text(line) for line in group)
            continue
        table = Table.grid(padding=(0, 2))
        table.add_column(style=quiet, no_wrap=True)
        table.add_column()
        for line in group:
            name, _, said = line.partition(_GAP)
            table.add_row(Text(name), Text(said.strip()))
        yield table


def queue_text(jobs: JobsSeen) -> str:
    """How many jobs take their turns, in a word."""
    waiting = sum(status.state.value == "queued" for status in jobs.living)
    running = len(jobs.living) - waiting
    return f"queue: {running} running, {waiting} waiting" if jobs.living else "queue: empty"


def command_text(words: Sequence[str]) -> str:
    """A command line as it would be typed.

    >>> command_text(["cosinterp", "trace", "--only", "maze-*"])
    "cosinterp trace --only 'maze-*'"
    """
    return shlex.join(words)
