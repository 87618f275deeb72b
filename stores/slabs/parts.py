"""Reading parts of a slab: only the blocks that are needed, and neighbours together.

An item is what is never divided: a token's channels, or, where these are reduced to one number, that number.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stores import layout

Indices = npt.NDArray[np.intp]

# Reading so many bytes in vain takes no longer than asking the operating system once more.
_GAP = 16 * 2**10


class Span(NamedTuple):
    """Neighbouring items of one chunk, to be read at once.

    Attributes:
        group: the chunk.
        start, stop: their bytes in it.
        rows: which items of these bytes are wanted, in order; None is all of them.
        places: where they go in the result.
    """

    group: int
    start: int
    stop: int
    rows: Indices | None
    places: slice | Indices


def spans(items: Indices, chunk_items: int, item_bytes: int, whole_chunks: bool) -> list[Span]:
    """What to read for ``items``, flat indices in any order.

    Args:
        chunk_items: items in a chunk.
        item_bytes: bytes of an item.
        whole_chunks: chunks can be read as a whole only, as compressed ones.
    """
    return list(_spans(items, chunk_items, item_bytes, whole_chunks)) if len(items) else []


def _spans(items: Indices, chunk_items: int, item_bytes: int, whole_chunks: bool) -> Iterator[Span]:
    order = None
    if (np.diff(items) < 0).any():
        order = np.argsort(items, kind="stable")
        items = items[order]
    group, within = np.divmod(items, chunk_items)
    apart = np.diff(items)
    cut = np.diff(group) != 0
    if not whole_chunks:
        cut |= apart * item_bytes > item_bytes + _GAP
        cut |= np.diff(within * item_bytes // layout.PIECE) != 0
    ends = [0, *(np.flatnonzero(cut) + 1).tolist(), len(items)]
    for begin, end in pairwise(ends):
        first, last = (0, chunk_items - 1) if whole_chunks else (int(within[begin]), int(within[end - 1]))
        rows = within[begin:end] - first
        every = len(rows) == last - first + 1 and (
            len(rows) == 1 or bool((apart[begin : end - 1] == 1).all())
        )
        yield Span(
            int(group[begin]),
            first * item_bytes,
            (last + 1) * item_bytes,
            None if every else rows,
            slice(begin, end) if order is None else order[begin:end],
        )
