"""Compression of chunks: Blosc with bitshuffle, as the registered HDF5 filter 32001 has it.

The chunks are encoded and decoded here, in the calling thread and outside HDF5's lock, so writing and reading
them needs no plugin of HDF5. Any other reader needs one, such as the package hdf5plugin.
"""

from __future__ import annotations

from typing import Any

import h5py.h5p as h5p
import h5py.h5z as h5z
import numpy as np
import numpy.typing as npt

NONE = "none"
COMPRESSIONS = (NONE, "lz4", "zstd")

_FILTER = 32001
_FILTER_VERSION = 2
_BLOSC_VERSION = 2
_BITSHUFFLE = 2
_CODES = {"lz4": 1, "zstd": 5}
_LEVELS = {"lz4": 5, "zstd": 3}


def check_compression(compression: str) -> None:
    """Raises ValueError unless ``compression`` is one of `COMPRESSIONS`."""
    if compression not in COMPRESSIONS:
        raise ValueError(
            f"{compression!r} is no compression of a store; use one of {', '.join(COMPRESSIONS)}"
        )


def set_filter(properties: h5p.PropDCID, compression: str, item_bytes: int, chunk_bytes: int) -> None:
    """Tells HDF5 how the chunks of a dataset to be are compressed."""
    if compression == NONE:
        return
    options = (
        _FILTER_VERSION,
        _BLOSC_VERSION,
        item_bytes,
        chunk_bytes,
        _LEVELS[compression],
        _BITSHUFFLE,
        _CODES[compression],
    )
    # Optional, or HDF5 would refuse to make the dataset where the plugin is not installed.
    properties.set_filter(_FILTER, h5z.FLAG_OPTIONAL, options)


def compression_of(properties: h5p.PropDCID) -> str | None:
    """Which of `COMPRESSIONS` a dataset has; None if none of them."""
    count = properties.get_nfilters()
    if count == 0:
        return NONE
    code, _, options, _ = properties.get_filter(0)
    if count > 1 or code != _FILTER or len(options) < 7:
        return None
    return next((name for name, number in _CODES.items() if number == options[6]), None)


def encode(chunk: npt.NDArray[Any], compression: str) -> bytes:
    """A contiguous chunk as its bytes are in the file; its item size tells the shuffle what to do."""
    from numcodecs import Blosc

    return Blosc(compression, _LEVELS[compression], Blosc.BITSHUFFLE).encode(chunk)


def decode(data: npt.NDArray[np.uint8], out: npt.NDArray[np.uint8]) -> None:
    """Decodes a chunk into ``out``, which has as many bytes as the chunk.

    Raises:
        ValueError, RuntimeError: ``data`` is no such chunk.
    """
    from numcodecs import Blosc

    # Bytes 4 to 7 of Blosc's header: how long its content is.
    if len(data) < 16 or int.from_bytes(data[4:8].tobytes(), "little") != out.nbytes:
        raise ValueError("a compressed chunk is not of the length that it should be")
    Blosc().decode(data, out)
