"""Merging stores of the same settings into one."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stores import layout
from stores.catalog import Catalog, open_run, rewrite_catalog
from stores.claim import Claim
from stores.entries import Key, RunEntry
from stores.errors import StoreError
from stores.files import check_space, copy_bytes, free_space, fsync_folder
from stores.flat import differences
from stores.guarded_file import refusals
from stores.hdf5 import Reading
from stores.reader import Run
from stores.seal import have_one_seal
from stores.settings import StoreSettings
from stores.store import Store, create_store, open_store
from stores.tools.comparing import diff_runs
from stores.tools.opening import AnyStore, opened
from stores.units import count_text

Progress = Callable[[int, int, str], None]

_NAMED = 8


@dataclass(frozen=True)
class Transfer:
    """A run that a merge brings into a store: ``entry`` of the store in the folder ``source``."""

    source: Path
    entry: RunEntry


@dataclass(frozen=True)
class MergePlan:
    """What a merge will do, once it is known that it can.

    Attributes:
        out: the folder of the store that the runs come into.
        settings: of all the stores.
        transfers: the runs that ``out`` lacks.
        present: the runs of the sources that ``out`` has already.
        link: whether runs get a second name (a hard link) where they can, instead of being copied.
        copied_bytes: that are to be copied; the others are linked.
        damaged: a line for each copy of a run that is damaged, or cannot be read, while another one is whole.
    """

    out: Path
    settings: StoreSettings
    transfers: tuple[Transfer, ...]
    present: tuple[Key, ...]
    link: bool
    copied_bytes: int
    damaged: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of the runs that ``out`` lacks."""
        return sum(transfer.entry.size for transfer in self.transfers)


@dataclass(frozen=True)
class Merged:
    """What a merge did: the runs that it copied, and those that it linked."""

    copied: tuple[RunEntry, ...]
    linked: tuple[RunEntry, ...]


def merge_stores(
    out: str | os.PathLike[str],
    sources: AnyStore | Sequence[AnyStore],
    *,
    link: bool = False,
    progress: Progress | None = None,
) -> Merged:
    """Merges stores into the one in the folder ``out``: `plan_merge` and `bring_runs` in one.

    Args:
        progress: as that of `bring_runs`; all others are those of `plan_merge`.
    """
    return bring_runs(plan_merge(out, sources, link=link), progress)


def plan_merge(
    out: str | os.PathLike[str],
    sources: AnyStore | Sequence[AnyStore],
    *,
    link: bool = False,
    progress: Progress | None = None,
) -> MergePlan:
    """Compares the stores and finds what a merge into the folder ``out`` has to do; nothing is written.

    Runs of one name are compared: they are the same if nothing but the time when they were finished differs.
    There slabs count as equal if their checksums are. Then every run that is to be brought is read, so that
    no damage comes along: of several copies the first that is whole is taken.

    Args:
        out: a store, which is then one of the sources, too; or a folder that is empty or does not exist.
        sources: stores, or their folders.
        link: give runs a second name instead of copying them, where ``out`` is on the same file system.
        progress: called with (bytes read, bytes in all, file), of the runs that are to be brought.

    Raises:
        StoreError: the settings differ, two runs of one name differ, all copies of a run are damaged, or
            there is too little space. All that differs or is damaged is named.
    """
    given = [sources] if isinstance(sources, Store | str | os.PathLike) else sources
    if not given:
        raise StoreError("there is nothing to merge: name the stores")
    folder = Path(out)
    target = _target(folder)
    stores = _distinct([*([] if target is None else [target]), *map(opened, given)])
    _check_settings(stores)
    copies: dict[Key, list[Transfer]] = {}
    for store in stores:
        for entry in store.runs():
            copies.setdefault(entry.key, []).append(Transfer(store.path, entry))
    held = set() if target is None else {entry.key for entry in target.runs()}
    told = _Told(progress, sum(of_run[0].entry.size for key, of_run in copies.items() if key not in held))
    damaged = _check_copies(copies, held, told)
    missing = [of_run for key, of_run in copies.items() if key not in held]
    transfers = tuple(_whole_copies(missing, damaged, told))
    present = tuple(key for key, of_run in copies.items() if key in held and len(of_run) > 1)
    here = free_space(folder)[0].stat().st_dev
    copied_bytes = sum(
        transfer.entry.size for transfer in transfers if not (link and transfer.source.stat().st_dev == here)
    )
    check_space(folder, copied_bytes, f"copying {count_text(len(transfers), 'run')}")
    return MergePlan(folder, stores[0].settings, transfers, present, link, copied_bytes, tuple(damaged))


def bring_runs(plan: MergePlan, progress: Progress | None = None) -> Merged:
    """Does what a merge has to do.

    A run has its name in the store once it is whole and on the disk, then it is catalogued. So whatever ends
    a merge, the same merge again goes on where it was.

    Args:
        progress: called with (bytes brought, bytes in all, file).

    Raises:
        StoreError: the disk refuses, or another process made one of the runs in the meantime.
    """
    store = create_store(plan.out, plan.settings, exist_ok=True)
    store.complete_catalog()
    catalog = _catalog(plan)
    copied: list[RunEntry] = []
    linked: list[RunEntry] = []
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(done, plan.size, entry.file)

    for transfer in plan.transfers:
        entry = transfer.entry
        count(0)
        source, final = transfer.source / entry.file, store.path / entry.file
        with refusals(final):
            final.parent.mkdir(parents=True, exist_ok=True)
            by_link = _bring(source, final, entry.size, plan.link, count)
            (linked if by_link else copied).append(entry)
            for folder in (final.parent, final.parent.parent):
                fsync_folder(folder)
            catalog.append(entry)
    return Merged(tuple(copied), tuple(linked))


def _catalog(plan: MergePlan) -> Catalog:
    """The catalog of the store, without lines of runs that are to be brought: their files were deleted."""
    catalog = Catalog(plan.out)
    catalog.refresh()
    stale = {entry.key for entry in catalog.entries()} & {each.entry.key for each in plan.transfers}
    if stale:
        rewrite_catalog(plan.out)
    return catalog


def _target(folder: Path) -> Store | None:
    """The store in ``folder``, or None if there is room for one."""
    if (folder / layout.STORE_FILE).exists():
        return open_store(folder)
    # As for `create_store`, what begins with a dot does not count: a killed process may have left a draft.
    if folder.exists() and (not folder.is_dir() or any(item.name[0] != "." for item in folder.iterdir())):
        raise StoreError(f"{folder}: this is there and is no store; choose another name")
    return None


def _distinct(stores: Sequence[Store]) -> list[Store]:
    """``stores`` without those whose folder another one has already."""
    return list({os.path.realpath(store.path): store for store in reversed(stores)}.values())[::-1]


def _check_settings(stores: Sequence[Store]) -> None:
    first = stores[0]
    for other in stores[1:]:
        found = differences(first.settings.to_json(), other.settings.to_json())
        if found:
            lines = (f"  {key}: {here} there, {there} here" for key, here, there in found)
            raise StoreError(
                f"{other.path}: other settings than {first.path}, so the two cannot be merged\n"
                + "\n".join(lines)
            )


class _Told:
    """Tells of the bytes of runs that are read; of a run those of one copy count, however many are read."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def __call__(self, done: int, file: str) -> None:
        self._done = min(self._total, max(self._done, done))
        if self._progress is not None:
            self._progress(self._done, self._total, file)


def _check_copies(copies: dict[Key, list[Transfer]], held: Collection[Key], told: _Told) -> list[str]:
    """Compares the ``copies`` of each run, and takes out those that cannot be opened; a line for each.

    Raises:
        StoreError: two copies differ, or the only one of a run, or the one that is there, cannot be opened.
    """
    conflicts: list[str] = []
    damaged: list[str] = []
    for key, of_run in copies.items():
        if len(of_run) > 1:
            told(0, of_run[0].entry.file)
            found = _compare(of_run)
            if not found.readable or (key in held and of_run[0] is not found.readable[0]):
                raise _nothing_merged("a run cannot be read", found.damaged)
            copies[key] = found.readable
            conflicts += found.conflicts
            damaged += found.damaged
    if conflicts:
        raise _nothing_merged("runs of one name differ; remove one of the two (store rm)", conflicts)
    return damaged


class _Compared(NamedTuple):
    """The copies of a run that can be opened, and a line for each other one, and for each that differs."""

    readable: list[Transfer]
    damaged: list[str]
    conflicts: list[str]


def _compare(copies: Sequence[Transfer]) -> _Compared:
    found = _Compared([], [], [])
    with ExitStack() as files:
        runs: list[Run] = []
        for copy in copies:
            try:
                runs.append(files.enter_context(open_run(copy.source, copy.entry.file)))
                found.readable.append(copy)
            except StoreError as error:
                found.damaged.append(str(error))
        for copy, run in zip(found.readable[1:], runs[1:], strict=True):
            first = found.readable[0]
            same = have_one_seal(runs[0].path, run.path)
            differing = () if same else diff_runs(runs[0], run, trust=True)
            if differing:
                both = f"{first.source} (A) and {copy.source} (B)"
                found.conflicts.append(f"{first.entry.file} in {both}: {differing[0]}")
    return found


def _whole_copies(runs: Sequence[list[Transfer]], damaged: list[str], told: _Told) -> Iterator[Transfer]:
    """The first copy of each run that is whole to the last bit; adds a line for each one that is not.

    Raises:
        StoreError: runs have no such copy; names them.
    """
    lost: list[str] = []
    start = 0
    for copies in runs:
        size = copies[0].entry.size
        found: list[str] = []
        for copy in copies:
            done = 0
            try:
                for nbytes in _read_all(copy):
                    told(start + min(done, size), copy.entry.file)
                    done += nbytes
            except StoreError as error:
                found.append(str(error))
            else:
                damaged += found
                yield copy
                break
        else:
            lost += found
        start += size
        told(start, copies[0].entry.file)
    if lost:
        raise _nothing_merged("of some runs there is no whole copy", lost)


def _read_all(copy: Transfer) -> Iterator[int]:
    """Reads all slabs of a run, and so checks them; 0, then the bytes of each.

    Raises:
        StoreError: the run is damaged, or cannot be read.
    """
    with open_run(copy.source, copy.entry.file) as run:
        yield 0
        for _, slabs in run.slabs():
            for index in np.ndindex(*slabs.index_shape):
                with Reading(run.path):
                    slabs.read(index)
                yield slabs.layout.slab_bytes


def _nothing_merged(why: str, lines: Sequence[str]) -> StoreError:
    more = [f"and {len(lines) - _NAMED} more"] if len(lines) > _NAMED else []
    named = "\n".join(f"  {line}" for line in [*lines[:_NAMED], *more])
    return StoreError(f"nothing was merged, because {why}\n{named}")


def _bring(source: Path, final: Path, size: int, link: bool, count: Callable[[int], object]) -> bool:
    """Brings a run, under the claim of those who make runs; whether it was by a link."""
    partial = final.with_name(final.name + layout.PARTIAL)
    claim = Claim(partial, str(final))
    try:
        if final.exists():
            raise _made_meanwhile(final)
        linked = link and _link(source, final)
        if linked:
            partial.unlink()
            count(size)
        else:
            _copy(source, claim.fileno(), size, count)
            os.rename(partial, final)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    finally:
        claim.release()
    return linked


def _link(source: Path, final: Path) -> bool:
    """Gives ``source`` a second name; False where the file system has no such links, or it is another one."""
    try:
        os.link(os.path.realpath(source), final)
    except FileExistsError:
        raise _made_meanwhile(final) from None
    except OSError:
        return False
    return True


def _copy(source: Path, target: int, size: int, count: Callable[[int], object]) -> None:
    """Copies a run into the file ``target``, and waits until it is on the disk."""
    os.ftruncate(target, 0)
    with source.open("rb") as file:
        copied = copy_bytes(file.fileno(), target, count)
    if copied != size:
        raise StoreError(f"{source}: it has {copied} bytes, not {size}; check the store it is in")
    os.fsync(target)


def _made_meanwhile(final: Path) -> StoreError:
    return StoreError(f"{final}: another process made this run in the meantime; merge again")
