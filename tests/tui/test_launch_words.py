"""Forms are the commands' own flags, and their values say what command lines say."""

import shlex
from enum import Enum
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cosinterp.cli.lazy import Command
from cosinterp.jobs.commands import described
from tui.launch import examples
from tui.launch.errors import FormError
from tui.launch.forms import FIRST, TOP, Form, form_of
from tui.launch.parameters import Kind, Parameter, Values, loaded, parameters_of
from tui.launch.words import entries, kept_values, plain_values, values_of, words_of

COMMANDS = entries()
FORMS = {name: form_of(name, entry) for name, entry in COMMANDS.items()}
OF_THE_LAUNCH = {"--detach", "--dry-run", "--no-measure", "--json"}
TEXTS = st.one_of(
    st.sampled_from(["0-3", "-1", "all", "a,b", "--steps", "-", "--", "", "a b", "x=1", "it's", "ö"]),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=6),
)


def names(form: Form) -> list[str]:
    """Of all parameters that the form shows, as often as it does."""
    return [field.parameter.name for section in form.sections for field in section.fields]


# Forms


@pytest.mark.parametrize("name", COMMANDS)
def test_every_detachable_command_has_a_form_with_each_of_its_parameters_once(name: str) -> None:
    own = [
        parameter.name
        for parameter in loaded(COMMANDS[name]).params
        if OF_THE_LAUNCH.isdisjoint((*parameter.opts, *parameter.secondary_opts))
    ]
    assert sorted(names(FORMS[name])) == sorted(own)
    assert FORMS[name].about == COMMANDS[name].help
    assert described(name.split()).takes_value.keys() >= {
        flag for parameter in FORMS[name].parameters for flag in parameter.flags
    }


def test_the_six_commands_come_first_and_ask_at_the_top_what_they_cannot_do_without() -> None:
    assert set(TOP) == set(FIRST) <= set(COMMANDS)
    for name in FIRST:
        form = FORMS[name]
        top = {field.parameter.name for field in form.sections[0].fields}
        assert {parameter.name for parameter in form.parameters if parameter.required} <= top
        assert form.rehearses


def test_what_a_flag_is_is_read_from_the_command() -> None:
    by_name = {one.name: one for one in FORMS["patch"].parameters}
    assert by_name["direction"].kind is Kind.CHOICE
    assert by_name["direction"].choices == ("both", "sufficiency", "necessity")
    assert by_name["direction"].default == "both"
    assert by_name["donor_store"].kind is Kind.PATH
    assert by_name["donor_store"].shown == "STORE"
    assert by_name["videos"].kind is Kind.FLAG
    assert by_name["videos"].off == "--no-videos"
    assert by_name["tokens"].repeated
    assert by_name["tokens"].shown == "all"
    assert by_name["store"].positional
    assert by_name["store"].required
    assert by_name["store"].called == "STORE"
    assert by_name["horizon"].panel == "What is measured"
    assert by_name["layer_window"].default == by_name["layer_window"].shown == "1"
    assert {one.name: one.shown for one in FORMS["trace"].parameters}["num_steps"] == "the model's"


def test_a_field_is_found_by_its_flags_and_by_the_name_of_an_argument() -> None:
    form = FORMS["patch"]
    for name in ("--no-videos", "--videos", "videos"):
        field = form.field_of(name)
        assert field is not None
        assert field.parameter.name == "videos"
    store = form.field_of("STORE")
    assert store is not None
    assert store.label == "store"
    assert form.field_of("--layer") is None


# Values and words


def of_parameter(parameter: Parameter, annotation: Any) -> st.SearchStrategy[Any]:
    """Values that the command's parser takes."""
    if parameter.kind is Kind.FLAG:
        return st.booleans() if parameter.off else st.just(not parameter.default)
    if parameter.kind is Kind.CHOICE:
        return st.sampled_from(parameter.choices)
    one = TEXTS
    text = str(annotation)
    if "int" in text:
        one = st.sampled_from(["2", "7"])
    elif "float" in text:
        one = st.sampled_from(["0.5", "1"])
    return st.lists(one, min_size=1, max_size=3).map(tuple) if parameter.repeated else one


def annotations_of(entry: Command) -> dict[str, Any]:
    module, _, function = entry.target.partition(":")
    return {
        name: one.annotation.__origin__ if hasattr(one.annotation, "__origin__") else one.annotation
        for name, one in signature(getattr(import_module(module), function), eval_str=True).parameters.items()
    }


ANNOTATIONS = {name: annotations_of(entry) for name, entry in COMMANDS.items()}


@st.composite
def filled(draw: st.DrawFn) -> tuple[str, Values]:
    """A command and values of what it needs and of some of the rest."""
    name = draw(st.sampled_from(sorted(COMMANDS)))
    parameters = FORMS[name].parameters
    needed = [one for one in parameters if one.required]
    others = draw(st.lists(st.sampled_from(parameters), unique_by=lambda one: one.name, max_size=5))
    return name, {
        one.name: draw(of_parameter(one, ANNOTATIONS[name].get(one.name, str)))
        for one in [*needed, *others]
        if one.name != "job_name"
    }


def typed(parameters: tuple[Parameter, ...], values: Values, shuffled: list[Parameter]) -> list[str]:
    """A command line as somebody may type it: flags in any order, some with an equals sign."""
    words: list[str] = []
    for number, parameter in enumerate(shuffled):
        value = values.get(parameter.name)
        if parameter.positional or value is None:
            continue
        flag = parameter.flags[-1]
        if isinstance(value, bool):
            words.append(flag if value or parameter.off is None else parameter.off)
            continue
        for text in (value,) if isinstance(value, str) else value:
            words += [f"{flag}={text}"] if number % 2 else [flag, text]
    arguments: list[str] = []
    for parameter in parameters:
        value = values.get(parameter.name, ())
        if parameter.positional and not isinstance(value, bool):
            arguments += [value] if isinstance(value, str) else value
    return [*words, "--", *arguments] if arguments else words


def parsed(name: str, words: list[str]) -> dict[str, Any]:
    """What the command's own parser makes of words."""
    # The parser eats what it is given.
    with loaded(COMMANDS[name]).make_context(name, list(words)) as context:
        return {key: value for key, value in context.params.items() if key not in ("detach", "job_name")}


@hypothesis_settings(max_examples=60)
@given(filled(), st.randoms(use_true_random=False))
def test_words_to_values_to_words_says_the_same_to_the_parser(asked: tuple[str, Values], order: Any) -> None:
    name, values = asked
    form = FORMS[name]
    shuffled = list(form.parameters)
    order.shuffle(shuffled)
    words = typed(form.parameters, values, shuffled)
    found = values_of(["cosinterp", *name.split(), "--detach", *words])
    assert found.command == name
    assert found.values == values
    again = form.words(found.values)
    assert again[: len(name.split())] == tuple(name.split())
    rest = list(again[len(name.split()) :])
    assert parsed(name, rest) == parsed(name, words)
    whole = list(form.typed(found.values)[1 + len(name.split()) :])
    assert parsed(name, whole) == parsed(name, words)
    # As it would be pasted.
    assert values_of(shlex.split(shlex.join(form.typed(found.values)))).values == {
        key: value
        for key, value in values.items()
        if "preset" in values or value != next(one.default for one in form.parameters if one.name == key)
    }


def test_only_what_differs_from_the_defaults_is_said() -> None:
    values = {
        "model": "maze-wan",
        "store": "runs/a",
        "seeds": "0",
        "layers": "0-3",
        "video": False,
        "resume": True,
    }
    assert FORMS["trace"].typed({**values, "job_name": "first"}) == (
        *("cosinterp", "trace", "--model", "maze-wan", "--store", "runs/a", "--layers", "0-3"),
        *("--no-video", "--resume", "--detach", "--job-name", "first"),
    )


def test_with_a_preset_what_is_given_is_said_even_if_it_is_the_default() -> None:
    values: Values = {"store": "s", "donor": "a", "recipient": "b", "steps": "all", "videos": True}
    form = FORMS["patch"]
    assert form.words(values) == ("patch", "s", "--donor", "a", "--recipient", "b")
    said = form.words({**values, "preset": "latent-swap"})
    assert said[-5:] == ("--preset", "latent-swap", "--steps", "all", "--videos")


def test_paths_of_another_folder_are_made_absolute(tmp_path: Path) -> None:
    words = ["patch", "runs/a", "--donor", "a", "--recipient", "b", "--dataset", "/data/mazes"]
    assert values_of(words, tmp_path).values["store"] == str(tmp_path / "runs/a")
    assert values_of(words, tmp_path).values["dataset"] == "/data/mazes"
    assert values_of(words, Path.cwd()).values["store"] == "runs/a"
    merged = values_of(["store", "merge", "all", "a", "b"], tmp_path).values
    assert merged["stores"] == (str(tmp_path / "a"), str(tmp_path / "b"))


@pytest.mark.parametrize(
    "program", [("cosinterp",), ("/usr/bin/cosinterp",), ("python", "-m", "cosinterp"), ()], ids=str
)
def test_the_words_that_call_the_program_are_no_part_of_a_form(program: tuple[str, ...]) -> None:
    assert values_of([*program, "score", "runs/a"]).values == {"store": "runs/a"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("store ls runs/a", '"store ls" is no command that can be a job'),
        ("", '"" is no command'),
        ("score a b", "score: b is too much"),
        ("score a --deep", "No such option.*--deep"),
        ("score a --plot", "requires an argument"),
    ],
)
def test_words_that_fill_no_form_say_why(line: str, said: str) -> None:
    with pytest.raises(FormError, match=said):
        values_of(line.split())


def test_values_come_as_they_are_known_elsewhere() -> None:
    class Direction(Enum):
        both = "both"

    parameters = FORMS["patch"].parameters
    given = {"--layer-window": 3, "store": Path("runs/a"), "tokens": ["path", "walls"], "no": None}
    with pytest.raises(FormError, match="no: the command has no such flag"):
        plain_values(parameters, given)
    del given["no"]
    assert plain_values(parameters, {**given, "videos": 0, "horizon": None, "measure": "a:b"}) == {
        "layer_window": "3",
        "store": "runs/a",
        "tokens": ("path", "walls"),
        "videos": False,
        "measure": ("a:b",),
    }


def test_of_what_is_remembered_only_what_still_fits_is_kept() -> None:
    remembered = {"store": "a", "tokens": ["path"], "videos": False, "gone": "x", "donor": 3, "resume": "yes"}
    assert kept_values(FORMS["patch"].parameters, remembered) == {
        "store": "a",
        "tokens": ("path",),
        "videos": False,
    }
    assert kept_values(FORMS["patch"].parameters, None) == {}


def test_the_example_is_whole() -> None:
    form = FORMS["trace"]
    assert form.missing(examples.TRACE) is None
    assert parsed("trace", list(form.words(examples.TRACE)[1:]))["dataset"] == Path(examples.FOLDER)


def test_arguments_that_begin_with_a_dash_stand_behind_two() -> None:
    parameters = parameters_of(COMMANDS["score"])
    words = words_of("score", parameters, {"store": "-a", "by_step": False})
    assert words == ("score", "--no-by-step", "--", "-a")
    assert FORMS["score"].typed({"store": "-a"}) == ("cosinterp", "score", "--detach", "--", "-a")
