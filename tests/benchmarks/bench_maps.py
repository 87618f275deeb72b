"""What maps of a large model's store cost: memory over that of one slab, and processor time a slab by part.

    python -m tests.benchmarks.bench_maps [--frames 21] [--layers 2] [--fit-tokens 2048]

Slabs are those of a large video model (30 x 52 tokens a frame, 5120 channels): of 21 frames, 335 MB in bf16
and 671 MB in float32, as they are read. The memory is the most that the process held during `maps`, less what
it held before. The times are the processor's, on a slab that is in memory, and of its reading.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from probes.maps.channels import MassiveRule, slab_channels
from probes.maps.energy import frame_change, token_energy
from probes.maps.making import maps
from probes.maps.principal import Moments, Principal, principal
from stores import Store, StoreSettings, create_store, open_store

GRID = (30, 52)
CHANNELS = 5120


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--frames", type=int, default=21)
    options.add_argument("--layers", type=int, default=2)
    options.add_argument("--fit-tokens", type=int, default=2048)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # In another process, whose memory is not counted.
        making = get_context("spawn").Process(
            target=make_store, args=(Path(folder) / "s", chosen.frames, chosen.layers)
        )
        making.start()
        making.join()
        store = open_store(Path(folder) / "s")
        before = _peak()
        start = time.process_time()
        maps(store, fit_tokens=chosen.fit_tokens)
        slab = 4 * chosen.frames * GRID[0] * GRID[1] * CHANNELS
        held = _peak() - before
        print(f"slab in float32 {slab / 1e6:,.0f} MB; covariance {8 * CHANNELS**2 / 1e6:,.0f} MB")
        print(f"memory of maps  {held / 1e6:,.0f} MB, {held / slab:.1f} slabs, of {chosen.layers} layers")
        print(f"processor time  {time.process_time() - start:.1f} s in all")
        by_part(store, chosen.frames, chosen.fit_tokens)


def by_part(store: Store, frames: int, fit_tokens: int) -> None:
    read = store.read("resid", 0, 0, "a", 0)
    tokens = read.reshape(-1, CHANNELS)
    moments = Moments(CHANNELS)
    fits: list[Principal] = []
    parts: dict[str, Callable[[], object]] = {
        "reading, checked before": lambda: store.read("resid", 0, 0, "a", 0),
        "energies": lambda: token_energy(tokens),
        "change by frame": lambda: frame_change(tokens.reshape(frames, -1, CHANNELS)),
        "channels and median": lambda: slab_channels(tokens, MassiveRule()),
        f"covariance of {fit_tokens} tokens": lambda: moments.add(tokens[:fit_tokens]),
        "the PCA, once a sweep": lambda: fits.append(principal(moments)),
        "scores": lambda: fits[0].scores(tokens),
    }
    for name, part in parts.items():
        start, wall = time.process_time(), time.perf_counter()
        part()
        print(
            f"{name:28} {time.process_time() - start:6.2f} s ({time.perf_counter() - wall:.2f} s by the wall)"
        )


def make_store(folder: Path, frames: int, layers: int) -> None:
    """A run of one step with bf16 activations, each layer another multiple of the same normal values."""
    grid = (frames, *GRID)
    store = create_store(folder, StoreSettings({"name": "large"}, {"sites": ["resid"], "dtype": "bf16"}))
    values = np.random.default_rng(0).standard_normal((*grid, CHANNELS), np.float32)
    values *= np.linspace(1, 3, CHANNELS, dtype=np.float32)
    with store.writer("a", 0) as writer:
        writer.set_schedule([1000.0], [1.0, 0.0])
        writer.add_site("resid", range(layers), [0], ["cond"], grid, CHANNELS)
        for layer in range(layers):
            writer.write("resid", 0, layer, "cond", (values.view(np.uint32) >> 16).astype(np.uint16))
            values *= 2
        writer.finish()


def _peak() -> int:
    """The most memory that the process has held, in bytes; of Linux, which counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
