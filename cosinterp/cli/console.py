"""Where the command line prints: results to standard output, all else to standard error.

A command that runs as a job prints into its log, and what it is doing is told to the job too.
"""

from __future__ import annotations

import json
import os
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from rich.console import Console
from rich.status import Status

from cosinterp.jobs.telling import FOLDER, tell

_NOT_COUNTED = dict.fromkeys(("done", "total", "unit", "rate", "seconds_left", "sample", "seeds"))


class _ToldConsole(Console):
    """A console that tells the job what is being done."""

    def status(self, status: Any, **settings: Any) -> Status:
        """As `rich.console.Console.status`."""
        tell(description=str(status), **_NOT_COUNTED)
        return super().status(status, **settings)


@cache
def out() -> Console:
    """The console of results. Its text can be piped: nothing is coloured by guess, and no line of it is
    broken unless the terminal is narrower than a table. Nor is ``:x:`` in a path drawn as a picture."""
    return Console(highlight=False, emoji=False, force_terminal=_terminal())


@cache
def err() -> Console:
    """The console of progress, remarks and errors."""
    return _ToldConsole(stderr=True, highlight=False, emoji=False, force_terminal=_terminal())


def _terminal() -> bool | None:
    """False for a job, whatever FORCE_COLOR says: its log is read as text. None: look and see."""
    return False if FOLDER in os.environ else None


def print_json(data: Any) -> None:
    """Print ``data`` (JSON-able) to standard output: indented, keys in the order they come, no colour.

    NaN and infinity are no JSON and raise `ValueError`; a value that may be one has to be ``None``.
    """
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    out().print(text, markup=False, soft_wrap=True)


def print_sentence(console: Console, text: str, *, indent: int = 2, hanging: int = 2) -> None:
    """Print ``text`` set in by ``indent``: broken between words on a terminal, unbroken elsewhere.

    Args:
        console: where to.
        text: without markup.
        indent: spaces before it.
        hanging: spaces more before its further lines.
    """
    first = " " * indent
    if console.is_terminal:
        further = " " * (indent + hanging)
        lines = textwrap.wrap(
            text,
            console.width,
            initial_indent=first,
            subsequent_indent=further,
            break_long_words=False,
            break_on_hyphens=False,
        )
        printed = "\n".join(lines)
    else:
        printed = first + text
    console.print(printed, markup=False, soft_wrap=True)


def print_warning(message: str) -> None:
    """Print ``message`` to standard error as ``warning: ...``, unbroken and without markup."""
    err().print("warning: ", style="bold yellow", end="")
    err().print(message, markup=False, soft_wrap=True)


@contextmanager
def warnings_shown() -> Iterator[None]:
    """Print what is warned of a model within the block as one line, without the place in the code."""
    from cosinterp.errors import ModelWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", ModelWarning)
        plain = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, ModelWarning):
                print_warning(str(message))
            else:
                plain(message, category, *place, **more)

        warnings.showwarning = show
        yield


def print_error(message: str) -> None:
    """Print ``message`` to standard error as ``error: ...``, unbroken and without markup."""
    err().print("error: ", style="bold red", end="")
    err().print(message, markup=False, soft_wrap=True)
