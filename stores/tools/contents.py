"""What a run's file holds, apart from how the file is laid out."""

from __future__ import annotations

from typing import Any, NamedTuple

import h5py
import xxhash

from stores import layout
from stores.hdf5 import Reading, dataset, open_run_file
from stores.reader import Run
from stores.values import read_value

# Two runs that differ in nothing else are the same run, made twice.
_WHEN_MADE = frozenset(("finished",))
# Told by the sites, their values and `Contents.digests`.
_DERIVED = frozenset((layout.CHECKSUMS, layout.FACTORS))


class Contents(NamedTuple):
    """Everything in a run's file but its slabs, and a digest of these.

    Attributes:
        attributes: all but those that say when the run was made.
        values: path of a dataset to what `read_value` gives, of all that are no slabs.
        digests: path of each dataset of slabs to a digest of its type, chunks, checksums and factors. Equal
            digests mean equal slabs, as long as the files are whole. Different ones mean little: the chunks
            may only be divided or compressed differently.
    """

    attributes: dict[str, Any]
    values: dict[str, Any]
    digests: dict[str, str]


def contents_of(run: Run) -> Contents:
    """Reads what is beside the slabs of a run; no slab is read.

    Raises:
        StoreError: the file is damaged.
    """
    slabs = [path for path, _ in run.slabs()]
    values: dict[str, Any] = {}

    def take(path: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and path not in slabs and not _is_derived(path):
            values[path] = read_value(item)

    with open_run_file(run.path) as file, Reading(run.path):
        file.visititems(take)
        digests = {path: _digest(file, path) for path in slabs}
    attributes = {name: value for name, value in run.attrs.items() if name not in _WHEN_MADE}
    return Contents(attributes, values, digests)


def _is_derived(path: str) -> bool:
    first, _, rest = path.partition("/")
    return first in _DERIVED or (first == layout.SCALES and rest.rpartition("/")[2] in layout.INDEX_AXES)


def _digest(file: h5py.File, path: str) -> str:
    slabs = dataset(file, path)
    state = xxhash.xxh3_128(f"{slabs.shape} {slabs.chunks} ".encode())
    state.update(slabs.id.get_type().encode())
    for beside in (f"{layout.CHECKSUMS}/{path}", layout.factors_path(path)):
        if beside in file:
            state.update(dataset(file, beside)[()].tobytes())
    return state.hexdigest()
