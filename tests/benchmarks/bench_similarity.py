"""CKA of all pairs of layers: processor time and memory of streaming, beside everything in memory at once.

    python -m tests.benchmarks.bench_similarity --layers 41 --channels 512 --samples 4

The store is made of random numbers, each way runs in a process of its own (so that its peak of memory is its
own), and the numbers of all ways have to agree.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from stores import StoreSettings, create_store, open_store

GRID = (5, 16, 16)


def make(folder: Path, layers: int, channels: int, samples: int) -> None:
    capture = {"sites": ["resid"], "layers": list(range(layers)), "steps": [0], "branches": ["cond"]}
    store = create_store(folder, StoreSettings({"name": "random"}, capture | {"dtype": "fp32"}, {}))
    rng = np.random.default_rng(0)
    for sample in range(samples):
        with store.writer(f"sample-{sample}", 0) as writer:
            writer.set_attrs({"prediction_type": "flow"})
            writer.set_schedule([1000], [1.0, 0.0])
            writer.add_site("resid", list(range(layers)), [0], ["cond"], GRID, channels)
            stream = rng.normal(size=(*GRID, channels)).astype(np.float32)
            for layer in range(layers):
                stream += 0.3 * rng.normal(size=stream.shape).astype(np.float32)
                writer.write("resid", 0, layer, "cond", stream)
            writer.finish()


def streamed(folder: Path, megabytes: int) -> list[float]:
    from probes.similarity.compare import similarity

    found = similarity(folder, tokens="all", shuffles=0, host_memory=megabytes * 10**6)
    return found.dataset["cka"].values[0].reshape(-1).tolist()


def plain(folder: Path) -> list[float]:
    """Every layer of every run in memory, and each pair by itself, without each sample too, as streamed."""
    from probes.similarity.cka import linear_cka

    store = open_store(folder)
    runs = store.runs()
    layers = store.run(runs[0].sample, 0).site("resid").layers
    rows = [
        np.concatenate(
            [store.read("resid", 0, layer, entry.sample, 0).reshape(-1, _channels(store)) for entry in runs]
        ).astype(np.float64)
        for layer in layers
    ]
    per = len(rows[0]) // len(runs)
    found = np.ones((len(layers), len(layers)))
    for i in range(len(layers)):
        for j in range(i + 1, len(layers)):
            found[i, j] = found[j, i] = linear_cka(rows[i], rows[j])
            for sample in range(len(runs)):
                left_out = np.s_[sample * per : (sample + 1) * per]
                linear_cka(np.delete(rows[i], left_out, axis=0), np.delete(rows[j], left_out, axis=0))
    return found.reshape(-1).tolist()


def _channels(store) -> int:
    return store.run(store.runs()[0].sample, 0).site("resid").channels


def _measure(way, arguments, pipe) -> None:
    from probes.similarity.compare import similarity

    # What is loaded once is no part of the measure.
    similarity(arguments[0], layers="0,1", tokens=8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    values = way(*arguments)
    seconds = time.process_time() - start
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    pipe.send((values, seconds, peak))


def measured(way, *arguments) -> tuple[list[float], float, float]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(way, arguments, there))
    process.start()
    found = here.recv()
    process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=9)
    parser.add_argument("--channels", type=int, default=192)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--megabytes", default="50,200,1000", help="bounds of memory to try")
    parser.add_argument("--no-plain", action="store_true", help="leave out the way with all in memory")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        make(store, given.layers, given.channels, given.samples)
        size = sum(file.stat().st_size for file in store.rglob("*.h5"))
        print(f"{given.layers} layers, {given.channels} channels, {given.samples} runs: {size / 1e6:.0f} MB")
        ways = {
            f"streamed, {limit} MB": (streamed, store, int(limit)) for limit in given.megabytes.split(",")
        }
        if not given.no_plain:
            ways["all in memory"] = (plain, store)
        first: list[float] | None = None
        for name, (way, *arguments) in ways.items():
            values, seconds, peak = measured(way, *arguments)
            first = values if first is None else first
            apart = float(np.abs(np.array(values) - np.array(first)).max())
            print(
                json.dumps(
                    {"way": name, "cpu_s": round(seconds, 1), "peak_MB": round(peak / 1e6), "apart": apart}
                )
            )


if __name__ == "__main__":
    main()
