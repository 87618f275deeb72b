"""Reading whole slabs from a store, as a ratio to `numpy.fromfile` of the same bytes, from the page cache.

    python -m tests.benchmarks.bench_store_read [--slabs 16] [--frames 1] [--rounds 7]

The slabs are those of a large video model (30 x 52 tokens a frame, 5120 channels, bf16), of one frame by
default so that all of it stays in the page cache. Both ways alternate, and the fastest round of each counts.
``first`` reads compare every chunk with its checksum, later ones do not; ``float32`` includes the widening,
which `numpy.fromfile` does not do.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stores import Run, StoreSettings, create_store

GRID = (30, 52)
CHANNELS = 5120


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--slabs", type=int, default=16)
    options.add_argument("--frames", type=int, default=1)
    options.add_argument("--rounds", type=int, default=7)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), chosen.slabs, chosen.frames, chosen.rounds)


def measure(folder: Path, slabs: int, frames: int, rounds: int) -> None:
    """Prints the rates in GB/s of stored bytes, and their ratios to `numpy.fromfile`."""
    shape = (frames, *GRID, CHANNELS)
    rng = np.random.default_rng(0)
    store = create_store(folder / "store", StoreSettings(capture={"dtype": "bf16"}))
    with store.writer("bench", 0) as writer, (folder / "plain").open("wb") as plain:
        writer.set_schedule([1000], [1.0, 0.0])
        writer.add_site("resid", range(slabs), [0], ["cond"], shape[:3], CHANNELS)
        for layer in range(slabs):
            tokens = rng.integers(0, 2**15, shape, dtype=np.uint16)
            writer.write("resid", 0, layer, "cond", tokens)
            tokens.tofile(plain)
        entry = writer.finish()
    count = int(np.prod(shape))

    def fromfile() -> None:
        for layer in range(slabs):
            np.fromfile(folder / "plain", np.uint16, count, offset=layer * count * 2)

    def reading(run: Run, raw: bool) -> Callable[[], None]:
        def way() -> None:
            for layer in range(slabs):
                run.read("resid", 0, layer, raw=raw)

        return way

    times: dict[str, float] = {}
    for _ in range(rounds):
        with Run(store.path / entry.file) as run:
            ways = {
                "numpy.fromfile": fromfile,
                "first": reading(run, raw=True),
                "raw": reading(run, raw=True),
                "float32": reading(run, raw=False),
            }
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                times[name] = min(times.get(name, np.inf), time.perf_counter() - start)
    print(f"{slabs} slabs of {count * 2 / 1e6:.1f} MB")
    for name, seconds in times.items():
        rate = slabs * count * 2 / seconds / 1e9
        print(f"{name:15} {rate:6.2f} GB/s  {times['numpy.fromfile'] / seconds:5.2f} of numpy.fromfile")


if __name__ == "__main__":
    main()
