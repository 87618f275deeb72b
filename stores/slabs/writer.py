"""Writing the large datasets of a run's file, by several threads at once.

HDF5 has one lock for everything, so nothing that takes time may happen inside it. Uncompressed datasets get
their place in the file when they are made, and what is written goes there directly, past HDF5. Compressed
chunks are encoded in the calling thread; only putting them into the file is HDF5's.
"""

from __future__ import annotations

from typing import Any

import h5py
import h5py.h5d as h5d
import h5py.h5p as h5p
import numpy as np
import numpy.typing as npt
from h5py import h5s, h5t

from stores import dtypes, layout
from stores.guarded_file import GuardedFile
from stores.slabs import compression
from stores.slabs.checksums import checksums
from stores.slabs.chunks import chunk_places
from stores.slabs.layout import SlabLayout


class SlabWriter:
    """Writes the slabs of one new dataset. Any number of threads may `write`, each to other indices.

    Args:
        file: the run's file, open for writing.
        guarded: what ``file`` writes to.
        path: of the dataset.
        index_shape: how many slabs there are, along each index axis; () for a single one.
        slab: how a slab is divided.
        axes: a name for every axis of the dataset.
    """

    def __init__(
        self,
        file: h5py.File,
        guarded: GuardedFile,
        path: str,
        index_shape: tuple[int, ...],
        slab: SlabLayout,
        axes: tuple[str, ...],
    ) -> None:
        self._file = file
        self._guarded = guarded
        self._path = path
        self._layout = slab
        self._dataset = _create(file, path, index_shape, slab)
        for axis, name in enumerate(axes):
            h5py.Dataset(self._dataset).dims[axis].label = name
        groups = (*index_shape, slab.groups)
        self._checksums = np.zeros((*groups, slab.blocks), np.uint64)
        self._written = np.zeros(index_shape, bool)
        self._factors = np.ones(groups, np.float32) if slab.dtype == "fp8" else None
        self._offsets: npt.NDArray[np.int64] | None = None
        if slab.compression == compression.NONE:
            self._offsets, _ = chunk_places(self._dataset, index_shape, slab)

    def write(
        self, index: tuple[int, ...], slab: npt.NDArray[Any], factors: npt.NDArray[np.float32] | None = None
    ) -> None:
        """Writes the slab at ``index``; writing it again replaces it.

        Args:
            slab: as `SlabLayout.memory_type` says: uint16 bits for bf16, uint8 codes for fp8.
            factors: for fp8, what the codes of each chunk are multiplied by: (groups,), above 0, or NaN for a
                chunk that holds a NaN or infinity.

        Raises:
            TypeError: ``slab`` is not of the dataset's type.
            ValueError: ``slab`` has another shape, or the factors do not fit.
            OSError: the disk refuses.
        """
        if slab.dtype != self._layout.memory_type:
            raise TypeError(f"{self._path}: expected {self._layout.memory_type.name}, got {slab.dtype}")
        if slab.shape != self._layout.shape:
            raise ValueError(f"{self._path}: expected the shape {self._layout.shape}, got {slab.shape}")
        self._set_factors(index, factors)
        data = np.ascontiguousarray(slab, self._layout.memory_type)
        for group, chunk in enumerate(data.reshape(self._layout.groups, -1)):
            self._checksums[(*index, group)] = self._write_chunk(index, group, chunk)
            self._guarded.flush_behind(chunk.nbytes)
        self._written[index] = True

    def missing(self) -> list[tuple[int, ...]]:
        """The indices of the slabs that are not written yet."""
        return [tuple(int(i) for i in index) for index in np.argwhere(~self._written)]

    def places(self) -> list[tuple[int, int]]:
        """(offset, length) of every chunk, in the file."""
        places: list[tuple[int, int]] = []
        self._dataset.chunk_iter(lambda chunk: places.append((chunk.byte_offset, chunk.size)))
        return places

    def finish(self) -> None:
        """Writes the checksums and factors; nothing may be written afterwards."""
        path = f"{layout.CHECKSUMS}/{self._path}"
        stored = self._file.create_dataset(path, data=self._checksums, dtype="<u8")
        stored.attrs["block"] = self._layout.block
        if self._factors is not None:
            self._file.create_dataset(layout.factors_path(self._path), data=self._factors, dtype="<f4")

    def _set_factors(self, index: tuple[int, ...], factors: npt.NDArray[np.float32] | None) -> None:
        if (factors is None) != (self._factors is None):
            raise ValueError(
                f"{self._path}: factors are for fp8, which needs them; it is {self._layout.dtype}"
            )
        if self._factors is None:
            return
        given = np.asarray(factors, np.float32)
        if given.shape != (self._layout.groups,):
            raise ValueError(f"{self._path}: expected {self._layout.groups} factors, got {given.shape}")
        if not dtypes.are_factors(given):
            raise ValueError(f"{self._path}: a factor must be above 0 and finite, or NaN")
        self._factors[index] = given

    def _write_chunk(self, index: tuple[int, ...], group: int, chunk: npt.NDArray[Any]) -> list[int]:
        if self._offsets is None:
            data = np.frombuffer(compression.encode(chunk, self._layout.compression), np.uint8)
            rest = (0,) * (len(self._layout.shape) - 1)
            self._dataset.write_direct_chunk((*index, group * self._layout.group, *rest), data)
            return checksums(data.data, self._layout.block)
        offset = int(self._offsets[(*index, group)])
        data = chunk.view(np.uint8).data
        found: list[int] = []
        for start in range(0, len(data), layout.PIECE):
            piece = data[start : start + layout.PIECE]
            found += checksums(piece, self._layout.block)
            self._guarded.put(piece, offset + start)
        return found


def _create(file: h5py.File, path: str, index_shape: tuple[int, ...], slab: SlabLayout) -> h5d.DatasetID:
    if index_shape and min(index_shape) < 1:
        raise ValueError(f"{path}: no axis may be empty, got {index_shape} slabs")
    parent, _, name = path.rpartition("/")
    group = file.require_group(parent) if parent else file
    stored = h5t.STD_U8LE.copy() if slab.dtype == "uint8" else dtypes.file_type(slab.dtype)
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_chunk((*(1 for _ in index_shape), *slab.chunk_shape))
    # Every chunk is written whole, so filling it first would write everything twice.
    properties.set_fill_time(h5d.FILL_TIME_NEVER)
    if slab.compression == compression.NONE:
        properties.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    compression.set_filter(properties, slab.compression, slab.memory_type.itemsize, slab.chunk_bytes)
    space = h5s.create_simple((*index_shape, *slab.shape))
    return h5d.create(group.id, name.encode(), stored, space, properties)
