"""Which flags of a command stand at the top of its form, and in what words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.launch.parameters import JOB_NAME, Parameter, Values, loaded, parameters_of
from tui.launch.words import words_of

if TYPE_CHECKING:
    from cosinterp.cli.lazy import Command

FIRST = ("trace", "ensemble", "patch", "noise", "probe", "experiment")
"""Commands that the list begins with."""

_FROM = {"model": "model", "dataset": "dataset", "only": "samples", "seeds": "seeds", "num_steps": "steps"}
TOP: Mapping[str, Mapping[str, str]] = {
    "trace": _FROM
    | {"layers": "layers", "sites": "sites", "reduce": "reduced to", "store": "store", "device": "device"},
    "ensemble": _FROM
    | {
        "merge": "merged",
        "steps": "at steps",
        "how": "how",
        "select": "selected by",
        "variant": "variant",
        "store": "store",
        "device": "device",
    },
    "patch": {
        "store": "store",
        "donor": "donor",
        "recipient": "recipient",
        "seeds": "seeds",
        "steps": "steps",
        "layers": "layers",
        "sites": "sites",
        "tokens": "tokens",
        "direction": "direction",
        "name": "result",
        "device": "device",
    },
    "noise": _FROM
    | {
        "at": "noise at",
        "steps": "at steps",
        "frames": "in frames",
        "matched": "matched",
        "sites": "sites",
        "store": "store",
        "result": "result",
        "device": "device",
    },
    "probe": {
        "store": "store",
        "target": "target",
        "samples": "samples",
        "seeds": "seeds",
        "steps": "steps",
        "layers": "layers",
        "site": "site",
        "model": "probe",
        "permutations": "permutations",
        "name": "result",
    },
    "experiment": {
        "which": "experiment",
        "model": "model",
        "dataset": "dataset",
        "preset": "preset",
        "given": "settings",
        "store": "store",
        "name": "result",
        "device": "device",
    },
}
"""By command: names of parameters, and what they are called at the top of the form."""

OTHERS = "Other"


@dataclass(frozen=True)
class Field:
    """A parameter and what it is called in the form."""

    parameter: Parameter
    label: str


@dataclass(frozen=True)
class Section:
    """Fields under a heading, folded until they are asked for; the first section has none, and is open."""

    title: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Form:
    """The form of a command.

    Attributes:
        command: such as "trace" or "store verify".
        about: one line on what it does.
        parameters: all that it has, in its order.
        sections: the same, as they are shown.
        rehearses: whether the command can say what it would do.
    """

    command: str
    about: str
    parameters: tuple[Parameter, ...]
    sections: tuple[Section, ...]
    rehearses: bool

    def words(self, values: Values) -> tuple[str, ...]:
        """The words behind ``cosinterp`` of the job that is asked for."""
        return words_of(self.command, self.parameters, values)

    def typed(self, values: Values) -> tuple[str, ...]:
        """The whole command line that starts the job."""
        name = values.get(JOB_NAME)
        named = ("--job-name", str(name)) if name else ()
        head, *rest = self.words(values)
        return ("cosinterp", head, *_before_dashes(rest, ("--detach", *named)))

    def missing(self, values: Values) -> Parameter | None:
        """The first parameter that has to be given and is not."""
        return next(
            (one for one in self.parameters if one.required and values.get(one.name) in (None, "", ())), None
        )

    def label_of(self, parameter: Parameter) -> str:
        """What a parameter is called in the form."""
        fields = (field for section in self.sections for field in section.fields)
        return next(field.label for field in fields if field.parameter is parameter)

    def field_of(self, name: str) -> Field | None:
        """The field of a parameter or of a flag, by its name: "num_steps" or "--num-steps"."""
        fields = [field for section in self.sections for field in section.fields]
        exact = (field for field in fields if name in (field.parameter.name, *field.parameter.flags))
        return next(
            exact,
            next((field for field in fields if name in (field.parameter.off, field.parameter.called)), None),
        )


def form_of(command: str, entry: Command) -> Form:
    """The form of a command, which is imported for it."""
    parameters = parameters_of(entry)
    by_name = {one.name: one for one in parameters}
    named = TOP.get(command)
    if named is None:
        first = [one for one in parameters if one.required or one.panel is None]
        top = [Field(one, _label(one)) for one in first]
    else:
        top = [Field(by_name[name], label) for name, label in named.items()]
    job = by_name[JOB_NAME]
    top.append(Field(job, "job name"))
    shown = {field.parameter.name for field in top}
    folded: dict[str, list[Field]] = {}
    for parameter in parameters:
        if parameter.name not in shown:
            folded.setdefault(parameter.panel or OTHERS, []).append(Field(parameter, _label(parameter)))
    # Flags without a heading of their own are said last, as what is said of all.
    if OTHERS in folded:
        folded[OTHERS] = folded.pop(OTHERS)
    sections = (Section("", tuple(top)), *(Section(title, tuple(of)) for title, of in folded.items()))
    return Form(command, entry.help, parameters, sections, _rehearses(entry))


def _label(parameter: Parameter) -> str:
    return parameter.called.lstrip("-").lower()


def _rehearses(entry: Command) -> bool:
    flags = {flag for parameter in loaded(entry).params for flag in parameter.opts}
    return "--dry-run" in flags and "--json" in flags


def _before_dashes(words: list[str], more: tuple[str, ...]) -> list[str]:
    """Flags at the end of a command line, but before the ``--`` behind which nothing is a flag."""
    place = words.index("--") if "--" in words else len(words)
    return [*words[:place], *more, *words[place:]]
