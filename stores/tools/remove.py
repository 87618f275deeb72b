"""Removing runs from a store, and what killed processes left there."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stores import layout
from stores.catalog import Catalog, rewrite_catalog, run_files
from stores.entries import Key, RunEntry
from stores.errors import StoreError
from stores.files import fsync_folder
from stores.filters import Samples, Seeds, seed_filter
from stores.leftovers import drafts, remove_leftover, unclaimed_runs
from stores.store import Store

Progress = Callable[[int, int, str], None]

_IN_USE = frozenset((errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT))


@dataclass(frozen=True)
class StoredFile:
    """A file of a store: its name relative to the store, with forward slashes, and its size in bytes."""

    file: str
    size: int


@dataclass(frozen=True)
class StoredRun(StoredFile):
    """The file of a finished run, and what names the run."""

    sample: str
    seed: int
    variant: str


def find_runs(
    store: Store, samples: Samples = None, seeds: Seeds = None, variant: str | None = None
) -> list[StoredRun]:
    """The files of finished runs, by sample, seed and variant, as in `Store.runs`.

    By the names of the files, so those that are damaged or not in the catalog are found as well.

    Raises:
        SelectionError: ``seeds`` cannot be read.
    """
    is_wanted = _filter(samples, seeds, variant)
    files = {key: file for file in run_files(store.path) if (key := layout.parse_run_file(file)) is not None}
    found: list[StoredRun] = []
    for key, file in sorted(files.items()):
        if is_wanted(key):
            # Others may remove one while we look.
            with contextlib.suppress(FileNotFoundError):
                found.append(StoredRun(file, (store.path / file).stat().st_size, *key))
    return found


def find_gone(
    store: Store, samples: Samples = None, seeds: Seeds = None, variant: str | None = None
) -> list[RunEntry]:
    """The runs that the catalog names and whose files are gone: a killed removal leaves such lines.

    Raises:
        SelectionError: ``seeds`` cannot be read.
    """
    is_wanted = _filter(samples, seeds, variant)
    catalog = Catalog(store.path)
    catalog.refresh()
    return [
        entry
        for entry in catalog.entries()
        if is_wanted(entry.key) and not (store.path / entry.file).exists()
    ]


def forget_gone(store: Store, gone: Sequence[RunEntry]) -> None:
    """Ends what `find_gone` found: drops the lines of all runs whose files are gone, and empty folders.

    Raises:
        StoreError: the store cannot be written.
    """
    try:
        _remove_empty_folders({(store.path / entry.file).parent for entry in gone})
        if gone:
            rewrite_catalog(store.path)
    except OSError as error:
        raise _refused(store.path, error) from error


def _filter(samples: Samples, seeds: Seeds, variant: str | None) -> Callable[[Key], bool]:
    names = None if samples is None else {samples} if isinstance(samples, str) else set(samples)
    is_wanted = seed_filter(seeds)

    def is_meant(key: Key) -> bool:
        sample, seed, kind = key
        return (names is None or sample in names) and is_wanted(seed) and variant in (None, kind)

    return is_meant


def find_leftovers(store: Store) -> list[StoredFile]:
    """What killed processes left in the store: unfinished runs that nobody makes, and drafts."""
    found: list[StoredFile] = []
    for path in (*unclaimed_runs(store.path), *drafts(store.path)):
        with contextlib.suppress(FileNotFoundError):
            found.append(StoredFile(path.relative_to(store.path).as_posix(), path.stat().st_size))
    return found


def remove_leftovers(store: Store, leftovers: Sequence[StoredFile]) -> list[StoredFile]:
    """Removes what `find_leftovers` found; those that are removed, which leaves out what is in use again.

    Raises:
        StoreError: the store cannot be written.
    """
    try:
        removed = [leftover for leftover in leftovers if remove_leftover(store.path / leftover.file)]
        folders = {(store.path / leftover.file).parent for leftover in removed}
        _remove_empty_folders(folders - {store.path, store.path / layout.CATALOG})
    except OSError as error:
        raise _refused(store.path, error) from error
    return removed


def remove_runs(store: Store, runs: Sequence[StoredFile], progress: Progress | None = None) -> None:
    """Removes finished runs, their files first and then their lines in the catalog.

    The files are the truth: whatever ends this in between, the runs whose files are gone are not in the
    store, and opening it, `forget_gone` or `Store.reindex` corrects the catalog. Who is reading one of them
    reads on.

    Args:
        runs: as `find_runs` gives them; those that are gone already are passed over.
        progress: called with (bytes removed, bytes in all, file).

    Raises:
        StoreError: the store cannot be written.
    """
    total, done = sum(run.size for run in runs), 0
    folders: set[Path] = set()
    try:
        try:
            for run in runs:
                if progress is not None:
                    progress(done, total, run.file)
                path = store.path / run.file
                path.unlink(missing_ok=True)
                folders.add(path.parent)
                done += run.size
        finally:
            for folder in folders:
                fsync_folder(folder)
            _remove_empty_folders(folders)
            if folders:
                rewrite_catalog(store.path)
    except OSError as error:
        raise _refused(store.path, error) from error


def _remove_empty_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno not in _IN_USE:
                raise


def _refused(store: Path, error: OSError) -> StoreError:
    place = error.filename or store / layout.RUNS
    return StoreError(f"{place}: cannot be removed: {error.strerror or error}")
