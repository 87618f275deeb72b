"""The table of results as data: rows, how they read, and which of them a filter keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from probes.results.listing import Entry
from stores.units import size_text
from tui.widgets.record_table import Column

FILTER_EXAMPLE = "words, kind=patch, store=mazes"


@dataclass(frozen=True)
class ResultRow:
    """One result.

    Attributes:
        store: the store's folder; ``store_name`` is how it is shown.
        entry: what the result's file says of itself.
        titled: what its kind is called; empty as long as that is not known.
    """

    store: Path
    store_name: str
    entry: Entry
    titled: str = ""

    @property
    def name(self) -> str:
        """Of the result, within its store."""
        return self.entry.name

    @property
    def key(self) -> str:
        """What no other result has."""
        return f"{self.store}\n{self.name}"

    @property
    def kind(self) -> str:
        """As it is shown: why there is none, where the file cannot be read."""
        return self.entry.kind or self.entry.title

    @property
    def size(self) -> int:
        """Bytes of the file, 0 if it cannot be read."""
        return 0 if self.entry.header is None else self.entry.header.size

    @property
    def title(self) -> str:
        """What its kind is called, or why it cannot be read."""
        return self.entry.error or self.titled

    @property
    def created(self) -> str:
        """When it was made, in UTC, to the minute."""
        return self.entry.created[:16].replace("T", " ")


_Column = Column[ResultRow]

STORE = _Column("store", lambda row, now: row.store_name, lambda row: row.store_name, least=8)
COLUMNS = (
    _Column("name", lambda row, now: row.name, lambda row: row.name, least=14, wished=24),
    _Column("kind", lambda row, now: row.kind, lambda row: row.kind, least=11, wished=14),
    _Column("title", lambda row, now: row.title, lambda row: row.title, least=20, spared=4),
    _Column("n", lambda row, now: row.entry.n, lambda row: row.entry.n, spared=3),
    _Column(
        "size",
        lambda row, now: size_text(row.size) if row.size else "",
        lambda row: row.size,
        numeric=True,
        spared=1,
    ),
    _Column("created", lambda row, now: row.created, lambda row: row.created, spared=2),
)


def columns(stores: int) -> tuple[Column[ResultRow], ...]:
    """The columns for that many stores: which store a result is in needs saying only if there are several."""
    return (STORE, *COLUMNS) if stores > 1 else COLUMNS


def by_name(row: ResultRow) -> tuple[str, str]:
    """What results are in the order of that are equal in the column they are sorted by."""
    return row.store_name, row.name


def of_store(store_name: str) -> str:
    """The filter that keeps the results of one store."""
    return f"store={_without_blanks(store_name)}"


def matcher(text: str) -> Callable[[ResultRow], bool]:
    """What the filter ``text`` asks of a row.

    Words divided by blanks, all of which have to fit. ``kind=patch``, ``name=`` and ``store=`` ask one column
    (``store=`` its whole name without blanks, as names may begin alike); any other word has to occur in the
    store's name, the result's, its kind or its title. Case does not matter.
    """
    tests = [_word(word) for word in text.lower().split()]
    return lambda row: all(test(row) for test in tests)


def _word(word: str) -> Callable[[ResultRow], bool]:
    name, equals, wanted = word.partition("=")
    if equals and wanted:
        if name == "store":
            return lambda row: wanted == _without_blanks(row.store_name).lower()
        if name == "kind":
            return lambda row: wanted in row.kind.lower()
        if name == "name":
            return lambda row: wanted in row.name.lower()
    return lambda row: word in f"{row.store_name}\n{row.name}\n{row.kind}\n{row.title}".lower()


def _without_blanks(text: str) -> str:
    return "".join(text.split())
