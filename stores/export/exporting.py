"""Planning and making an export."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stores.errors import StoreError
from stores.export.choice import ChosenRun, Copied, Progress, Wanted, choose
from stores.files import check_space, refuse_existing, replacing
from stores.store import Store
from stores.tools.opening import AnyStore, opened
from stores.units import count_text

FORMATS = ("hdf5", "safetensors", "zarr")
SHARD_SIZE = 2 * 10**9

_SUFFIXES = {
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".safetensors": "safetensors",
    ".zarr": "zarr",
}


class Format(Protocol):
    """What a format knows to do."""

    def needed_bytes(self, runs: Sequence[ChosenRun]) -> int:
        """What the export will take, about and at most. Raises StoreError if it cannot hold these runs."""
        ...

    def is_replaceable(self, path: Path) -> bool:
        """Whether what is at ``path`` may be replaced."""
        ...

    def write(self, store: Store, runs: Sequence[ChosenRun], out: Path, copied: Copied) -> None:
        """Writes the file or folder ``out``, which is made."""
        ...


@dataclass(frozen=True)
class ExportPlan:
    """An export that can be made.

    Attributes:
        store, out: from where, and into which file or folder.
        format: of `FORMATS`.
        runs: what is taken.
        size: bytes that it takes, about and at most.
    """

    store: Store
    out: Path
    format: str
    writer: Format
    runs: tuple[ChosenRun, ...]
    size: int
    force: bool


def format_of(out: Path, asked: str | None = None) -> str:
    """The format that is asked for, else the one that the suffix of ``out`` means.

    Raises:
        StoreError: there is no such format, or the suffix means none.
    """
    if asked is None:
        if out.suffix not in _SUFFIXES:
            raise StoreError(
                f"{out}: which format? Give --format ({', '.join(FORMATS)}), or a name that ends in "
                f"{', '.join(_SUFFIXES)}"
            )
        return _SUFFIXES[out.suffix]
    if asked not in FORMATS:
        raise StoreError(f"format {asked!r}: use one of {', '.join(FORMATS)}")
    return asked


def export_store(
    store: AnyStore,
    out: str | os.PathLike[str],
    wanted: Wanted | None = None,
    *,
    format: str | None = None,
    shard_size: int = SHARD_SIZE,
    force: bool = False,
    progress: Progress | None = None,
) -> int:
    """Exports a store, or a part of it: `plan_export` and `write_export` in one.

    Args:
        progress: as that of `write_export`; all others are those of `plan_export`.
    """
    plan = plan_export(store, out, wanted, format=format, shard_size=shard_size, force=force)
    return write_export(plan, progress)


def plan_export(
    store: AnyStore,
    out: str | os.PathLike[str],
    wanted: Wanted | None = None,
    *,
    format: str | None = None,
    shard_size: int = SHARD_SIZE,
    force: bool = False,
    progress: Progress | None = None,
) -> ExportPlan:
    """Finds what an export takes, and whether it can be made; nothing is written.

    Args:
        store: a store, or its folder.
        out: a file for hdf5, or safetensors if its suffix is .safetensors; else a folder.
        wanted: what is taken; None is everything.
        format: one of `FORMATS`; None is what the suffix of ``out`` means.
        shard_size: bytes of a file of safetensors, at most; so much is in memory at a time.
        force: replace what is at ``out``, if it is such an export.
        progress: called with (runs opened, runs in all, file).

    Raises:
        StoreError: ``out`` exists, nothing is selected, a run is damaged, it does not fit into the format, or
            there is too little space.
        SelectionError: a selection cannot be read, or reaches beyond what is stored.
    """
    store, path = opened(store), Path(out)
    name = format_of(path, format)
    writer = _writer(name, path, shard_size)
    if path.resolve().is_relative_to(store.path.resolve()):
        raise StoreError(f"{path}: an export goes beside the store, not into it")
    refuse_existing(path, force, writer.is_replaceable)
    runs = choose(store, wanted or Wanted(), progress)
    size = writer.needed_bytes(runs)
    check_space(path, size, f"exporting {count_text(len(runs), 'run')}")
    return ExportPlan(store, path, name, writer, runs, size, force)


def write_export(plan: ExportPlan, progress: Progress | None = None) -> int:
    """Makes an export, and gives its bytes on the disk.

    It has its name once it is whole and on the disk. Whatever is raised before, nothing is left behind; a
    killed process leaves ``OUT.*.partial``.

    Args:
        progress: called with (bytes taken, bytes in all, file), of the slabs before compression.

    Raises:
        StoreError: a run is damaged, something is at ``out`` by now, or the disk refuses.
    """
    total, done = sum(run.raw_bytes for run in plan.runs), 0

    def copied(file: str, size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(done, total, file)

    with replacing(plan.out, plan.force, plan.writer.is_replaceable) as draft:
        plan.writer.write(plan.store, plan.runs, draft, copied)
    if plan.out.is_file():
        return plan.out.stat().st_size
    return sum(path.stat().st_size for path in plan.out.rglob("*") if path.is_file())


def _writer(name: str, out: Path, shard_size: int) -> Format:
    if name == "hdf5":
        from stores.export.hdf5 import Hdf5Export

        return Hdf5Export()
    if name == "zarr":
        from stores.export.zarr import ZarrExport

        return ZarrExport()
    from stores.export.safetensors import SUFFIX, SafetensorsExport

    if shard_size < 1:
        raise StoreError(f"--shard-size {shard_size}: give a number of bytes from 1 on")
    return SafetensorsExport(shard_size, single=out.suffix == SUFFIX)
