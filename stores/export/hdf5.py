"""Export into one HDF5 file, in which each run is a group that looks like the run's own file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import h5py
import h5py.h5d as h5d
import numpy as np
from h5py import h5s

from stores import layout
from stores.export.choice import ChosenRun, ChosenSite, Copied
from stores.export.header import header
from stores.guarded_file import GuardedFile, refusals
from stores.hdf5 import Reading, dataset, open_run_file
from stores.interrupts import interrupts_deferred
from stores.slabs.checksums import checksums
from stores.slabs.compression import NONE
from stores.slabs.reader import SlabReader
from stores.store import Store

_WHOLE = (layout.SCHEDULE, layout.CONDITION, layout.TRUTH)
_PINNED = (layout.PINNED, layout.PINNED_MASK)
# Attributes by which HDF5 keeps dimension scales; they are made anew.
_SCALE_ATTRS = ("DIMENSION_LIST", "DIMENSION_LABELS")


class Hdf5Export:
    """As one HDF5 file."""

    def needed_bytes(self, runs: Sequence[ChosenRun]) -> int:
        """What the file will take."""
        return sum(run.file_bytes for run in runs)

    def is_replaceable(self, path: Path) -> bool:
        """Whether such an export may replace ``path``: a file."""
        return path.is_file()

    def write(self, store: Store, runs: Sequence[ChosenRun], out: Path, copied: Copied) -> None:
        """Writes the file ``out``, which is made; one slab or compressed chunk is in memory at a time.

        Ctrl-C comes between slabs: where HDF5 calls Python it would be lost, or another error.

        Raises:
            StoreError: a run is damaged, or the disk refuses.
        """
        fd = os.open(out, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            guarded = GuardedFile(fd)
            with (
                interrupts_deferred() as let_through,
                refusals(out, guarded),
                h5py.File(guarded, "w") as file,
            ):

                def count(name: str, size: int) -> None:
                    let_through()
                    guarded.check()
                    copied(name, size)

                for name, value in header(store).items():
                    file.attrs[name] = json.dumps(value) if isinstance(value, dict) else value
                for chosen in runs:
                    _write_run(store, chosen, file.create_group(chosen.name), count)
        finally:
            os.close(fd)


def _write_run(store: Store, chosen: ChosenRun, target: h5py.Group, copied: Copied) -> None:
    count = partial(copied, chosen.entry.file)
    with store.run(*chosen.entry.key) as run, open_run_file(run.path) as source:
        slabs = dict(run.slabs())
        with Reading(run.path):
            for name, value in source.attrs.items():
                target.attrs[name] = value
            for path in (*_WHOLE, *(_PINNED if chosen.pinned else ())):
                if path in source:
                    _copy(source, target, path)
        for path in chosen.slabs:
            indices = [list(range(length)) for length in slabs[path].index_shape]
            _SlabCopy(run.path, source, path, slabs[path], indices).write(target, count)
        for site in chosen.sites:
            _SlabCopy(run.path, source, site.path, slabs[site.path], site.positions).write(target, count)
            with Reading(run.path):
                _describe(source, target, site)


def _copy(source: h5py.File, target: h5py.Group, path: str) -> None:
    parent, _, name = path.rpartition("/")
    source.copy(path, target.require_group(parent) if parent else target, name)


def _describe(source: h5py.File, target: h5py.Group, site: ChosenSite) -> None:
    """Adds the scales of a site, and what else belongs to it."""
    key = site.info.key
    activations = dataset(target, site.path)
    scales = target.create_group(f"{layout.SCALES}/{key}")
    values = (
        np.asarray(site.steps, "<i8"),
        np.asarray(site.layers, "<i8"),
        np.asarray(site.branches, "S"),
    )
    for axis, (name, numbers) in enumerate(zip(layout.INDEX_AXES, values, strict=True)):
        scale = scales.create_dataset(name, data=numbers)
        scale.make_scale(name)
        activations.dims[axis].attach_scale(scale)
    for path in (f"{layout.SCALES}/{key}/{layout.PLACES}", f"{layout.PROJECTIONS}/{key}"):
        if path in source:
            _copy(source, target, path)


class _SlabCopy:
    """Copies slabs of one dataset as they are stored, with their checksums and factors.

    Args:
        run: the run's file, to name in errors.
        source: the same, open.
        path: of the dataset.
        slabs: its reader.
        positions: which indices are taken along each of the axes that index slabs.
    """

    def __init__(
        self, run: Path, source: h5py.File, path: str, slabs: SlabReader, positions: Sequence[list[int]]
    ) -> None:
        self._run = run
        self._file = source
        self._path = path
        self._slabs = slabs
        self._layout = slabs.layout
        self._positions = positions
        with Reading(run):
            self._source = dataset(source, path)
            self._beside = {
                name: dataset(source, name)
                for name in (f"{layout.CHECKSUMS}/{path}", layout.factors_path(path))
                if name in source
            }
            self._sums = next(iter(self._beside.values()))[()]

    def write(self, target: h5py.Group, count: Callable[[int], None]) -> None:
        """Makes the dataset in ``target`` and fills it; ``count`` is called with the bytes of each slab."""
        made = self._create(target)
        for new in np.ndindex(*map(len, self._positions)):
            index = tuple(chosen[place] for chosen, place in zip(self._positions, new, strict=True))
            if self._layout.compression == NONE:
                self._copy_slab(made, index, new)
            else:
                self._copy_chunks(made, index, new)
            count(self._layout.slab_bytes)
        for name, beside in self._beside.items():
            with Reading(self._run):
                part = beside[()][np.ix_(*self._positions)]
            stored = target.create_dataset(name, data=part)
            for attr, value in beside.attrs.items():
                stored.attrs[attr] = value

    def _create(self, target: h5py.Group) -> h5d.DatasetID:
        parent, _, name = self._path.rpartition("/")
        place = target.require_group(parent) if parent else target
        with Reading(self._run):
            properties = self._source.id.get_create_plist()
            properties.set_alloc_time(h5d.ALLOC_TIME_INCR)
            shape = (*map(len, self._positions), *self._layout.shape)
            made = h5d.create(
                place.id, name.encode(), self._source.id.get_type(), h5s.create_simple(shape), properties
            )
            stored = dataset(place, name)
            for attr, value in self._source.attrs.items():
                if attr not in _SCALE_ATTRS:
                    stored.attrs[attr] = value
            for axis, dim in enumerate(self._source.dims):
                stored.dims[axis].label = dim.label
        return made

    def _copy_slab(self, made: h5d.DatasetID, index: tuple[int, ...], new: tuple[int, ...]) -> None:
        with Reading(self._run):
            slab = self._slabs.read(index)
        for group in range(self._layout.groups):
            first = group * self._layout.group
            chunk = slab[first : first + self._layout.group].reshape(-1).view(np.uint8)
            made.write_direct_chunk(self._at(new, group), chunk)

    def _copy_chunks(self, made: h5d.DatasetID, index: tuple[int, ...], new: tuple[int, ...]) -> None:
        for group in range(self._layout.groups):
            with Reading(self._run):
                _, chunk = self._source.id.read_direct_chunk(self._at(index, group))
                found = checksums(memoryview(chunk), self._layout.block)
                if found != self._sums[(*index, group)].tolist():
                    place = ", ".join(map(str, self._at(index, group)))
                    raise ValueError(f"the chunk of {self._path} at ({place}) does not match its checksum")
            made.write_direct_chunk(self._at(new, group), chunk)

    def _at(self, index: tuple[int, ...], group: int) -> tuple[int, ...]:
        return (*index, group * self._layout.group, *(0 for _ in self._layout.shape[1:]))
