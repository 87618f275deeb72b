"""Where the chunks of a dataset lie in its file."""

from __future__ import annotations

import h5py.h5d as h5d
import numpy as np
import numpy.typing as npt

from stores.slabs.layout import SlabLayout

Int64 = npt.NDArray[np.int64]


def chunk_places(
    dataset: h5d.DatasetID, index_shape: tuple[int, ...], slab: SlabLayout
) -> tuple[Int64, Int64]:
    """(offset, bytes) of every chunk: two arrays (index..., groups); -1 where there is no chunk.

    One walk through all of them, because HDF5 would walk as far for a single one.
    """
    shape = (*index_shape, slab.groups)
    starts: list[tuple[int, ...]] = []
    found: list[tuple[int, int]] = []

    def take(chunk: h5d.StoreInfo) -> None:
        starts.append(chunk.chunk_offset)
        found.append((chunk.byte_offset, chunk.size))

    dataset.chunk_iter(take)
    places = np.full((2, *shape), -1, np.int64)
    if found:
        index = np.asarray(starts, np.int64)[:, : len(shape)]
        index[:, -1] //= slab.group
        places[(slice(None), *index.T)] = np.asarray(found, np.int64).T
    return places[0], places[1]
