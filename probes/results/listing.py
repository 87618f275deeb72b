"""The results of a store by name: what each file says of itself, and each opened when it is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from probes.kinds import is_known, kind_of
from probes.results.files import Header, list_results, read_header, result_path
from probes.results.result import Result
from stores import Store, open_store
from stores.errors import StoreError
from stores.units import count_text, size_text

COLUMNS = ("name", "kind", "title", "n", "size", "created (UTC)")
_UNKNOWN = "unknown to this version"
_MOST_DIMENSIONS = 3


@dataclass(frozen=True)
class Entry:
    """A line of the list.

    Attributes:
        name: of the result.
        path: its file.
        header: what the file says of it, None if it cannot be read.
        error: why it cannot be read, None if it can.
    """

    name: str
    path: Path
    header: Header | None
    error: str | None = None

    @property
    def kind(self) -> str:
        """Such as "probe" or "patch"; empty if it is not known."""
        return "" if self.header is None else str(self.header.provenance.get("kind", ""))

    @property
    def title(self) -> str:
        """What its kind is called."""
        if self.header is None:
            return "cannot be read"
        return kind_of(self.kind).title if is_known(self.kind) else _UNKNOWN

    @property
    def n(self) -> str:
        """How many entries it has along its first dimensions, such as "patch 96" or "step 12, layer 9"."""
        sizes = {} if self.header is None else self.header.sizes
        parts = [f"{name} {size}" for name, size in sizes.items()]
        more = [f"{len(parts) - _MOST_DIMENSIONS} more"] if len(parts) > _MOST_DIMENSIONS else []
        return ", ".join([*parts[:_MOST_DIMENSIONS], *more])

    @property
    def created(self) -> str:
        """When it was made, in UTC, as 2026-11-23T01:09:22Z."""
        return "" if self.header is None else str(self.header.provenance.get("created", ""))

    def cells(self) -> tuple[str, ...]:
        """Its line of a table, under `COLUMNS`."""
        size = "" if self.header is None else size_text(self.header.size)
        return self.name, self.kind, self.title, self.n, size, self.created[:16].replace("T", " ")

    def to_json(self) -> dict[str, Any]:
        """The entry as JSON takes it."""
        header = self.header
        return {
            "name": self.name,
            "path": str(self.path),
            "kind": self.kind or None,
            "title": self.title,
            "sizes": None if header is None else header.sizes,
            "bytes": None if header is None else header.size,
            "created": self.created or None,
            "command": None if header is None else header.provenance.get("command"),
            "error": self.error,
        }


class Results(Mapping[str, Result]):
    """The results of a store by name, each opened when it is asked for; shown, a table of them.

    What is listed is what was there when the list was made. A file that is damaged, or no result, is in the
    table with a word, and raises when it is asked for.

    Attributes:
        store: the store's folder.
    """

    def __init__(self, store: Path) -> None:
        self.store = store
        self._names = list_results(store)

    @cached_property
    def entries(self) -> list[Entry]:
        """What each file says of itself; no numbers are read."""
        return list(self.read_entries())

    def read_entries(self) -> Iterator[Entry]:
        """The entries, each read when it is asked for."""
        return (_entry(name, result_path(self.store, name)) for name in self._names)

    def __getitem__(self, name: str) -> Result:
        if name not in self._names:
            there = ", ".join(self._names) or "none"
            raise KeyError(f"{self.store} has no result {name}; there are: {there}")
        return Result.open(result_path(self.store, name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        # The mapping's own would open the file.
        return name in self._names

    def __repr__(self) -> str:
        head = f"{self.store}: {count_text(len(self), 'result')}"
        if not self._names:
            return head
        rows = [COLUMNS, *(entry.cells() for entry in self.entries)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )
        return "\n".join([head, *(f"  {line}" for line in lines)])

    def _repr_html_(self) -> str:
        def row(tag: str, cells: tuple[str, ...]) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        body = "".join(row("td", entry.cells()) for entry in self.entries)
        return f"<table><thead>{row('th', COLUMNS)}</thead><tbody>{body}</tbody></table>"


def results(store: Store | str | os.PathLike[str]) -> Results:
    """The results of a store.

    Args:
        store: the store, or its folder.

    Raises:
        StoreError: the folder is no store.
    """
    opened = store if isinstance(store, Store) else open_store(store)
    return Results(opened.path)


def _entry(name: str, path: Path) -> Entry:
    try:
        return Entry(name, path, read_header(path))
    except StoreError as error:
        return Entry(name, path, None, str(error))
