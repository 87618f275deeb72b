"""What a run's file says beside its slabs: attributes, schedule, condition, truth, and so on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py

from stores import layout
from stores.hdf5 import Reading, open_run_file
from stores.reader import Run
from stores.values import read_value

# Two runs that differ in nothing else are the same run, made twice.
_MADE = frozenset(("finished",))
# Checksums follow from the layout of the file, the scales are in `Run.sites`.
_DERIVED = frozenset((layout.CHECKSUMS,))
_AXES = frozenset(("step", "layer", "branch"))


def attributes(run: Run) -> Mapping[str, Any]:
    """The attributes of a run that say what it is, which leaves out when it was made."""
    return {name: value for name, value in run.attrs.items() if name not in _MADE}


def values(run: Run) -> dict[str, Any]:
    """Everything in the file of a run that is no slab: path of the dataset to what `read_value` gives.

    Raises:
        StoreError: the file is damaged.
    """
    slabs = {path for path, _ in run.slabs()}
    found: dict[str, Any] = {}

    def take(path: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and path not in slabs and not _is_derived(path):
            found[path] = read_value(item)

    with open_run_file(run.path) as file, Reading(run.path):
        file.visititems(take)
    return found


def _is_derived(path: str) -> bool:
    first, _, rest = path.partition("/")
    return first in _DERIVED or (first == layout.SCALES and rest.rpartition("/")[2] in _AXES)
