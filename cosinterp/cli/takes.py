"""What dry runs print: names and texts in two columns, and what a command takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cosinterp.cli.console import out, print_json

if TYPE_CHECKING:
    from cosinterp.planning.takes import Takes

Lines = Sequence[tuple[str, str]]


def columns(lines: Lines) -> list[str]:
    """Names and texts as they are printed."""
    return [f"{name:<11} {text}" if name else text for name, text in lines]


def print_lines(lines: Lines) -> None:
    """Print names and texts."""
    for line in columns(lines):
        out().print(line, markup=False, soft_wrap=True)


def show(takes: Takes, lines: Lines, data: dict[str, Any], as_json: bool) -> None:
    """Print a dry run.

    Args:
        takes: what the command takes.
        lines: what it says before that.
        data: what it says of its own as JSON.
        as_json: whether JSON is asked for.
    """
    if as_json:
        print_json({**data, **said(takes, lines)})
    else:
        print_lines([*lines, *takes.lines()])


def said(takes: Takes, lines: Lines) -> dict[str, Any]:
    """What the JSON of every dry run has: ``takes``, and in ``lines`` what is printed without --json.

    ``lines``: what the command prints before what it takes.
    """
    return {"takes": takes.as_data(), "lines": columns([*lines, *takes.lines()])}
