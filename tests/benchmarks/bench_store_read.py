"""Reading from a store, as a ratio to `numpy.fromfile` of the same bytes, from the page cache.

    python -m tests.benchmarks.bench_store_read [--frames 1 21] [--slabs 32 4] [--rounds 9] [--dtype bf16]

The slabs are those of a large video model (30 x 52 tokens a frame, 5120 channels): of one frame, 16 MB in
bf16, and of 21, 335 MB. All ways alternate, and the fastest round of each counts. ``first`` reads compare
everything with its checksums, later ones (``raw``, ``float32``) do not; ``float32`` widens, so it writes
twice the bytes that `numpy.fromfile` does, or four times those of fp8. Of ``tokens``, 10 at random are read
from each slab. The store reads with several threads: that the wall clock shows it needs cores that nothing
else uses, while the processor time of all threads together depends little on other programs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stores import Run, SlabLayout, Store, StoreSettings, create_store
from stores.dtypes import DTYPES
from stores.slabs.compression import COMPRESSIONS

GRID = (30, 52)
CHANNELS = 5120
TOKENS = 10

Ways = dict[str, Callable[[], object]]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--frames", type=int, nargs="+", default=[1, 21])
    options.add_argument("--slabs", type=int, nargs="+", default=[32, 4])
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--dtype", choices=DTYPES, default="bf16")
    options.add_argument("--compression", choices=COMPRESSIONS, default="none")
    chosen = options.parse_args()
    for frames, slabs in zip(chosen.frames, chosen.slabs, strict=True):
        with tempfile.TemporaryDirectory() as folder:
            shape = (frames, *GRID, CHANNELS)
            store = make_store(Path(folder), shape, slabs, chosen.dtype, chosen.compression)
            measure(store, Path(folder) / "plain", shape, slabs, chosen.rounds)


def make_store(
    folder: Path, shape: tuple[int, int, int, int], slabs: int, dtype: str, compression: str
) -> Store:
    """A run of so many slabs of normal values, and the file ``plain`` with the same bytes, uncompressed."""
    slab = SlabLayout(shape, dtype)
    values = np.random.default_rng(0).standard_normal(shape, np.float32)
    if dtype == "bf16":
        stored = (values.view(np.uint32) >> 16).astype(np.uint16)
    elif dtype == "fp8":
        stored = (np.abs(values) * 30).astype(np.uint8)
    else:
        stored = values.astype(slab.memory_type)
    factors = np.full(slab.groups, 0.5, np.float32) if dtype == "fp8" else None
    store = create_store(
        folder / "store", StoreSettings(capture={"dtype": dtype, "compression": compression})
    )
    with store.writer("bench", 0) as writer, (folder / "plain").open("wb") as plain:
        writer.set_schedule([1000], [1.0, 0.0])
        writer.add_site("resid", range(slabs), [0], ["cond"], shape[:3], CHANNELS)
        for layer in range(slabs):
            writer.write("resid", 0, layer, "cond", stored, factors=factors)
            stored.tofile(plain)
        writer.finish()
    return store


def measure(store: Store, plain: Path, shape: tuple[int, int, int, int], slabs: int, rounds: int) -> None:
    """Prints the rates in GB/s of stored bytes, their ratios to `numpy.fromfile`, and the time of tokens."""
    count = int(np.prod(shape))
    item = plain.stat().st_size // (slabs * count)
    rng = np.random.default_rng(1)
    tokens = [rng.choice(count // CHANNELS, TOKENS, replace=False) for _ in range(slabs)]

    def fromfile() -> None:
        for layer in range(slabs):
            np.fromfile(plain, f"u{item}", count, offset=layer * count * item)

    def reading(run: Run, raw: bool) -> Callable[[], None]:
        def way() -> None:
            for layer in range(slabs):
                run.read("resid", 0, layer, raw=raw)

        return way

    def reading_tokens(run: Run) -> Callable[[], None]:
        def way() -> None:
            for layer in range(slabs):
                run.read("resid", 0, layer, tokens=tokens[layer])

        return way

    times: dict[str, tuple[float, float]] = {}
    for _ in range(rounds):
        with store.run("bench", 0) as run:
            whole: Ways = {
                "numpy.fromfile": fromfile,
                "first": reading(run, raw=True),
                "raw": reading(run, raw=True),
                "float32": reading(run, raw=False),
            }
            parts: Ways = {}
            with store.run("bench", 0) as fresh:
                parts = {"tokens, first": reading_tokens(fresh), "tokens, warm": reading_tokens(fresh)}
                for name, way in (whole | parts).items():
                    times[name] = min(times.get(name, (np.inf, np.inf)), seconds(way))
    print(f"{slabs} slabs of {count * item / 1e6:.1f} MB")
    base, base_processor = times["numpy.fromfile"]
    for name in whole:
        wall, processor = times[name]
        print(
            f"  {name:15} {slabs * count * item / wall / 1e9:6.2f} GB/s  "
            f"{base / wall:5.2f} of numpy.fromfile, {base_processor / processor:5.2f} by processor time"
        )
    for name in parts:
        print(f"  {name:15} {times[name][0] * 1e3:6.1f} ms for {TOKENS} of each slab")


def seconds(action: Callable[[], object]) -> tuple[float, float]:
    """(wall clock, processor time) of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - wall, time.process_time() - processor


if __name__ == "__main__":
    main()
