"""What the list of results reads from disk. Everything here may block: call it from `tui.background` only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from probes.results.listing import results
from stores.errors import StoreError
from tui.results.rows import ResultRow

if TYPE_CHECKING:
    from probes.results.result import Result

AT_ONCE = 50
"""Results whose headers are read before they are shown."""
_titles: dict[str, str] = {}


@dataclass(frozen=True)
class Said:
    """What a result says of itself.

    Attributes:
        title: what its kind is called.
        sentences: its summary.
        notes: what was said when it was made, and the summary does not say.
    """

    title: str
    sentences: tuple[str, ...]
    notes: tuple[str, ...]


def read_rows(store: Path, root: Path) -> Iterator[list[ResultRow]]:
    """The results of one store, some at a time; ``root`` is where the search began.

    No numbers are read. What cannot be read is among them, with why.

    Raises:
        UserError: the store cannot be read.
    """
    name = store.name if store == root else store.relative_to(root).as_posix()
    entries = results(store).read_entries()
    while some := list(islice(entries, AT_ONCE)):
        yield [ResultRow(store, name, entry, _titles.get(entry.kind, "")) for entry in some]


def read_titles(rows: Iterable[ResultRow]) -> dict[str, str]:
    """What the kinds of results are called, by their names; those alone that were not known yet.

    Each kind's module has to be imported for that, with the libraries that its numbers need.
    """
    fresh = {row.entry.kind: row.entry for row in rows if row.entry.kind not in _titles}
    found = {kind: entry.title for kind, entry in fresh.items()}
    _titles.update(found)
    return found


def said_of(result: Result) -> Said:
    """What an open result says. Raises UserError: it lacks what its kind tells of."""
    # Brings numpy.
    from tui.heatmaps.of_results import complete

    with complete(result.path or result.title):
        sentences = result.summary()
        return Said(result.title, tuple(sentences), tuple(result.notes(sentences)))


def read_said(row: ResultRow) -> Said:
    """What a result says.

    Raises:
        UserError: it cannot be read, or lacks what its kind tells of.
    """
    try:
        stamp = row.entry.path.stat()
    except OSError as error:
        raise StoreError(f"{row.entry.path}: cannot be read: {error.strerror}") from error
    return _said(row.entry.path, (stamp.st_mtime_ns, stamp.st_size))


@lru_cache(maxsize=64)
def _said(path: Path, stamp: tuple[int, int]) -> Said:
    # Brings xarray.
    from probes.results.result import Result

    return said_of(Result.open(path))
