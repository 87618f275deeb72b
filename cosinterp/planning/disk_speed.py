"""How fast a disk takes what a trace would write, measured on the spot."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

MOST_BYTES = 256 * 10**6
MOST_SECONDS = 1.0

_FIRST_ROUND = 8 * 10**6
_PIECE = 2 * 10**6


def measure_write_speed(
    folder: Path,
    threads: int,
    *,
    most_bytes: int = MOST_BYTES,
    most_seconds: float = MOST_SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Bytes a second that ``threads`` threads write to one file in ``folder``, until they are on the disk.

    Rounds of growing size, each brought to the disk by fsync, until the next one could take longer than
    what is left of ``most_seconds`` or of ``most_bytes``; the last round, which has the smallest share of
    delays, counts. The file has no name (or loses it at once, where the file system knows no such files), so
    nothing stays behind, however this ends.

    Raises:
        OSError: the folder cannot be written to.
    """
    # Random bytes, for file systems that compress what they store.
    piece = np.random.default_rng(0).bytes(_PIECE)
    size, written, started = min(_FIRST_ROUND, most_bytes), 0, clock()
    with (
        tempfile.TemporaryFile(dir=folder, buffering=0) as file,
        ThreadPoolExecutor(threads, "cosinterp-disk-speed") as pool,
    ):
        while True:
            begun = clock()
            _write(file.fileno(), pool, piece, written, size)
            ended = clock()
            written += size
            speed = size / max(ended - begun, 1e-9)
            size *= 2
            if written + size > most_bytes or ended - started + size / speed > most_seconds:
                return speed


def _write(fd: int, pool: ThreadPoolExecutor, piece: bytes, start: int, size: int) -> None:
    places = range(start, start + size, len(piece))
    lengths = (min(len(piece), start + size - place) for place in places)
    for _ in pool.map(lambda place, length: _write_piece(fd, piece[:length], place), places, lengths):
        pass
    os.fsync(fd)


def _write_piece(fd: int, data: bytes, place: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, place)
        view, place = view[done:], place + done
