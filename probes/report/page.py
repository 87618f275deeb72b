"""The page: HTML made of sections by a template that escapes every text."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from probes.report.facts import StoreFacts, store_facts
from probes.report.pictures import room_for
from probes.report.sections import FIRST_ROWS, Section, figures_of, section_of
from probes.results.listing import Entry, results
from stores import Store
from stores.errors import StoreError
from stores.files import replacing

if TYPE_CHECKING:
    from jinja2 import Environment

GENERATOR = "cosinterp report"
_HEAD_BYTES = 4096


@dataclass(frozen=True)
class Report:
    """A report that was written.

    Attributes:
        path: its file.
        size: bytes of it.
        sections: a section for each result.
    """

    path: Path
    size: int
    sections: list[Section]

    @property
    def failures(self) -> list[str]:
        """What could not be shown, a line each."""
        return [
            f"{section.name}: {failure.what}: {failure.message}"
            for section in self.sections
            for failure in section.failures
        ]


def write_report(
    store: Store,
    path: Path | str,
    names: Sequence[str] | None = None,
    *,
    force: bool = False,
    progress: Callable[[str], object] | None = None,
) -> Report:
    """Write the results of a store as one HTML page, which is there whole or not at all.

    A result of which something cannot be shown has a section all the same, which says so.

    Args:
        store: whose results.
        path: of the page. An older report is replaced.
        names: which results, in this order; None for all.
        force: replace a file that is no report.
        progress: called with the name of each result once its section is made.

    Raises:
        StoreError: no such result, none at all, something else has the name of the page, or the disk refuses.
    """
    path = Path(path)
    entries = chosen(store, names)
    is_replaceable = force or is_report(path)
    facts = store_facts(store)
    room = room_for(figures_of(entries))
    sections = []
    for entry in entries:
        sections.append(section_of(entry, str(store.path), store.settings.model, room))
        if progress is not None:
            progress(entry.name)
    content = page_of(facts, sections, command=_command(store, names)).encode()
    with replacing(path, is_replaceable, replaceable=Path.is_file) as draft:
        draft.write_bytes(content)
    return Report(path, len(content), sections)


def chosen(store: Store, names: Sequence[str] | None) -> list[Entry]:
    """The results of a store of these names, all for None. Raises StoreError if there are none such."""
    entries = {entry.name: entry for entry in results(store).entries}
    if not entries:
        raise StoreError(f"{store.path}: there are no results to report; analyses save them there")
    if names is None:
        return list(entries.values())
    lacking = [name for name in names if name not in entries]
    if lacking or not names:
        what = ", ".join(lacking) or "none named"
        raise StoreError(f"{store.path}: no such result: {what}; there are {', '.join(entries)}")
    return [entries[name] for name in dict.fromkeys(names)]


def is_report(path: Path, generator: str = GENERATOR) -> bool:
    """Whether the file is a page of this kind: by default one that `write_report` wrote."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return f'content="{generator}"'.encode() in file.read(_HEAD_BYTES)


def page_of(facts: StoreFacts, sections: Sequence[Section], *, command: str) -> str:
    """The HTML of a page."""
    return (
        environment()
        .get_template("report.html")
        .render(
            facts=facts,
            sections=sections,
            command=command,
            first_rows=FIRST_ROWS,
            generator=GENERATOR,
            made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        )
    )


def _command(store: Store, names: Sequence[str] | None) -> str:
    only = [] if names is None else ["--only", ",".join(names)]
    return shlex.join(["cosinterp", "report", str(store.path), *only])


def environment() -> Environment:
    """The templates of pages; they escape every text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("probes.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
