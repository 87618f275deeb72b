"""The seal of a run's file: how a flipped bit is found before HDF5 can stumble over it.

HDF5 trusts what it reads: a flipped bit among its own structures may crash the process or keep it busy for
ever. So a finished file ends with a seal, behind the HDF5 part, where HDF5 does not look:

    JSON text      {"size": bytes of the HDF5 part, "chunks": [[offset, length], ...], "checksum": XXH3-64}
    16 characters  XXH3-64 of the JSON text, in hexadecimal
    8 characters   length of the JSON text, in hexadecimal
    16 characters  "cosinterp-run-2" and a line feed; the number is the format version

``chunks`` are the places of the large datasets' chunks, which have checksums of their own under
``checksums/``, to be compared when they are read. ``checksum`` is that of all other bytes of the HDF5 part.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import xxhash

from stores import layout
from stores.slabs.descriptor import Descriptor

_MAGIC = re.compile(rb"cosinterp-run-([1-9][0-9]*)\n\Z")
_FOOTER = 40
_BLOCK = 2**20

Places = list[tuple[int, int]]


def write_seal(fd: int, chunks: Iterable[tuple[int, int]]) -> None:
    """Ends the file ``fd``, an HDF5 file that is closed, with a seal.

    Args:
        chunks: (offset, length) of every chunk that has a checksum of its own.

    Raises:
        OSError: the disk refuses.
    """
    size = os.fstat(fd).st_size
    places = _merged(chunks)
    content = {"size": size, "chunks": places, "checksum": _checksum(partial(os.pread, fd), size, places)}
    text = json.dumps(content, separators=(",", ":")).encode()
    footer = f"{xxhash.xxh3_64_hexdigest(text)}{len(text):08x}cosinterp-run-{layout.VERSION}\n".encode()
    data = text + footer
    while data:
        data = data[os.pwrite(fd, data, os.fstat(fd).st_size) :]


def check_seal(file: Descriptor, path: Path) -> None:
    """Checks the seal of a finished run.

    Raises:
        StoreError: the file is of another format version.
        ValueError: it is damaged, cut short, or no run.
        OSError: it cannot be read.
    """
    size = file.status().st_size
    if size < _FOOTER:
        raise ValueError("it is cut short, or no run of a store")
    footer = file.read(_FOOTER, size - _FOOTER)
    magic = _MAGIC.search(footer)
    if magic is None:
        raise ValueError("it is cut short, or no run of a store")
    layout.check_version(int(magic[1]), "run", path)
    length = int(footer[16:24], 16)
    if length > size - _FOOTER:
        raise ValueError("its seal is broken")
    text = file.read(length, size - _FOOTER - length)
    if xxhash.xxh3_64_hexdigest(text).encode() != footer[:16]:
        raise ValueError("its seal is broken")
    content = json.loads(text)
    if content["size"] != size - _FOOTER - length:
        raise ValueError(f"it has {size} bytes, not those that were written")
    if content["checksum"] != _checksum(file.read, content["size"], content["chunks"]):
        raise ValueError("its contents do not match their checksum")


def have_one_seal(a: Path, b: Path) -> bool:
    """Whether two finished runs have the same seal: they hold the same, unless one is damaged.

    Raises:
        OSError: one is not there, or cannot be read.
    """
    ends: list[tuple[int, bytes]] = []
    for path in (a, b):
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _FOOTER))
            ends.append((size, file.read()))
    return ends[0] == ends[1] and _MAGIC.search(ends[0][1]) is not None


def _checksum(
    read: Callable[[int, int], bytes | bytearray], size: int, places: Iterable[tuple[int, int]]
) -> str:
    """XXH3-64, in hexadecimal, of the first ``size`` bytes without those in ``places``.

    ``read`` gives (length, offset) bytes.
    """
    state = xxhash.xxh3_64()
    position = 0
    for offset, length in (*places, (size, 0)):
        while position < offset:
            data = read(min(_BLOCK, offset - position), position)
            if not data:
                raise ValueError("it is cut short")
            state.update(data)
            position += len(data)
        position = offset + length
    return state.hexdigest()


def _merged(places: Iterable[tuple[int, int]]) -> Places:
    merged: Places = []
    for offset, length in sorted(places):
        if merged and sum(merged[-1]) == offset:
            merged[-1] = (merged[-1][0], merged[-1][1] + length)
        else:
            merged.append((offset, length))
    return merged
