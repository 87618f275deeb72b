"""The words of a command line, parsed by the very parser of the command line, and no more than parsed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import typer

from cosinterp.cli import COMMANDS
from cosinterp.cli.lazy import Command, Group, named
from cosinterp.rehearsal.answer import Answer
from cosinterp.rehearsal.naming import called, flag_meant, name_of

# Typer may bring a Click of its own.
UsageError: type[Exception] = typer.BadParameter.__bases__[0]

DRY_RUN = "--dry-run"
REHEARSED = (
    *("trace", "ensemble", "patch", "ablate", "steer", "attribute", "noise", "probe", "experiment", "decode"),
)
"""The commands whose dry run says what they take, quickly, and writes nothing."""

# --help would print a page into the terminal of whoever asks.
_NO_PAGES: dict[str, Any] = {"help_option_names": []}


def check_words(words: Sequence[str]) -> Answer:
    """Whether the words behind ``cosinterp`` can be parsed; nothing of them is carried out.

    Told are an unknown command or flag, a missing or superfluous value, and one of the wrong type. Takes
    milliseconds, the first time of a command some tens, and loads no model library.
    """
    try:
        names, command, rest = split(words)
        given_flags(command, names, rest)
    except UsageError as error:
        return refusal(error)
    return Answer(True)


def split(words: Sequence[str]) -> tuple[Sequence[str], Any, Sequence[str]]:
    """The words that name a command, the command, loaded, and the words behind its name.

    Raises:
        UsageError: there is no such command.
    """
    found = named(COMMANDS, words)
    if found is not None:
        command, count = found
        return words[:count], _loaded(command), words[count:]
    groups = (entry for entry in COMMANDS if isinstance(entry, Group))
    group = next((group for group in groups if words and group.name == words[0]), None)
    said = " ".join(words[: 1 if group is None else 2])
    known = ", ".join(entry.name for entry in (COMMANDS if group is None else group.entries))
    raise UsageError(f'there is no command "{said}"; there is {known}')


def given_flags(command: Any, names: Sequence[str], rest: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The flags that are among the words of a command, and its arguments by their names, with their values.

    Raises:
        UsageError: the words cannot be parsed.
    """
    given: dict[str, tuple[str, ...]] = {}
    with command.make_context(names[-1], list(rest), **_NO_PAGES) as context:
        for parameter in command.params:
            source = context.get_parameter_source(parameter.name)
            if source is None or source.name != "COMMANDLINE":
                continue
            value = context.params.get(parameter.name)
            values = value if isinstance(value, list | tuple) else (value,)
            given[called(parameter)] = tuple(str(one) for one in values)
    return given


def flags_of(command: Any) -> dict[str, bool]:
    """The flags of a command, and whether each takes a value."""
    return {
        flag: not parameter.is_flag
        for parameter in command.params
        if parameter.param_type_name == "option"
        for flag in (*parameter.opts, *parameter.secondary_opts)
    }


def refusal(error: Exception) -> Answer:
    """What the parser says of words that it refuses."""
    message = error.format_message()  # type: ignore[attr-defined]
    return Answer(False, message, name_of(error) or flag_meant(message, {}))


@cache
def _loaded(command: Command) -> Any:
    return command.load()
