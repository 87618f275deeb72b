"""What it takes to open a result, against the library that xarray reads such files by (h5netcdf).

    python -m tests.benchmarks.bench_results [--rounds 20]

Results of few and of many variables by step and layer, each with its interval and its counts.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np
import xarray

from probes.results.files import open_result, save_result

PARTS = ("", "_low", "_high", "_n")
AXES = {"step": 12, "layer": 9}


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=20)
    rounds = options.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        for count in (4, 40):
            path = save_result(folder, f"of-{count}", _dataset(count), {"kind": "maps"})
            ours = _median(rounds, lambda path=path: open_result(path))
            library = _median(rounds, lambda path=path: xarray.load_dataset(path, engine="h5netcdf"))
            print(
                f"{count * len(PARTS)} variables: {1000 * ours:.1f} ms, by h5netcdf {1000 * library:.1f} ms, "
                f"{library / ours:.1f} times as long"
            )


def _dataset(count: int) -> xarray.Dataset:
    numbers = np.random.default_rng(0).normal(size=tuple(AXES.values()))
    told = {"long_name": "a number", "level": 0.95, "seed": 0}
    variables = {f"v{n}{part}": (tuple(AXES), numbers, told) for n in range(count) for part in PARTS}
    return xarray.Dataset(variables, {name: range(size) for name, size in AXES.items()})


def _median(rounds: int, call: Callable[[], object]) -> float:
    call()
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return statistics.median(took)


if __name__ == "__main__":
    main()
