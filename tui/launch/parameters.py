"""What a form knows of each flag of a command, read from the command itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import import_module
from inspect import signature
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union, get_args, get_origin

from rich.text import Text

if TYPE_CHECKING:
    from cosinterp.cli.lazy import Command

Value: TypeAlias = "str | bool | tuple[str, ...]"
Values: TypeAlias = Mapping[str, Value]
"""By the names of parameters, only those that are given: a text, whether a flag is on, or several texts."""

JOB_NAME = "job_name"
LEFT_OUT = frozenset(("--detach", "--dry-run", "--no-measure", "--json", "--help"))
"""Said of a launch or a rehearsal; a form starts jobs, so that it has no use for them."""


class Kind(Enum):
    """How a flag is filled in."""

    TEXT = "text"
    CHOICE = "choice"
    FLAG = "flag"
    PATH = "path"


@dataclass(frozen=True)
class Parameter:
    """A flag or an argument of a command.

    Attributes:
        name: that of the command's parameter, such as "num_steps".
        flags: as they are typed, such as ("--samples", "--sample"); () of an argument.
        off: what turns a flag off, such as "--no-video"; None: nothing does.
        metavar: how an argument is called, such as "STORE"; "" where the command does not say.
        kind: how it is filled in.
        repeated: whether it takes several values.
        required: whether it has to be given.
        default: the value without it; None: the command finds one itself.
        shown: what is said in place of a value that is not given, such as "the model's"; may be empty.
        panel: the heading it stands under in the command's help; None: no heading of its own.
        help: what the command says of it.
        choices: the values of a choice.
    """

    name: str
    flags: tuple[str, ...]
    off: str | None
    metavar: str
    kind: Kind
    repeated: bool
    required: bool
    default: Value | None
    shown: str
    panel: str | None
    help: str
    choices: tuple[str, ...] = ()

    @property
    def positional(self) -> bool:
        """Whether it is an argument, which has no flag."""
        return not self.flags

    @property
    def called(self) -> str:
        """How it is named to the user: "--num-steps" or "STORE"."""
        return self.flags[0] if self.flags else self.metavar or self.name.upper()

    def answers_to(self, name: str) -> bool:
        """Whether ``name`` means it: "num_steps", "num-steps" or "--num-steps"."""
        bare = name.lstrip("-").replace("_", "-")
        return bare in (self.name.replace("_", "-"), *(flag.lstrip("-") for flag in self.flags))


@cache
def loaded(entry: Command) -> Any:
    """The command itself, which is imported the first time."""
    return entry.load()


@cache
def parameters_of(entry: Command) -> tuple[Parameter, ...]:
    """The parameters of a command in its order; imports the command.

    What a value is is taken from the function's annotations, all else from the command that Typer makes of
    it, whose innards differ between its versions.
    """
    module, _, function = entry.target.partition(":")
    annotated = signature(getattr(import_module(module), function), eval_str=True).parameters
    made = []
    for parameter in loaded(entry).params:
        if not LEFT_OUT.isdisjoint((*parameter.opts, *parameter.secondary_opts)):
            continue
        known = annotated.get(parameter.name)
        made.append(_parameter(parameter, str if known is None else known.annotation))
    return tuple(made)


def _parameter(parameter: Any, annotation: Any) -> Parameter:
    base, repeated = _plain(annotation)
    positional = parameter.param_type_name == "argument"
    is_flag = not positional and bool(parameter.is_flag)
    choices: tuple[str, ...] = ()
    kind = Kind.TEXT
    if is_flag:
        kind = Kind.FLAG
    elif isinstance(base, type) and issubclass(base, Enum):
        kind, choices = Kind.CHOICE, tuple(str(member.value) for member in base)
    elif isinstance(base, type) and issubclass(base, Path):
        kind = Kind.PATH
    default = _default(parameter.default, is_flag)
    told = parameter.show_default
    shown = told if isinstance(told, str) else default if isinstance(default, str) else ""
    return Parameter(
        name=str(parameter.name),
        flags=() if positional else tuple(parameter.opts),
        off=next(iter(parameter.secondary_opts), None),
        metavar=parameter.metavar or "",
        kind=kind,
        repeated=repeated,
        required=bool(parameter.required),
        default=default,
        shown=shown,
        panel=getattr(parameter, "rich_help_panel", None),
        # It is written for a help page, with marks for how it looks.
        help=Text.from_markup(parameter.help or "").plain,
        choices=choices,
    )


def _plain(annotation: Any) -> tuple[Any, bool]:
    """The type of one value, and whether there may be several."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(one for one in get_args(annotation) if one is not NoneType)
    if get_origin(annotation) is list:
        return get_args(annotation)[0], True
    return annotation, False


def _default(value: Any, is_flag: bool) -> Value | None:
    if is_flag:
        return bool(value)
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return tuple(str(one) for one in value)
    return str(value.value if isinstance(value, Enum) else value)
