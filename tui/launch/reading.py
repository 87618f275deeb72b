"""What the forms read and do that may block: call it from `tui.background` only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui.launch.errors import FormError
from tui.launch.forms import FIRST, Form, form_of
from tui.launch.parameters import Values
from tui.launch.words import entries, plain_values, values_of


@dataclass(frozen=True)
class Wanted:
    """A form that is wanted: that of a command, filled in or not, or that of a command line.

    Attributes:
        command: such as "trace"; "": that of ``words``.
        given: by the names of parameters or flags; None: what was last filled in.
        words: a command line; () if there is none.
        cwd: where it was typed; None: in the folder that the app is in.
    """

    command: str = ""
    given: Mapping[str, Any] | None = None
    words: tuple[str, ...] = ()
    cwd: Path | None = None


def read_form(wanted: Wanted) -> tuple[Form, Values | None]:
    """A form and what is filled in of it; None: nothing was said of that.

    Raises:
        FormError: there is no such command, or it has no such flags.
    """
    command, values = wanted.command, None
    if wanted.words:
        filled = values_of(wanted.words, wanted.cwd)
        command, values = filled.command, filled.values
    entry = entries().get(command)
    if entry is None:
        raise FormError(f'"{command}" is no command that can be a job')
    form = form_of(command, entry)
    if wanted.given is not None:
        values = plain_values(form.parameters, wanted.given)
    return form, values


def all_commands() -> list[tuple[str, str]]:
    """Every command that has a form, and a line on what it does; those that are used most come first."""
    known = entries()
    order = [*FIRST, *(name for name in known if name not in FIRST)]
    return [(name, known[name].help) for name in order]


def start(words: Sequence[str], name: str | None) -> str:
    """Start a job of the words behind ``cosinterp``; its id. Takes up to two seconds.

    Raises:
        UserError: it cannot be started, or failed at once.
    """
    from cosinterp.jobs.launching import submit
    from cosinterp.jobs.spec import JobSpec

    return submit(JobSpec.of_words(words, name=name)).id
