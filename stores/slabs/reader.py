"""Reading the large datasets of a run's file: past HDF5, by several threads, and checked.

The checksum of a block is compared when the block is first read; the file cannot change after that, since a
finished run is never written again.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from threading import Lock
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from h5py import h5t

from stores import dtypes, layout
from stores.slabs import compression
from stores.slabs.chunks import Int64, chunk_places
from stores.slabs.descriptor import Descriptor
from stores.slabs.file_bytes import SlabBytes
from stores.slabs.layout import SlabLayout
from stores.slabs.parallel import for_each
from stores.slabs.parts import Indices, spans

Array = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]

_CHECKSUM = np.dtype("<u8")


class SlabReader:
    """Reads the slabs of one dataset. Any number of threads may.

    Args:
        dataset, checksums: as a `SlabWriter` leaves them.
        descriptor: of the file that they are in.
        indices: how many axes index slabs.
        factors: of the chunks, if they are of fp8.

    Raises:
        ValueError: the dataset is not as a `SlabWriter` leaves it.
    """

    def __init__(
        self,
        dataset: h5py.Dataset,
        checksums: h5py.Dataset,
        descriptor: Descriptor,
        indices: int,
        factors: h5py.Dataset | None = None,
    ) -> None:
        self._name = str(dataset.name)
        self._dataset = dataset.id
        self._descriptor = descriptor
        self.index_shape: tuple[int, ...] = dataset.shape[:indices]
        self.layout = _layout_of(dataset, indices)
        self._groups = (*self.index_shape, self.layout.groups)
        shape = (*self._groups, self.layout.blocks)
        if checksums.shape != shape or checksums.attrs["block"] != self.layout.block:
            raise ValueError(f"{self._name} and its checksums do not fit together")
        self._checksums_at = checksums.id.get_offset()
        if checksums.dtype != _CHECKSUM or self._checksums_at is None:
            raise ValueError(f"the checksums of {self._name} are not stored as they should be")
        self._checked = np.zeros(shape, bool)
        self._factors = None if factors is None else self._read_factors(factors)
        if (self.layout.dtype == "fp8") != (factors is not None):
            raise ValueError(f"{self._name}: factors are for fp8, which needs them")
        self._places: tuple[Int64, Int64] | None = None
        self._finding = Lock()

    @property
    def dtype(self) -> str:
        """One of `dtypes.DTYPES`, or "uint8"."""
        return self.layout.dtype

    @property
    def slab_shape(self) -> tuple[int, ...]:
        """Of one slab."""
        return self.layout.shape

    def read(self, index: tuple[int, ...], check_again: bool = False) -> Array:
        """The slab at ``index``, as stored: uint16 bits for bf16, uint8 codes for fp8.

        Args:
            check_again: compare with the checksums also what was compared before.

        Raises:
            ValueError: the slab does not match its checksums, or is not there.
            OSError: it cannot be read.
        """
        slab = np.empty(self.layout.shape, self.layout.memory_type)
        self._read(index, slab, check_again)
        return slab

    def read_float32(self, index: tuple[int, ...], out: Float32 | None = None) -> Float32:
        """The slab at ``index`` in float32, exactly; fp8 with its factors.

        Args:
            out: of the slab's shape and contiguous, to be filled and returned.

        Raises:
            ValueError, OSError: as `read`.
        """
        slab = np.empty(self.layout.shape, np.float32) if out is None else out
        self._read(index, slab)
        return slab

    def read_items(self, index: tuple[int, ...], items: Indices, item_axes: int, raw: bool = False) -> Array:
        """Some items of the slab at ``index``: only the blocks that they lie in are read.

        Args:
            items: flat indices, in any order, into the axes before the last ``item_axes``.
            item_axes: how many axes an item has, fewer than the slab.
            raw: as `read` gives them, not in float32.

        Raises:
            ValueError, OSError: as `read`.
        """
        shape = self.layout.shape[len(self.layout.shape) - item_axes :]
        wanted = np.empty((len(items), *shape), self.layout.memory_type if raw else np.float32)
        item_bytes = prod(shape) * self.layout.memory_type.itemsize
        chunk_items = self.layout.chunk_bytes // item_bytes
        compressed = self.layout.compression != compression.NONE
        parts = spans(items, chunk_items, item_bytes, compressed)
        source = self._bytes(index)

        def read_part(number: int) -> None:
            span = parts[number]
            start, stop = span.start, span.stop
            if not compressed and not source.is_checked(span.group, start, stop):
                start -= start % layout.BLOCK
                stop = min(-(-stop // layout.BLOCK) * layout.BLOCK, self.layout.chunk_bytes)
            exact = (start, stop) == (span.start, span.stop) and span.rows is None
            direct = exact and wanted.dtype == self.layout.memory_type and isinstance(span.places, slice)
            data = _bytes_of(wanted[span.places]) if direct else np.empty(stop - start, np.uint8)
            if compressed:
                source.fill_chunk(data, span.group)
            else:
                source.fill(data, span.group, start)
            if not direct:
                found = data[span.start - start : span.stop - start].view(self.layout.memory_type)
                found = found.reshape(-1, *shape)
                found = found if span.rows is None else found[span.rows]
                wanted[span.places] = found if raw else self._widened((*index, span.group), found)

        _for_each(len(parts), read_part, sum(span.stop - span.start for span in parts))
        return wanted

    def factors(self, index: tuple[int, ...]) -> Float32 | None:
        """The factors of the chunks of the slab at ``index``, (groups,); None if it is not of fp8."""
        return None if self._factors is None else self._factors[index]

    def _read(self, index: tuple[int, ...], slab: Array, check_again: bool = False) -> None:
        """Fills ``slab``, of what is stored or of float32."""
        size = self.layout.chunk_bytes
        compressed = self.layout.compression != compression.NONE
        item = self.layout.memory_type.itemsize
        flat = slab.reshape(-1)
        stored = _bytes_of(flat) if slab.dtype == self.layout.memory_type else None
        # What is widened is to be in the cache still.
        step = size if compressed else min(size, layout.PIECE * (1 if stored is None else 2))
        pieces = [(group, start) for group in range(self.layout.groups) for start in range(0, size, step)]
        source = self._bytes(index, check_again)

        def read_piece(number: int) -> None:
            group, start = pieces[number]
            stop = min(start + step, size)
            begin, end = group * size + start, group * size + stop
            data = np.empty(stop - start, np.uint8) if stored is None else stored[begin:end]
            if compressed:
                source.fill_chunk(data, group)
            else:
                source.fill(data, group, start)
            if stored is None:
                found = data.view(self.layout.memory_type)
                self._widened((*index, group), found, flat[begin // item : end // item])

        _for_each(len(pieces), read_piece, self.layout.slab_bytes)

    def _widened(self, where: tuple[int, ...], bits: Array, out: Float32 | None = None) -> Float32:
        factor = 1.0 if self._factors is None else self._factors[where]
        return dtypes.to_float32(bits, self.layout.dtype, out, factor)

    def _bytes(self, index: tuple[int, ...], check_again: bool = False) -> SlabBytes:
        offsets, sizes = self._located()
        position = int(np.ravel_multi_index((*index, 0, 0), self._checked.shape))
        return SlabBytes(
            self._name,
            index,
            self._descriptor,
            self.layout,
            offsets[index],
            sizes[index],
            self._checked[index],
            self._checksums_at + position * _CHECKSUM.itemsize,
            check_again,
        )

    def _located(self) -> tuple[Int64, Int64]:
        with self._finding:
            if self._places is None:
                self._places = chunk_places(self._dataset, self.index_shape, self.layout)
            return self._places

    def _read_factors(self, stored: h5py.Dataset) -> Float32:
        factors = stored[()]
        if factors.shape != self._groups or factors.dtype != np.float32 or not dtypes.are_factors(factors):
            raise ValueError(f"{self._name} and its factors do not fit together")
        return factors


def _bytes_of(array: Array) -> npt.NDArray[np.uint8]:
    return array.reshape(-1).view(np.uint8)


def _for_each(count: int, action: Callable[[int], object], size: int) -> None:
    # Waking other threads takes as long as reading a piece.
    if size > layout.PIECE:
        for_each(count, action)
    else:
        for number in range(count):
            action(number)


def _layout_of(dataset: h5py.Dataset, indices: int) -> SlabLayout:
    stored = dataset.id.get_type()
    dtype = "uint8" if stored.equal(h5t.STD_U8LE) else dtypes.dtype_of(stored)
    if dtype is None:
        raise ValueError(f"{dataset.name} is of no type that a store has")
    found = compression.compression_of(dataset.id.get_create_plist())
    if found is None:
        raise ValueError(f"{dataset.name} is compressed in no way that a store has")
    chunk = dataset.chunks
    if (
        chunk is None
        or chunk[:indices] != (1,) * indices
        or chunk[indices + 1 :] != dataset.shape[indices + 1 :]
    ):
        raise ValueError(f"{dataset.name} is not chunked as a store's datasets are")
    return SlabLayout(dataset.shape[indices:], dtype, found, chunk[indices])
