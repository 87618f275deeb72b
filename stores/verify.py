"""Verifying a store: every bit of every run, and the catalog against the files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stores import layout
from stores.catalog import Catalog, entry_of, open_run, run_files
from stores.entries import RunEntry
from stores.errors import NoRunError, StoreError, UnreadableError, VersionError
from stores.leftovers import drafts, unclaimed_runs
from stores.run_checks import check_run

if TYPE_CHECKING:
    from stores.store import Store


Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Problem:
    """Something wrong in a store.

    Attributes:
        file: where, relative to the store.
        kind: "damaged" (its bits are not those written), "unreadable" (the system does not let us read it,
            so it may be whole), "version" (of another format version), "not finite" (a NaN or infinity),
            "schedule" (it makes no sense), "settings" (not as store.json says), "leftover" (of a process that
            was killed), "foreign" (no part of a store), "catalog" (it does not say what the files say).
        message: what is wrong, in one line.
    """

    file: str
    kind: str
    message: str


def verify_store(store: Store, progress: Progress | None = None) -> list[Problem]:
    """As `Store.verify`."""
    files = sorted(run_files(store.path))
    sizes = {file: _size(store.path / file) for file in files}
    total = sum(sizes.values())
    problems: list[Problem] = []
    entries: dict[str, RunEntry] = {}
    removed: set[str] = set()
    done = 0
    for file in files:
        told = _Told(progress, done, done + sizes[file], total, file)
        told(0)
        try:
            with open_run(store.path, file) as run:
                entries[file] = entry_of(run, file)
                problems += [
                    Problem(file, kind, message) for kind, message in check_run(run, store.settings, told)
                ]
        except NoRunError:
            # It was removed since we listed it.
            removed.add(file)
        except StoreError as error:
            problems.append(Problem(file, _kind(error), _without_path(error, store.path / file)))
        done += sizes[file]
    if progress is not None:
        progress(total, total, "")
    problems += _leftovers(store.path)
    problems += _catalog_problems(store.path, [file for file in files if file not in removed], entries)
    return problems


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        # It was removed since we listed it.
        return 0


class _Told:
    """Tells of the bytes of one file that are checked; what is compressed counts as more than it is there."""

    def __init__(self, progress: Progress | None, start: int, end: int, total: int, file: str) -> None:
        self._progress = progress
        self._done, self._end = start, end
        self._total, self._file = total, file

    def __call__(self, nbytes: int) -> None:
        self._done = min(self._end, self._done + nbytes)
        if self._progress is not None:
            self._progress(self._done, self._total, self._file)


def _leftovers(store: Path) -> Iterator[Problem]:
    remove = "store rm --leftovers removes it"
    for path in unclaimed_runs(store):
        message = f"of a trace that was killed; --resume makes it anew, {remove}"
        yield Problem(path.relative_to(store).as_posix(), "leftover", message)
    for path in drafts(store):
        message = f"of a process that was killed; {remove}"
        yield Problem(path.relative_to(store).as_posix(), "leftover", message)
    for path in sorted((store / layout.RUNS).glob("*/*")):
        file = path.relative_to(store).as_posix()
        run = file.removesuffix(layout.PARTIAL + layout.CLAIM).removesuffix(layout.PARTIAL)
        if layout.parse_run_file(run) is None:
            yield Problem(file, "foreign", "no file of a store; delete it or move it away")


def _catalog_problems(store: Path, files: list[str], entries: dict[str, RunEntry]) -> Iterator[Problem]:
    catalog = Catalog(store)
    catalog.refresh()
    yield from (
        Problem(line.partition(":")[0], "catalog", line.partition(": ")[2]) for line in catalog.damaged
    )
    listed = {entry.file: entry for entry in catalog.entries()}
    for file in sorted(listed):
        if not (store / file).exists():
            yield Problem(file, "catalog", "the catalog names it, but it is gone; run store reindex")
    for file in files:
        if file not in listed:
            yield Problem(file, "catalog", "the catalog does not name it; run store reindex")
        elif file in entries and listed[file] != entries[file]:
            yield Problem(file, "catalog", "the catalog says otherwise than the file; run store reindex")


def _kind(error: StoreError) -> str:
    if isinstance(error, UnreadableError):
        return "unreadable"
    return "version" if isinstance(error, VersionError) else "damaged"


def _without_path(error: StoreError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")
