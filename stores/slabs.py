"""The large datasets of a run's file: written whole chunk by whole chunk, read back checked.

A slab is what one call writes: a token grid of one (step, layer, branch), a latent of one step, a video. Its
first axis is divided evenly into chunks of at most `layout.MAX_CHUNK`; the axes before it index the slab.
Bytes go from the caller's memory to the file and back as they are, without HDF5's conversions.
"""

from __future__ import annotations

from typing import Any

import h5py
import h5py.h5d as h5d
import h5py.h5p as h5p
import numpy as np
import numpy.typing as npt
import xxhash
from h5py import h5s, h5t

from stores import dtypes, layout


class SlabWriter:
    """Writes the slabs of one new dataset.

    Args:
        file: the run's file, open for writing.
        path: of the dataset.
        index_shape: how many slabs there are, along each index axis; () for a single one.
        slab_shape: of one slab.
        dtype: one of `dtypes.DTYPES`, or "uint8".
        axes: a name for every axis of the dataset.
    """

    def __init__(
        self,
        file: h5py.File,
        path: str,
        index_shape: tuple[int, ...],
        slab_shape: tuple[int, ...],
        dtype: str,
        axes: tuple[str, ...],
    ) -> None:
        if min((*index_shape, *slab_shape)) < 1:
            raise ValueError(f"{path}: no axis may be empty, got {index_shape} slabs of {slab_shape}")
        self._file = file
        self._path = path
        self._slab_shape = slab_shape
        self.memory_type = np.dtype(np.uint8) if dtype == "uint8" else dtypes.memory_type(dtype)
        row_bytes = int(np.prod(slab_shape[1:], dtype=np.int64)) * self.memory_type.itemsize
        self._group = layout.chunk_length(slab_shape[0], row_bytes)
        chunk = (*(1 for _ in index_shape), self._group, *slab_shape[1:])
        stored = h5t.STD_U8LE.copy() if dtype == "uint8" else dtypes.file_type(dtype)
        self._dataset = _create(file, path, (*index_shape, *slab_shape), chunk, stored)
        for axis, name in enumerate(axes):
            h5py.Dataset(self._dataset).dims[axis].label = name
        groups = slab_shape[0] // self._group
        self._checksums = np.zeros((*index_shape, groups), np.uint64)
        self._written = np.zeros(index_shape, bool)

    def write(self, index: tuple[int, ...], slab: npt.NDArray[Any]) -> None:
        """Writes the slab at ``index``; writing it again replaces it.

        Raises:
            TypeError: ``slab`` is not of the dataset's type (uint16 bits for bf16).
            ValueError: ``slab`` has another shape.
        """
        if slab.dtype != self.memory_type:
            raise TypeError(f"{self._path}: expected {self.memory_type.name}, got {slab.dtype}")
        if slab.shape != self._slab_shape:
            raise ValueError(f"{self._path}: expected the shape {self._slab_shape}, got {slab.shape}")
        data = np.ascontiguousarray(slab, self.memory_type)
        rest = (0,) * (len(self._slab_shape) - 1)
        for group in range(self._checksums.shape[-1]):
            first = group * self._group
            chunk = data[first : first + self._group].reshape(-1).view(np.uint8)
            self._dataset.write_direct_chunk((*index, first, *rest), chunk)
            self._checksums[(*index, group)] = _checksum(chunk)
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
        """Writes the checksums; nothing may be written afterwards."""
        self._file.create_dataset(f"{layout.CHECKSUMS}/{self._path}", data=self._checksums, dtype="<u8")


class SlabReader:
    """Reads the slabs of one dataset.

    The checksum of a chunk is compared when the chunk is first read; the file cannot change after that, since
    a finished run is never written again.

    Raises:
        ValueError: the dataset is not as a `SlabWriter` leaves it.
    """

    def __init__(self, dataset: h5py.Dataset, checksums: h5py.Dataset, indices: int) -> None:
        stored = dataset.id.get_type()
        dtype = "uint8" if stored.equal(h5t.STD_U8LE) else dtypes.dtype_of(stored)
        if dtype is None:
            raise ValueError(f"{dataset.name} is of no type that a store has")
        self.dtype: str = dtype
        self._memory_type = np.dtype(np.uint8) if self.dtype == "uint8" else dtypes.memory_type(self.dtype)
        self._name = str(dataset.name)
        self._dataset = dataset.id
        self.index_shape: tuple[int, ...] = dataset.shape[:indices]
        self.slab_shape: tuple[int, ...] = dataset.shape[indices:]
        chunk = dataset.chunks
        if chunk is None or chunk[:indices] != (1,) * indices or chunk[indices + 1 :] != self.slab_shape[1:]:
            raise ValueError(f"{dataset.name} is not chunked as a store's datasets are")
        self._group: int = chunk[indices]
        self._checksums = checksums[()]
        groups, rest = divmod(self.slab_shape[0], self._group)
        if rest or self._checksums.shape != (*self.index_shape, groups):
            raise ValueError(f"{dataset.name} and its checksums do not fit together")
        self._checked = np.zeros(self._checksums.shape, bool)

    def read(self, index: tuple[int, ...], check_again: bool = False) -> npt.NDArray[Any]:
        """The slab at ``index``, as stored (uint16 bits for bf16).

        Raises:
            ValueError: a chunk does not match its checksum.
            OSError: a chunk is not there, or cannot be read.
        """
        slab = np.empty(self.slab_shape, self._memory_type)
        rest = (0,) * (len(self.slab_shape) - 1)
        for group in range(self._checksums.shape[-1]):
            first = group * self._group
            chunk = slab[first : first + self._group].reshape(-1).view(np.uint8)
            self._dataset.read_direct_chunk((*index, first, *rest), out=chunk)
            where = (*index, group)
            if check_again or not self._checked[where]:
                if _checksum(chunk) != int(self._checksums[where]):
                    place = ", ".join(str(i) for i in (*index, first))
                    raise ValueError(f"the chunk of {self._name} at ({place}) does not match its checksum")
                self._checked[where] = True
        return slab


def _checksum(chunk: npt.NDArray[np.uint8]) -> int:
    """XXH3-64 of the chunk's bytes as they are in the file; fast enough to stay out of a disk's way."""
    return xxhash.xxh3_64_intdigest(chunk.data)


def _create(
    file: h5py.File, path: str, shape: tuple[int, ...], chunk: tuple[int, ...], stored: h5t.TypeID
) -> h5d.DatasetID:
    parent, _, name = path.rpartition("/")
    group = file.require_group(parent) if parent else file
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_chunk(chunk)
    # Every chunk is written whole, so filling it first would write everything twice.
    properties.set_fill_time(h5d.FILL_TIME_NEVER)
    return h5d.create(group.id, name.encode(), stored, h5s.create_simple(shape), properties)
