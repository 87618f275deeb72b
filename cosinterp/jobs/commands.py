"""What is known of a command before it is run: which flags it has, and which devices its words ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cosinterp.errors import JobError

_RESUME = "--resume"
_DEVICE = "--device"
_ADDRESS = "--address"
_EXECUTOR = "--executor"
_OF_ALL_GPUS = "ray"
_DETACH = "--detach"
# They ask or show something, or are about jobs themselves.
_NO_JOBS = frozenset(("tui", "jobs"))


@dataclass(frozen=True)
class Described:
    """A command and the words that it is given.

    Attributes:
        words: all of them, the command's name first.
        names: how many of them name the command: "store verify" is two.
        takes_value: the flags of the command; whether a value follows.
    """

    words: tuple[str, ...]
    names: int
    takes_value: dict[str, bool]

    @property
    def takes_device(self) -> bool:
        """Whether it can use a GPU of this machine."""
        return _DEVICE in self.takes_value and self._value_of(_ADDRESS) is None

    @property
    def device(self) -> str | None:
        """The text of its --device; None: none is given."""
        return self._value_of(_DEVICE) if self.takes_device else None

    @property
    def takes_all(self) -> bool:
        """Whether it takes all GPUs of this machine that it sees, unless it is told to take none."""
        return self.takes_device and self._value_of(_EXECUTOR) == _OF_ALL_GPUS

    @property
    def resuming(self) -> tuple[str, ...]:
        """The words with which it goes on where it stopped; the same, if it has no flag for that."""
        if _RESUME not in self.takes_value or any(flag == _RESUME for flag, _ in self._flags()):
            return self.words
        return (*self.words[: self.names], _RESUME, *self.words[self.names :])

    def _value_of(self, wanted: str) -> str | None:
        """The value of a flag, the last one if it is given twice."""
        values = [value for flag, value in self._flags() if flag == wanted]
        return values[-1] if values else None

    def _flags(self) -> list[tuple[str, str | None]]:
        """The flags among the words, with their values: a word after one that takes a value is no flag."""
        found: list[tuple[str, str | None]] = []
        rest = iter(self.words[self.names :])
        for word in rest:
            if word == "--":
                break
            flag, has_value, value = word.partition("=")
            if flag in self.takes_value:
                given = value if has_value else next(rest, None) if self.takes_value[flag] else None
                found.append((flag, given))
        return found


def described(words: Sequence[str]) -> Described:
    """What is known of the command of some words, which is imported for that.

    Raises:
        JobError: there is no such command, or it cannot be a job.
    """
    from cosinterp.cli import COMMANDS
    from cosinterp.cli.lazy import named

    if words and words[0] in _NO_JOBS:
        raise JobError(f'"{words[0]}" cannot be a job')
    found = named(COMMANDS, words)
    if found is None:
        said = " ".join(words[:2])
        raise JobError(f'there is no command "{said}"; see: cosinterp --help')
    command, count = found
    known = Described(tuple(words), count, _flags_of(command.load()))
    if any(flag == _DETACH for flag, _ in known._flags()):
        raise JobError(f"a job is detached already; leave out {_DETACH}")
    return known


def _flags_of(command: Any) -> dict[str, bool]:
    return {
        flag: not (parameter.is_flag or parameter.count)
        for parameter in command.params
        if parameter.param_type_name == "option"
        for flag in (*parameter.opts, *parameter.secondary_opts)
    }
