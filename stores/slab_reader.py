"""Reading the large datasets of a run's file: past HDF5, by several threads, and checked.

The checksum of a block is compared when the block is first read; the file cannot change after that, since a
finished run is never written again.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from h5py import h5t

from stores import compression, dtypes, layout
from stores.checksums import checksums
from stores.chunks import Int64, chunk_places
from stores.descriptor import Descriptor
from stores.parallel import for_each
from stores.slab_layout import SlabLayout

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

# Reading, comparing and widening go hand in hand by pieces that stay in a core's cache.
_PIECE = 16 * layout.BLOCK


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
        if checksums.dtype != np.dtype("<u8") or self._checksums_at is None:
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

        Raises:
            ValueError: the slab does not match its checksums, or is not there.
            OSError: it cannot be read.
        """
        slab = np.empty(self.layout.shape, self.layout.memory_type)
        self._read(index, slab, None, check_again)
        return slab

    def read_float32(self, index: tuple[int, ...], out: Float32 | None = None) -> Float32:
        """The slab at ``index`` in float32, exactly; fp8 with its factors.

        Args:
            out: of the slab's shape and contiguous, to be filled and returned.

        Raises:
            ValueError, OSError: as `read`.
        """
        slab = np.empty(self.layout.shape, np.float32) if out is None else out
        if slab.dtype == self.layout.memory_type:
            self._read(index, slab, None)
        else:
            self._read(index, None, slab)
        return slab

    def factors(self, index: tuple[int, ...]) -> Float32 | None:
        """The factors of the chunks of the slab at ``index``, (groups,); None if it is not of fp8."""
        return None if self._factors is None else self._factors[index]

    def _read(
        self, index: tuple[int, ...], raw: Array | None, wide: Float32 | None, check_again: bool = False
    ) -> None:
        """Fills either ``raw`` with what is stored, or ``wide`` with it in float32."""
        size = self.layout.chunk_bytes
        compressed = self.layout.compression != compression.NONE
        step = size if compressed else min(size, _PIECE)
        pieces = [(group, start) for group in range(self.layout.groups) for start in range(0, size, step)]
        item = self.layout.memory_type.itemsize
        into = None if raw is None else raw.reshape(-1).view(np.uint8)
        numbers = None if wide is None else wide.reshape(-1)

        def read_piece(number: int) -> None:
            group, start = pieces[number]
            stop = min(start + step, size)
            begin, end = group * size + start, group * size + stop
            data = np.empty(stop - start, np.uint8) if into is None else into[begin:end]
            where = (*index, group)
            if compressed:
                self._read_chunk(where, data, check_again)
            else:
                self._read_blocks(where, start, data, check_again)
            if numbers is not None:
                self._widen(where, data, numbers[begin // item : end // item])

        if self.layout.slab_bytes <= _PIECE:
            for number in range(len(pieces)):
                read_piece(number)
        else:
            for_each(len(pieces), read_piece)

    def _widen(self, where: tuple[int, ...], data: Bytes, out: Float32) -> None:
        dtypes.to_float32(data.view(self.layout.memory_type), self.layout.dtype, out)
        if self._factors is not None:
            np.multiply(out, self._factors[where], out=out)

    def _read_blocks(self, where: tuple[int, ...], start: int, data: Bytes, check_again: bool) -> None:
        """Fills ``data`` from byte ``start`` of an uncompressed chunk on; both ends are those of blocks."""
        self._descriptor.read_into(data, self._offset(where) + start)
        first = start // layout.BLOCK
        blocks = slice(first, first + -(-len(data) // layout.BLOCK))
        if check_again or not self._checked[where][blocks].all():
            self._compare(where, blocks, checksums(data, layout.BLOCK))

    def _read_chunk(self, where: tuple[int, ...], out: Bytes, check_again: bool) -> None:
        """Fills ``out`` with a compressed chunk, decoded."""
        offset = self._offset(where)
        data = np.empty(int(self._located()[1][where]), np.uint8)
        self._descriptor.read_into(data, offset)
        if check_again or not self._checked[where][0]:
            self._compare(where, slice(0, 1), checksums(data, 0))
        compression.decode(data, out)

    def _compare(self, where: tuple[int, ...], blocks: slice, found: list[int]) -> None:
        position = int(np.ravel_multi_index((*where, blocks.start), self._checked.shape))
        expected = np.empty(len(found), "<u8")
        self._descriptor.read_into(expected, self._checksums_at + position * expected.itemsize)
        if expected.tolist() != found:
            raise ValueError(f"the chunk of {self._name} at {self._place(where)} does not match its checksum")
        self._checked[where][blocks] = True

    def _offset(self, where: tuple[int, ...]) -> int:
        offset = int(self._located()[0][where])
        if offset < 0:
            raise ValueError(f"the chunk of {self._name} at {self._place(where)} is not there")
        return offset

    def _located(self) -> tuple[Int64, Int64]:
        with self._finding:
            if self._places is None:
                self._places = chunk_places(self._dataset, self.index_shape, self.layout)
            return self._places

    def _place(self, where: tuple[int, ...]) -> str:
        return f"({', '.join(str(i) for i in (*where[:-1], where[-1] * self.layout.group))})"

    def _read_factors(self, stored: h5py.Dataset) -> Float32:
        factors = stored[()]
        if factors.shape != self._groups or factors.dtype != np.float32 or not dtypes.are_factors(factors):
            raise ValueError(f"{self._name} and its factors do not fit together")
        return factors


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
