"""Checksums: how a flipped bit is found.

Two kinds, both XXH3-64 (fast enough to stay out of the way of a disk):

- the large datasets are written chunk by chunk, and the checksum of each chunk's bytes as they are in the
  file is kept in a dataset of the same path under ``checksums/``;
- everything else in the file (attributes, truths, schedule, prompt, dimension scales, the checksums
  themselves) is small, and one `digest` of it all is kept in the root attribute ``digest``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import xxhash

from stores import dtypes, layout

DIGEST = "digest"

# HDF5's own bookkeeping of dimension scales: object references, which differ from file to file.
_BOOKKEEPING = frozenset(("CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "DIMENSION_LABELS"))


def chunk_checksum(chunk: npt.NDArray[np.uint8]) -> int:
    """XXH3-64 of a chunk's bytes."""
    return xxhash.xxh3_64_intdigest(chunk.data)


def digest(file: h5py.File) -> str:
    """XXH3-64, as 16 hexadecimal digits, of everything in ``file`` that no chunk checksum covers.

    Objects are taken in the order of their paths, each as a line of JSON followed by its bytes;
    ``docs/store.md`` spells this out.
    """
    state = xxhash.xxh3_64()
    for path, item in _objects(file, ""):
        for name in sorted(item.attrs):
            if name in _BOOKKEEPING or (not path and name == DIGEST):
                continue
            value = item.attrs[name]
            _feed(state, ["attribute", path, name, _kind(value)], value)
        if not isinstance(item, h5py.Dataset):
            continue
        if f"{layout.CHECKSUMS}/{path}" in file:
            dtype = dtypes.dtype_of(item.id.get_type()) or item.dtype.str
            _feed(state, ["chunks", path, dtype, list(item.shape), list(item.chunks or ())], None)
        else:
            text = h5py.check_string_dtype(item.dtype) is not None
            value = item.asstr()[()] if text else item[()]
            _feed(state, ["dataset", path, _kind(value), list(item.shape)], value)
    return state.hexdigest()


def _objects(group: h5py.Group, prefix: str) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Every group and dataset from ``group`` down, a parent before its children, names in order."""
    yield prefix, group
    for name in sorted(group):
        path = f"{prefix}/{name}" if prefix else name
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _objects(item, path)
        elif isinstance(item, h5py.Dataset):
            yield path, item


def _kind(value: Any) -> str:
    if isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype.kind in "OU"):
        return "text"
    return np.asarray(value).dtype.newbyteorder("<").str


def _feed(state: xxhash.xxh3_64, line: list[Any], value: Any) -> None:
    state.update(json.dumps(line).encode() + b"\n")
    if value is None:
        return
    if _kind(value) == "text":
        texts = [value] if isinstance(value, str) else value.ravel().tolist()
        state.update("".join(f"{json.dumps(text)}\n" for text in texts).encode())
    else:
        array = np.asarray(value)
        state.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
