"""Which flag an error message is about."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
_LEADING = re.compile(r"(?:unknown |no |the )?([a-z][a-z_ ]*?)s?(?=[ :,])")


def name_of(error: Exception) -> str | None:
    """The flag, or the argument's name, that the parser's own error is about; None: of none."""
    option = getattr(error, "option_name", None)
    if option is not None:
        return str(option)
    parameter = getattr(error, "param", None)
    if parameter is None:
        return None
    return called(parameter)


def called(parameter: Any) -> str:
    """A flag in full, or an argument by the name that the help gives it: "--steps", "STORE"."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name).upper()
    return max(parameter.opts, key=lambda flag: (flag.startswith("--"), len(flag)))


def flag_meant(message: str, given: Mapping[str, Sequence[str]], known: Sequence[str] = ()) -> str | None:
    """The flag that the message of a command is about; None: of no single one.

    Messages begin with the flag that they are about, or with its name ("steps: ..."); or they name a flag in
    what there is to do, of several perhaps one that was given; or they quote the value of one, if not of
    several, where the place that a message begins with ("runs/x: ...") counts only if nothing else is quoted.
    The first of these that is so counts.

    Args:
        message: of the command.
        given: the flags (and arguments, by their names) that were given, with their values.
        known: all flags of the command; empty: whichever there are.
    """
    named = [flag for flag in _FLAG.findall(message) if not known or flag in known]
    first = message.split("\n", 1)[0]
    if named and first.startswith(named[0]):
        return named[0]
    leading = _LEADING.match(first)
    if leading is not None:
        stem = leading[1].strip().replace("_", "-").replace(" ", "-")
        for flag in (f"--{stem}", f"--{stem}s"):
            if flag in known:
                return flag
    if named:
        return next((flag for flag in named if flag in given), named[0])
    quoted = {flag: value for flag, values in given.items() for value in values if _quotes(message, value)}
    beyond = [flag for flag, value in quoted.items() if not message.startswith(value)]
    return next(iter(beyond or quoted), None) if len(beyond) < 2 else None


def _quotes(message: str, value: str) -> bool:
    """Whether a message names a value, as a word of its own."""
    if not value:
        return False
    return re.search(rf"(?<![\w./-]){re.escape(value)}(?![\w/-])", message) is not None
