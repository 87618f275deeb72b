"""What is in a store, read without the code under test: HDF5 alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 - lets HDF5 read what is compressed
import numpy as np

Contents = dict[str, Any]

# When a run was finished; and references to other datasets, which are places in the file.
_OWN_TO_EACH_FILE = {"finished", "DIMENSION_LIST", "REFERENCE_LIST"}


def contents(file: Path) -> Contents:
    """Every bit of a run file that does not tell when it was written: its datasets and all attributes."""
    found: Contents = {}

    def take(name: str, item: h5py.Group | h5py.Dataset) -> None:
        for attribute in set(item.attrs) - _OWN_TO_EACH_FILE:
            found[f"{name} @{attribute}"] = _plain(item.attrs[attribute])
        if isinstance(item, h5py.Dataset):
            found[name] = (item.shape, str(item.id.get_type().get_size()), _plain(item[()]))

    with h5py.File(file, "r") as opened:
        take("", opened)
        opened.visititems(take)
    return found


def run_contents(store: Path) -> dict[str, Contents]:
    """The `contents` of each finished run of a store, by its file's name."""
    return {file.relative_to(store).as_posix(): contents(file) for file in sorted(store.glob("runs/*/*.h5"))}


def differing(one: Contents, other: Contents) -> list[str]:
    """The names of what is not the same in both."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def listed(store: Path) -> list[str]:
    """The files of the runs that the catalog names, whole lines only."""
    return [
        json.loads(line)["file"]
        for catalog in sorted(store.glob("catalog/*.jsonl"))
        for line in catalog.read_text(encoding="utf-8").splitlines(keepends=True)
        if line.endswith("\n")
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        return str(value.dtype), value.tobytes()
    return repr(value)
