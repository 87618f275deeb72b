"""Opening a store of many runs, and filtering them.

    python -m tests.benchmarks.bench_store_catalog [--runs 10000] [--seeds 100] [--writers 1] [--rounds 5]

One run is written, of 10 steps and 10 layers, so 10,000 runs are 1,000,000 (run, step, layer) slabs. The
others are hard links to its file under their own names, and lines of the catalog as a writer makes them:
opening a store compares the names of all files with the catalog, and opens none that is listed. ``open`` is
a store that nothing was read from before, up to the list of its runs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from stores import StoreSettings, create_store, layout, open_store
from stores.catalog import Catalog

STEPS = LAYERS = 10


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--runs", type=int, default=10_000)
    options.add_argument("--seeds", type=int, default=100, help="of each sample")
    options.add_argument("--writers", type=int, default=1, help="whose catalog files share the runs")
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = make_store(Path(folder) / "store", chosen.runs, chosen.seeds, chosen.writers)
        measure(path, chosen.runs, chosen.rounds)


def make_store(path: Path, runs: int, seeds: int, writers: int) -> Path:
    store = create_store(path, StoreSettings(capture={"dtype": "bf16"}))
    with store.writer("maze-0", 0) as writer:
        writer.set_schedule(np.arange(STEPS, 0, -1), np.arange(STEPS, -1, -1))
        writer.add_site("resid", range(LAYERS), range(STEPS), ["cond"], (1, 2, 2), 4, "mean")
        for step in range(STEPS):
            for layer in range(LAYERS):
                writer.write("resid", step, layer, "cond", np.zeros(4, np.uint16), "mean")
        first = writer.finish()
    entries = []
    for number in range(1, runs):
        sample, seed = f"maze-{number // seeds}", number % seeds
        file = layout.run_file(sample, seed)
        (path / file).parent.mkdir(exist_ok=True)
        os.link(path / first.file, path / file)
        entries.append(replace(first, sample=sample, seed=seed, file=file))
    Catalog(path).rewrite([first, *entries])
    spread(path / layout.CATALOG, writers)
    return path


def spread(catalog: Path, writers: int) -> None:
    """Deals the lines of a catalog out to files of as many writers."""
    (whole,) = catalog.glob("*.jsonl")
    lines = whole.read_bytes().splitlines(keepends=True)
    whole.unlink()
    for number in range(writers):
        (catalog / f"writer-{number}.jsonl").write_bytes(b"".join(lines[number::writers]))


def measure(path: Path, runs: int, rounds: int) -> None:
    """Prints the time of each way, the median of the rounds."""
    opened = open_store(path)
    ways: dict[str, Callable[[], int]] = {
        "open": lambda: len(open_store(path).runs()),
        "filter by sample": lambda: len(opened.runs(sample="maze-7")),
        "filter by seeds": lambda: len(opened.runs(seed=slice(0, 3))),
        "filter by both": lambda: len(opened.runs(sample=["maze-3", "maze-7"], seed="0-9")),
        "list all": lambda: len(opened.runs()),
        "table of all": lambda: len(opened.table()),
    }
    assert len(opened.runs()) == runs
    files = list((path / layout.CATALOG).iterdir())
    lines = sum(file.stat().st_size for file in files)
    print(f"{runs:,} runs, {runs * STEPS * LAYERS:,} (run, step, layer) slabs")
    print(f"  catalog: {len(files)} files, {lines:,} bytes")
    for name, way in ways.items():
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            found = way()
            times.append(time.perf_counter() - start)
        print(f"  {name:18} {np.median(times) * 1e3:8.2f} ms, {found:,} runs")


if __name__ == "__main__":
    main()
