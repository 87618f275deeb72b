"""What the text of a field may go on with. Everything here may block: call it from `tui.background` only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stores.errors import UserError
from tui.launch.parameters import Kind, Parameter, Values, loaded
from tui.launch.words import entries

if TYPE_CHECKING:
    from cosinterp.devices import Gpu
    from tui.launch.forms import Form

MOST = 100
_GIB = 1024**3
_SEPARATOR = ","


@dataclass(frozen=True)
class Completion:
    """A whole text that a field may have, and a word on it."""

    text: str
    help: str = ""


@dataclass(frozen=True)
class _Facts:
    """What a store has that flags choose from."""

    samples: tuple[str, ...]
    seeds: tuple[int, ...]
    variants: tuple[str, ...]
    layers: tuple[int, ...]
    sites: tuple[str, ...]
    steps: int
    results: tuple[str, ...]


def completions(form: Form, parameter: Parameter, values: Values, text: str) -> list[Completion]:
    """What ``text`` may go on with, at most `MOST`: choices, files, what the command line completes, GPUs,
    and what is in the store that the form names."""
    if parameter.kind is Kind.CHOICE:
        found = [Completion(choice) for choice in parameter.choices if choice.startswith(text)]
    elif parameter.kind is Kind.PATH:
        found = [one for one in paths(text) if one.help or not _is_store(parameter)]
    else:
        found = [*_of_command(form, parameter, values, text), *_of_store(parameter, values, text)]
        if parameter.name == "device":
            found = [*_devices(text), *found]
    unique = {one.text: one for one in reversed(found)}
    return [one for one in dict.fromkeys(unique[one.text] for one in found) if one.text != text][:MOST]


def _is_store(parameter: Parameter) -> bool:
    """Whether it names a store, which is a folder."""
    return parameter.metavar == "STORE" or parameter.name.endswith("store")


def paths(text: str) -> Iterator[Completion]:
    """Files and folders that begin with ``text``, folders with a slash behind them; nothing of what cannot be
    listed. Hidden ones are offered once their dot is typed."""
    folder, _, start = text.rpartition("/")
    place = Path(os.path.expanduser(f"{folder}/" if folder or text.startswith("/") else "."))
    try:
        with os.scandir(place) as listed:
            inner = sorted((entry.name, entry.is_dir()) for entry in listed)
    except OSError:
        return
    head = text[: len(text) - len(start)]
    for name, is_folder in inner:
        if name.startswith(start) and not (name.startswith(".") and not start):
            kind = "" if not is_folder else "store" if (place / name / "store.json").is_file() else "folder"
            yield Completion(f"{head}{name}{'/' if is_folder else ''}", kind)


def _of_command(form: Form, parameter: Parameter, values: Values, text: str) -> Iterator[Completion]:
    """As the shell completes it, by the command's own code."""
    entry = entries()[form.command]
    command = loaded(entry)
    words = list(form.words(values)[len(form.command.split()) :])
    with command.make_context(entry.name, words, resilient_parsing=True) as context:
        own = next(one for one in command.params if one.name == parameter.name)
        for item in own.shell_complete(context, text):
            yield Completion(str(item.value), item.help or "")


def _devices(text: str) -> Iterator[Completion]:
    """The CPU and the GPUs that are there, each with what is free of it."""
    from cosinterp.devices import DeviceError, NvmlMissing, visible_gpus

    try:
        seen = visible_gpus()
    except (NvmlMissing, DeviceError):
        seen = {}
    known = [Completion("cpu", "no GPU")]
    known += [Completion(name, _free(gpu)) for name, gpu in seen.items()]
    if seen:
        known.append(Completion("free", "the GPU with the most free memory"))
        known += [Completion(f"free:{count}", f"{count} GPUs") for count in range(2, len(seen) + 1)]
    yield from (one for one in known if one.text.startswith(text))


def _free(gpu: Gpu) -> str:
    named = gpu.name or "GPU"
    return named if gpu.memory_free is None else f"{named}, {gpu.memory_free / _GIB:.0f} GiB free"


_OF_STORES: dict[str, Callable[[_Facts], tuple[object, ...]]] = {
    "samples": lambda facts: facts.samples,
    "sample": lambda facts: facts.samples,
    "donor": lambda facts: facts.samples,
    "recipient": lambda facts: facts.samples,
    "toward": lambda facts: facts.samples,
    "over_samples": lambda facts: facts.samples,
    "seeds": lambda facts: (_range(facts.seeds), *facts.seeds),
    "donor_seeds": lambda facts: facts.seeds,
    "variant": lambda facts: facts.variants,
    "variants": lambda facts: facts.variants,
    "other_variant": lambda facts: facts.variants,
    "layers": lambda facts: (_range(facts.layers), *facts.layers),
    "steps": lambda facts: (_range(tuple(range(facts.steps))), *range(facts.steps)),
    "site": lambda facts: facts.sites,
    "sites": lambda facts: facts.sites,
    "scores": lambda facts: facts.results,
    "result": lambda facts: facts.results,
}
"""By the names of parameters: what of a store they choose from."""
_ELSEWHERE = {"donor": "donor_store", "donor_seeds": "donor_store", "over_samples": "over"}
"""By the names of parameters: what names the store that they choose from, if that is given."""


def _of_store(parameter: Parameter, values: Values, text: str) -> Iterator[Completion]:
    choose = _OF_STORES.get(parameter.name)
    store = values.get(_ELSEWHERE.get(parameter.name, ""), values.get("store"))
    if choose is None or not isinstance(store, str) or not store:
        return
    try:
        known = [str(one) for one in choose(_facts(Path(store)))]
    except UserError:
        # No store yet, or one that cannot be read: nothing to offer.
        return
    # The last of a list is completed.
    head, comma, last = text.rpartition(_SEPARATOR)
    for one in known:
        if one and one.startswith(last):
            yield Completion(f"{head}{comma}{one}", "in the store")


def _facts(store: Path) -> _Facts:
    """Raises UserError: there is no such store."""
    from probes.results.files import list_results
    from stores import open_store

    opened = open_store(store)
    entries_of = list(opened.runs())
    capture = opened.settings.capture
    return _Facts(
        samples=tuple(dict.fromkeys(entry.sample for entry in entries_of)),
        seeds=tuple(sorted({entry.seed for entry in entries_of})),
        variants=tuple(sorted({entry.variant for entry in entries_of})),
        layers=tuple(capture.get("layers") or ()),
        sites=tuple(capture.get("sites") or ()),
        steps=max((entry.num_steps for entry in entries_of), default=0),
        results=tuple(list_results(store)),
    )


def _range(numbers: tuple[int, ...]) -> str:
    from stores.selection import compact

    return compact(numbers) if len(numbers) > 1 else ""
