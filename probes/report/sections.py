"""A result as a section of a report: whatever goes wrong with it is said there, and no other suffers."""

from __future__ import annotations

import shlex
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from probes.report.facts import flat, value_text
from probes.report.pictures import Picture, inlined, side_by_side
from probes.results.listing import Entry
from probes.results.result import Result
from probes.results.table_view import TableView, table_view
from stores.errors import UserError

MOST_FIGURES = 4
MOST_ROWS, FIRST_ROWS = 100, 8
MOST_LINES, FIRST_LINES = 12, 8
"""A summary of more lines than the one shows the other, and folds the rest."""

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Failure:
    """What could not be made of a result.

    Attributes:
        what: such as "figure map".
        message: why.
        trace: where in the code, if the user cannot mend it.
    """

    what: str
    message: str
    trace: str | None = None


@dataclass
class Section:
    """A result as it stands in a report.

    Attributes:
        name, anchor: of the result, and of its place in the page.
        title, kind, created, n: as in the list of results.
        summary: sentences; ``more_summary``: those that are folded.
        pictures: its first figures; ``more_figures``: the names of the others.
        table: the beginning of its table; None if it has none.
        notes: what was said when it was made and the summary does not say.
        asked: what was asked for, as names and texts.
        made_with: versions, the device, the model if it is not the store's.
        command: the command that makes it again; None if it is not known.
        commands: what writes its figures, its table.
        failures: what could not be made of it.
    """

    name: str
    anchor: str
    title: str
    kind: str
    created: str
    n: str
    summary: list[str] = field(default_factory=list)
    more_summary: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    more_figures: list[str] = field(default_factory=list)
    table: TableView | None = None
    notes: list[str] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    made_with: list[tuple[str, str]] = field(default_factory=list)
    command: str | None = None
    commands: dict[str, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)


def section_of(entry: Entry, store: str, model: dict[str, Any], room: int) -> Section:
    """The section of a result.

    Args:
        entry: its line in the list.
        store: the store's folder, as commands name it.
        model: of the store.
        room: bytes that each picture may take.
    """
    made = Section(entry.name, f"result-{entry.name}", entry.title, entry.kind, entry.created, entry.n)
    result = _tried(made, "result", lambda: Result.open(entry.path))
    if result is None:
        return made
    told = result.provenance
    made.asked = flat(told.get("asked") or {})
    made.made_with = _made_with(told, model)
    made.command = told.get("command")
    made.commands = {
        "figures": shlex.join(
            ["cosinterp", "results", "plot", store, entry.name, "--all", "--out", "figures"]
        ),
        "table": shlex.join(
            ["cosinterp", "results", "export", store, entry.name, "--out", f"{entry.name}.csv"]
        ),
    }
    lines = _tried(made, "summary", result.summary) or []
    shown = FIRST_LINES if len(lines) > MOST_LINES else len(lines)
    made.summary, made.more_summary = lines[:shown], lines[shown:]
    made.notes = result.notes(lines)
    names = _tried(made, "figures", result.figures) or []
    made.more_figures = names[MOST_FIGURES:]
    for name in names[:MOST_FIGURES]:
        picture = _tried(made, f"figure {name}", lambda name=name: inlined(name, result.figure(name), room))
        if picture is not None:
            made.pictures.append(picture)
    made.pictures = side_by_side(made.pictures)
    made.table = _tried(made, "table", lambda: table_view(result.table(), MOST_ROWS))
    return made


def figures_of(entries: Sequence[Entry]) -> int:
    """How many pictures a page of these results has at most."""
    return MOST_FIGURES * sum(entry.header is not None for entry in entries)


def _tried(section: Section, what: str, make: Callable[[], _Made]) -> _Made | None:
    """What is made; None, and a failure of the section, if that raises."""
    try:
        return make()
    except UserError as error:
        section.failures.append(Failure(what, str(error)))
    except Exception as error:  # noqa: BLE001 - told in the section and by the exit code, with its traceback
        message = f"{type(error).__name__}: {error}".rstrip(": ")
        section.failures.append(Failure(what, message, traceback.format_exc()))
    return None


def _made_with(told: dict[str, Any], model: dict[str, Any]) -> list[tuple[str, str]]:
    lines = []
    if told.get("store"):
        lines.append(("store", str(told["store"])))
    own = told.get("model")
    if isinstance(own, dict):
        lines.append(("model", value_text(own.get("name")) if own.get("name") else "-"))
        lines += [
            (f"model.{name}", text)
            for name, text in flat(own)
            if name != "name" and own.get(name) != model.get(name)
        ]
    for name in ("device", "created"):
        if told.get(name):
            lines.append((name, value_text(told[name])))
    return [*lines, *flat(told.get("versions") or {}, "version of ")]
