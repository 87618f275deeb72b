"""How much faster a trace is that is spread over several devices, against one of them in the same run.

    python -m tests.benchmarks.bench_fan_out --devices cuda:0,1 --folder /fast/disk
    python -m tests.benchmarks.bench_fan_out --devices cuda:0,1 --folder /fast/disk --shape a14b \\
        --reduce project:64 --num-steps 2 --runs 4 --rounds 1 --ways here,all
    python -m tests.benchmarks.bench_fan_out --devices cpu,cpu --folder /tmp --runs 2   # anywhere

Without ``--shape`` the model is maze-wan; ``a14b`` has the shape of one expert of Wan2.2 T2V A14B and random
weights that each worker draws for itself (see `tests.benchmarks.bench_capture`). The same runs are made each
time, in ``--rounds`` rounds, in each of which the ways take turns:

    here      by this process, on the first device, as a trace without --device cuda:0,1 does
    one       by one worker, on the first device
    all       by a worker on each device

``making`` goes from when as many runs have begun as there are workers to when the last run is on the disk, so
that loading the model is not in it, and the rate is of the steps made within it; ``whole`` is all of it. The
last lines say by how much the rate of ``all`` exceeds that of the other two.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import cosinterp as ci
from cosinterp.devices import parse_devices
from cosinterp.executors.local import LocalExecutor
from cosinterp.executors.traces import spread_plan
from cosinterp.models.loading import prepare
from cosinterp.models.loading.prepared import Prepared
from cosinterp.organism.dataset import write_mazes
from cosinterp.planning.plan import TracePlan, make_plan
from cosinterp.samples import Sample
from cosinterp.tracing import HOST_MEMORY, run_plan
from stores.units import size_text
from tests.benchmarks.bench_capture import SHAPES, build

WAYS = ("here", "one", "all")


@dataclass(frozen=True)
class RandomRecipe:
    """Draws a model anew; of a `cosinterp.models.loading.recipe.Recipe`, what workers need."""

    shape: str
    name: str = "random-wan"

    def prepare(self, device: str | None) -> Prepared:
        """The model on a device, with its weights."""
        return Prepared(build(SHAPES[self.shape], torch.device(device or "cpu")))


class Watch:
    """Takes the time of a trace by so many workers, from when as many runs have begun."""

    def __init__(self, workers: int) -> None:
        self.begun = time.perf_counter()
        self._workers = workers
        self._todo = 0
        self._runs: set[tuple[str, int]] = set()
        self._told = self._before = 0
        self._from = self._until = self.begun

    def planned(self, plan: TracePlan, todo: Sequence[tuple[str, int]]) -> None:
        """All that is to be made."""
        self._todo = len(todo) * plan.num_steps

    def step(self, sample: str, seeds: tuple[int, ...], step: int, num_steps: int) -> None:
        """A step is over; what was computed of others meanwhile does not count."""
        self._told += len(seeds)
        if len(self._runs) < self._workers:
            self._runs.add((sample, seeds[0]))
            self._from, self._before = time.perf_counter(), self._told

    def finished(self, sample: str, seed: int) -> None:
        """The last one ends the time."""
        self._until = time.perf_counter()

    @property
    def making(self) -> float:
        """Seconds from the beginning of all workers' first runs to the end of the last run."""
        return self._until - self._from

    @property
    def steps_a_second(self) -> float:
        """Of what was made within `making`."""
        return (self._todo - self._before) / self.making


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", required=True, help="such as cuda:0,1")
    parser.add_argument("--folder", type=Path, required=True, help="where stores are made, and removed")
    parser.add_argument("--shape", choices=SHAPES, help="of a model with random weights; default: maze-wan")
    parser.add_argument("--runs", type=int, default=16, help="of each device")
    parser.add_argument("--num-steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=1, help="seeds that go through the model together")
    parser.add_argument("--sites", default="resid", help="none: latents and predictions alone")
    parser.add_argument("--reduce", help="such as project:64")
    parser.add_argument("--store-dtype", default="auto")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--ways", default=",".join(WAYS))
    args = parser.parse_args()
    devices = parse_devices(args.devices)
    ways = args.ways.split(",")
    if unknown := set(ways) - set(WAYS):
        parser.error(f"unknown ways {', '.join(sorted(unknown))}; there are {', '.join(WAYS)}")
    with TemporaryDirectory(dir=args.folder) as folder:
        bench = Bench(args, devices, Path(folder))
        bench.describe()
        found: defaultdict[str, list[float]] = defaultdict(list)
        for _ in range(args.rounds):
            for way in ways:
                found[way].append(bench.take(way))
        bench.compare(found)
    return 0


class Bench:
    """A trace, and the ways in which it is made."""

    def __init__(self, args: argparse.Namespace, devices: tuple[str, ...], folder: Path) -> None:
        self._devices, self._folder = devices, folder
        self._recipe: Any = RandomRecipe(args.shape)
        if args.shape is None:
            self._recipe = prepare("maze-wan", device=devices[0]).for_workers()
        runs = args.runs * len(devices)
        samples = self._samples(args, -(-runs // args.batch) if args.shape is None else 1)
        seeds = args.batch if args.shape is None else runs
        model = self._recipe.prepare(devices[0]).model
        self.plan = make_plan(
            model,
            samples,
            seeds=f"0-{seeds - 1}",
            layers="all",
            sites=args.sites,
            save_steps="all",
            branches="all",
            dtype=args.store_dtype,
            batch=args.batch,
            # A random VAE is not what a shape is about.
            save_video=args.shape is None,
            host_memory=HOST_MEMORY,
            sampling={"num_steps": args.num_steps},
            reduce=args.reduce,
        )
        self._name = f"{model.name}, {model.num_layers} blocks"
        del model
        _let_go()

    def _samples(self, args: argparse.Namespace, count: int) -> list[Sample]:
        if args.shape is None:
            write_mazes(self._folder / "mazes", rooms=7, count=count, seed=0)
            return ci.load_dataset(self._folder / "mazes")
        shape = SHAPES[args.shape]
        size = {"height": shape.height, "width": shape.width, "num_frames": shape.num_frames}
        return [Sample("random", "a cat walks through a maze", **size)]

    def describe(self) -> None:
        on = torch.cuda.get_device_name(self._devices[0]) if "cuda" in self._devices[0] else "the CPU"
        runs = self.plan.num_runs
        size = size_text(self.plan.bytes_of(self.plan.runs()) // runs)
        where = f"{self._name}, on {len(self._devices)} of {on}"
        told(f"{where}: {runs} runs of {self.plan.num_steps} steps, {size} each")

    def take(self, way: str) -> float:
        """Make the trace; steps a second."""
        store = self._folder / way
        devices = self._devices if way == "all" else self._devices[:1]
        watch = Watch(len(devices))
        if way == "here":
            self._here(store, watch)
        else:
            spread_plan(LocalExecutor(devices), self._recipe, self.plan, store, progress=watch)
        whole = time.perf_counter() - watch.begun
        shutil.rmtree(store)
        rate = watch.steps_a_second
        told(f"{way:5} making {watch.making:7.1f} s, {rate:7.3f} steps a second; whole {whole:7.1f} s")
        return rate

    def _here(self, store: Path, watch: Watch) -> None:
        model = self._recipe.prepare(self._devices[0]).load()
        run_plan(model, self.plan, store, progress=watch)
        # Its memory is a worker's after that.
        del model
        _let_go()

    def compare(self, found: dict[str, list[float]]) -> None:
        """Say by how much all devices are faster than one, round by round."""
        for way in ("here", "one"):
            if way in found and "all" in found:
                ratios = [many / one for many, one in zip(found["all"], found[way], strict=True)]
                told(
                    f"all against {way:5} {statistics.median(ratios):5.2f} times "
                    f"({min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} rounds)"
                )


def _let_go() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def told(line: str) -> None:
    print(line, flush=True)


def _imported() -> Callable[[], int]:
    """This module by its own name: workers do not know what ``__main__`` is here."""
    from tests.benchmarks import bench_fan_out

    return bench_fan_out.main


if __name__ == "__main__":
    sys.exit(_imported()())
