"""Between the values of a form and the words of a command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.launch.errors import FormError
from tui.launch.parameters import JOB_NAME, Kind, Parameter, Value, Values, loaded, parameters_of

if TYPE_CHECKING:
    from cosinterp.cli.lazy import Command

_PROGRAMS = (("python", "-m", "cosinterp"), ("cosinterp",))
_PRESET = "preset"


@dataclass(frozen=True)
class Filled:
    """A command and what is filled in of it; ``command`` is "trace" or "store verify"."""

    command: str
    values: Values


def entries() -> dict[str, Command]:
    """Every command that can be a job, by its name, in the order of ``cosinterp --help``."""
    from cosinterp.cli import COMMANDS
    from cosinterp.cli.lazy import Group

    found: dict[str, Command] = {}
    for entry in COMMANDS:
        if isinstance(entry, Group):
            found |= {f"{entry.name} {inner.name}": inner for inner in entry.entries if inner.detachable}
        elif entry.detachable:
            found[entry.name] = entry
    return found


def words_of(command: str, parameters: Sequence[Parameter], values: Values) -> tuple[str, ...]:
    """The words behind ``cosinterp``, without the name of the job; blocks nowhere.

    Arguments come first, as one types them. What says no more than the default is left out, unless the
    command has a preset, whose values a flag that is given replaces, whatever it says.
    """
    keeps = _PRESET in values
    arguments = [one for given in parameters if given.positional for one in _texts(values.get(given.name))]
    options: list[str] = []
    for parameter in parameters:
        value = values.get(parameter.name)
        if parameter.positional or value is None or parameter.name == JOB_NAME:
            continue
        if keeps or value != parameter.default:
            options += _option(parameter, value)
    if any(text.startswith("-") for text in arguments):
        return (*command.split(), *options, "--", *arguments)
    return (*command.split(), *arguments, *options)


def values_of(words: Sequence[str], cwd: Path | None = None) -> Filled:
    """What a command line says, for a form; imports the command.

    What is said of a launch (``--detach``, ``--json``, ``--dry-run``) is dropped.

    Args:
        words: with or without ``cosinterp`` before them.
        cwd: the folder that they were typed in, if it is not the one that the app is in: paths are then
            made absolute.

    Raises:
        FormError: they are no words of a command that can be a job.
    """
    words = _bare(words)
    known = entries()
    name = next((" ".join(words[:count]) for count in (2, 1) if " ".join(words[:count]) in known), None)
    if name is None:
        said = " ".join(words[:2])
        raise FormError(f'"{said}" is no command that can be a job; cosinterp --help lists what there is')
    entry = known[name]
    given, left = _parsed(entry, words[len(name.split()) :])
    if left:
        raise FormError(f"{name}: {' '.join(left)} is too much; it takes no such argument")
    elsewhere = cwd != _this_folder()
    values: dict[str, Value] = {}
    for parameter in parameters_of(entry):
        value = given.get(parameter.name)
        if value is None or value == ():
            continue
        plain = tuple(value) if parameter.repeated else value
        if parameter.kind is Kind.PATH and elsewhere and cwd is not None:
            plain = _absolute(plain, cwd)
        values[parameter.name] = plain
    return Filled(name, values)


def plain_values(parameters: Sequence[Parameter], given: Mapping[str, Any]) -> Values:
    """Values as a form holds them, of what others say: numbers, paths, lists, flags by any of their names.

    Raises:
        FormError: a name that none of the parameters has.
    """
    values: dict[str, Value] = {}
    for name, value in given.items():
        parameter = next((one for one in parameters if one.answers_to(name)), None)
        if parameter is None:
            raise FormError(f"{name}: the command has no such flag")
        if value is None:
            continue
        if parameter.kind is Kind.FLAG:
            values[parameter.name] = bool(value)
        elif parameter.repeated:
            many = value if isinstance(value, (list, tuple)) else [value]
            values[parameter.name] = tuple(str(one) for one in many)
        else:
            values[parameter.name] = str(value)
    return values


def kept_values(parameters: Sequence[Parameter], remembered: Any) -> Values:
    """Values that were remembered as JSON; what the command has no use for any more is dropped."""
    values: dict[str, Value] = {}
    for parameter in parameters:
        value = remembered.get(parameter.name) if isinstance(remembered, Mapping) else None
        many = isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value)
        if parameter.kind is Kind.FLAG:
            fits = isinstance(value, bool)
        else:
            fits = many if parameter.repeated else isinstance(value, str)
        if fits:
            values[parameter.name] = tuple(value) if parameter.repeated else value  # type: ignore[arg-type,assignment]
    return values


def _bare(words: Sequence[str]) -> tuple[str, ...]:
    """Words without those that call the program, whatever folder its name is given with."""
    named = tuple(Path(word).name if number == 0 else word for number, word in enumerate(words))
    for program in _PROGRAMS:
        if named[: len(program)] == program:
            return tuple(words[len(program) :])
    return tuple(words)


def _parsed(entry: Command, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The values of a command line as they were typed, and what is left over."""
    command = loaded(entry)
    context = command.make_context(entry.name, [], resilient_parsing=True)
    context.resilient_parsing = False
    try:
        given, left, _ = command.make_parser(context).parse_args(list(words))
    except Exception as error:
        # By its name: Typer may bring a Click of its own.
        if not any(base.__name__ == "UsageError" for base in type(error).__mro__):
            raise
        raise FormError(f"{entry.name}: {error}") from None
    return given, left


def _option(parameter: Parameter, value: Value) -> Iterator[str]:
    flag = parameter.flags[0]
    if isinstance(value, bool):
        if value != parameter.default or parameter.off is not None:
            yield flag if value or parameter.off is None else parameter.off
        return
    for text in _texts(value):
        # What begins with a dash would be read as the next flag.
        yield from (f"{flag}={text}",) if text.startswith("-") else (flag, text)


def _texts(value: Value | None) -> tuple[str, ...]:
    if value is None or isinstance(value, bool):
        return ()
    return (value,) if isinstance(value, str) else value


def _this_folder() -> Path | None:
    """The folder that the app is in; None: it is gone."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def _absolute(value: Value, cwd: Path) -> Value:
    if isinstance(value, tuple):
        return tuple(str(cwd / one) for one in value)
    return str(cwd / value) if isinstance(value, str) else value
