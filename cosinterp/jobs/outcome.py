"""What a job works on and leads to, as its words say: a store, a result, files."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.errors import StoreError

if TYPE_CHECKING:
    from cosinterp.jobs.spec import JobSpec

# The parameters that name what a command makes in place of a store, or beside it.
_MADE = ("out", "out_folder")
_BESIDE = ("csv", "plot")
_STORES = ("store", "target")
# Which parameter names the result of a command that makes one, and a flag without which it makes none.
_RESULTS = {
    "ablate": ("name", None),
    "attribute": ("name", None),
    "compare": ("name", None),
    "convergence": ("name", None),
    "ensemble": ("result", "score"),
    "experiment": ("name", None),
    "maps": ("name", None),
    "noise": ("result", None),
    "patch": ("name", None),
    "probe": ("name", None),
    "score": ("name", "save"),
    "similarity": ("name", None),
    "steer": ("name", None),
}
_RESUME = "--resume"
_PROGRAM = "cosinterp"


@dataclass(frozen=True)
class Outcome:
    """What the words of a job say of what it makes. Nothing of it need be there.

    Attributes:
        store: the store that it makes, adds to or reads; None: it has none.
        makes_result: whether it puts a result into that store.
        result: what that is called, if the words say so; `results_of` finds those that are called after what
            was asked.
        files: what else it writes: files, or folders of them.
        main: what it is about in one path: what it makes, if that is no store, else the store.
    """

    store: Path | None = None
    makes_result: bool = False
    result: str | None = None
    files: tuple[Path, ...] = ()
    main: Path | None = None


def outcome_of(spec: JobSpec) -> Outcome:
    """What the words of a job say of what it makes; nothing, if they are no command's.

    Imports the command, and no model library.
    """
    from cosinterp.cli import COMMANDS
    from cosinterp.cli.lazy import named

    found = named(COMMANDS, spec.words)
    if found is None:
        return Outcome()
    command, count = found
    # Not to be run: what is wrong with the words is for the command itself to say.
    context: Any = command.load().make_context(command.name, list(spec.words[count:]), resilient_parsing=True)
    given: dict[str, Any] = context.params

    def paths(names: tuple[str, ...]) -> list[Path]:
        # A probe's target is what it predicts, and no path.
        return [Path(spec.cwd, given[name]) for name in names if isinstance(given.get(name), Path)]

    name, only_with = _RESULTS.get(command.name, (None, None))
    makes = name is not None and (only_with is None or bool(given.get(only_with)))
    store = next(iter(paths(_STORES)), None)
    made = paths(_MADE)
    return Outcome(
        store=store,
        makes_result=makes,
        result=given.get(name) if makes and name is not None else None,
        files=(*made, *paths(_BESIDE)),
        main=next(iter(made), store),
    )


def results_of(spec: JobSpec, outcome: Outcome) -> list[str]:
    """The results that a job's command has made and its store has, the one it is about first.

    A result says which command line made it, by which one is known whatever it is called: an ensemble also
    makes the scores that it compares. The last one made comes first.

    Args:
        outcome: of ``spec``.
    """
    from probes.results.files import FOLDER, list_results, read_header, result_path

    if outcome.store is None or not outcome.makes_result or not (outcome.store / FOLDER).is_dir():
        return []
    found: list[tuple[bool, float, str]] = []
    for name in list_results(outcome.store):
        path = result_path(outcome.store, name)
        try:
            command, when = read_header(path).provenance.get("command"), path.stat().st_mtime
        except (StoreError, FileNotFoundError):
            # A damaged one is no job's for certain, and hides no other.
            continue
        if isinstance(command, str) and _words_of(command) == _without_resume(spec.words):
            found.append((name == outcome.result, when, name))
    return [name for _, _, name in sorted(found, reverse=True)]


def _words_of(command: str) -> tuple[str, ...]:
    """The words behind the program's name of a command line that a result keeps."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ()
    program = next((place for place, word in enumerate(words) if Path(word).name == _PROGRAM), -1)
    return _without_resume(words[program + 1 :])


def _without_resume(words: Sequence[str]) -> tuple[str, ...]:
    """Words of a command, the same for all attempts of a job."""
    return tuple(word for word in words if word != _RESUME)
