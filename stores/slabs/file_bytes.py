"""The bytes of a slab as they are in the file: read past HDF5, and checked when they are first read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stores import layout
from stores.slabs import compression
from stores.slabs.checksums import checksums
from stores.slabs.descriptor import Descriptor, read_exactly
from stores.slabs.layout import SlabLayout

Bytes = npt.NDArray[np.uint8]

# What was read is compared while it is in the cache that a core has for itself.
_COMPARED = 8 * layout.BLOCK


class SlabBytes:
    """The bytes of one slab. Any number of threads may read them.

    Args:
        name, index: of the dataset, and of the slab in it, for errors.
        descriptor: of the file.
        slab: how it is divided.
        offsets, sizes: of its chunks in the file, (groups,); -1 where there is none.
        checked: which blocks are known to be whole, (groups, blocks); what is read is added to it.
        checksums_at: where in the file the checksums of this slab begin.
        check_again: compare with the checksums also what is known to be whole.
    """

    def __init__(
        self,
        name: str,
        index: tuple[int, ...],
        descriptor: Descriptor,
        slab: SlabLayout,
        offsets: npt.NDArray[np.int64],
        sizes: npt.NDArray[np.int64],
        checked: npt.NDArray[np.bool_],
        checksums_at: int,
        check_again: bool = False,
    ) -> None:
        self._name = name
        self._index = index
        self._descriptor = descriptor
        self._layout = slab
        self._offsets = offsets.tolist()
        self._sizes = sizes.tolist()
        self._checked = checked
        self._check_again = check_again
        self._checksums_at = checksums_at
        self._expected: npt.NDArray[np.uint64] | None = None
        self._all_checked = not check_again and bool(checked.all())

    def is_checked(self, group: int, start: int, stop: int) -> bool:
        """Whether the bytes from ``start`` to ``stop`` of an uncompressed chunk can be read without more."""
        if self._all_checked:
            return True
        blocks = self._checked[group, start // layout.BLOCK : -(-stop // layout.BLOCK)]
        return not self._check_again and bool(blocks.all())

    def fill(self, out: Bytes, group: int, start: int) -> None:
        """Fills ``out`` from byte ``start`` of an uncompressed chunk on.

        Both ends have to be ends of blocks or of the chunk, unless the bytes between them are checked.

        Raises:
            ValueError: the bytes do not match their checksums, or are not there.
            OSError: they cannot be read.
        """
        view, offset = out.data, self._offset(group) + start
        found: list[int] = []
        with self._descriptor.reading() as fd:
            if self.is_checked(group, start, start + len(out)):
                read_exactly(fd, view, offset)
                return
            for begin in range(0, len(view), _COMPARED):
                part = view[begin : begin + _COMPARED]
                read_exactly(fd, part, offset + begin)
                found += checksums(part, layout.BLOCK)
        self._compare(group, start // layout.BLOCK, found)

    def fill_chunk(self, out: Bytes, group: int) -> None:
        """Fills ``out`` with a whole chunk, decoded if it is compressed; raises as `fill`."""
        if self._layout.compression == compression.NONE:
            self.fill(out, group, 0)
            return
        offset = self._offset(group)
        data = np.empty(self._sizes[group], np.uint8)
        with self._descriptor.reading() as fd:
            read_exactly(fd, data.data, offset)
        if not self.is_checked(group, 0, 1):
            self._compare(group, 0, checksums(data.data, 0))
        compression.decode(data, out)

    def _offset(self, group: int) -> int:
        offset = self._offsets[group]
        if offset < 0:
            raise ValueError(f"the chunk of {self._place(group)} is not there")
        return offset

    def _compare(self, group: int, first: int, found: list[int]) -> None:
        # Several threads may come here first; each reads the same.
        if self._expected is None:
            self._expected = self._read_expected()
        if self._expected[group, first : first + len(found)].tolist() != found:
            raise ValueError(f"the chunk of {self._place(group)} does not match its checksum")
        self._checked[group, first : first + len(found)] = True

    def _read_expected(self) -> npt.NDArray[np.uint64]:
        expected = np.empty(self._checked.shape, "<u8")
        with self._descriptor.reading() as fd:
            read_exactly(fd, expected.reshape(-1).view(np.uint8).data, self._checksums_at)
        return expected

    def _place(self, group: int) -> str:
        place = (*self._index, group * self._layout.group)
        return f"{self._name} at ({', '.join(map(str, place))})"
