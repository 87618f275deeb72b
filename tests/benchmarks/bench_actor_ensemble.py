"""What a step of an ensemble costs with one actor a GPU, against the same seeds as a batch in one process.

    python -m tests.benchmarks.bench_actor_ensemble --shape a14b --folder /tmp             # several GPUs
    python -m tests.benchmarks.bench_actor_ensemble --shape a14b --folder /tmp --gpus 0.5  # two share one
    python -m tests.benchmarks.bench_actor_ensemble --device cpu --folder /tmp             # anywhere

``a14b`` has the shape of Wan2.2-I2V-A14B, both experts, with random weights that each process draws for
itself, 480x832, 81 frames, guidance on; without a shape it is maze-wan. All seeds go on, and nothing is
decoded.

A step costs what a run of more steps takes beyond one of fewer (``--steps``), divided by how many more those
are: what is loaded, encoded and written is in both. Each is made ``--rounds`` times, and the least counts.

    one seed        in this process
    batch           all seeds in this process, in one call
    apart           all seeds in actors, merged after step 0 only: they compute and do not meet
    x0, latent      all seeds in actors, merged at each step; of latents, what the solver remembers, too

Then ``meeting`` is what a step with a merge costs more than one without. ``exchange`` is what a merge of one
latent a seed takes of itself, with actors that do nothing else: float32, of 480x832 and 81 frames.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

import cosinterp as ci
from cosinterp.ensembles.actors.driving import Driving
from cosinterp.ensembles.actors.reaching import Reaching
from cosinterp.ensembles.actors.tasks import SampleEnsemble
from cosinterp.ensembles.actors.team import Team
from cosinterp.ensembles.company import blocks
from cosinterp.ensembles.ensemble import make_ensemble
from cosinterp.ensembles.member import Member
from cosinterp.ensembles.mergers import Mergers
from cosinterp.ensembles.planned import PlannedEnsemble, plan_ensemble
from cosinterp.ensembles.rows import Rows
from cosinterp.ensembles.spec import Merge
from cosinterp.executors.ray_executor import RayExecutor
from cosinterp.models.loading import prepare
from cosinterp.models.loading.prepared import Prepared
from cosinterp.models.model import Model
from cosinterp.organism.mazes import generate_maze
from cosinterp.organism.rendering import render_video
from cosinterp.organism.tasks import PROMPTS
from cosinterp.planning.plan import model_settings
from cosinterp.tracing import HOST_MEMORY
from stores.store import create_store
from tests.benchmarks.bench_capture import SHAPES
from tests.benchmarks.bench_ensemble import build

WAYS = ("apart", "x0", "latent")
EXCHANGES = 50
LATENT = (16, 21, 60, 104)


@dataclass(frozen=True)
class RandomRecipe:
    """Draws a model anew; of a `Recipe`, what an actor needs."""

    shape: str
    name: str = "random-wan-i2v"

    def prepare(self, device: str) -> Prepared:
        return Prepared(build(SHAPES[self.shape], torch.device(device), large=self.shape == "a14b"))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, help="of a random model; else it is maze-wan")
    parser.add_argument("--folder", type=Path, required=True, help="where stores are made, and removed")
    parser.add_argument("--seeds", type=int, default=2, help="how many")
    parser.add_argument("--steps", default="4,12", help="of the shorter and of the longer runs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", help="cpu, or cuda: the default if there is a GPU")
    parser.add_argument("--gpus", type=float, help="of an actor; default: 1")
    args = parser.parse_args()
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    few, many = (int(steps) for steps in args.steps.split(","))
    # Seeds of a batch have what one actor has.
    torch.set_num_threads(1 if device == "cpu" else torch.get_num_threads())
    recipe: Any = RandomRecipe(args.shape) if args.shape else prepare("maze-wan", device=device).recipe
    with TemporaryDirectory(dir=args.folder) as folder:
        bench = Bench(args.shape, Path(folder), few, many, args.rounds)
        # Its memory is an actor's after that.
        found = here(recipe, device, bench, args.seeds)
        gc.collect()
        torch.cuda.empty_cache()
        executor = RayExecutor(device=None if device == "cuda" else "cpu", gpus=args.gpus)
        with executor, Team(executor, recipe, found.settings, args.seeds, told) as team:
            team.fill()
            told(f"{args.seeds} seeds in {len(team.actors)} actors")
            costs = {way: bench.slope(found.plans[way], lambda plan: apart(team, plan)) for way in WAYS}
            told(f"exchange  {1000 * exchange(team, args.seeds):9.1f} ms, the median of {EXCHANGES}")
        for way, cost in costs.items():
            meeting = "" if way == "apart" else f", meeting {1000 * (cost - costs['apart']):.1f} ms"
            told(
                f"{way:9} {1000 * cost:9.1f} ms, {cost / found.one:.2f} times one seed, "
                f"{found.batch / cost:.2f} times as fast as the batch{meeting}"
            )
    return 0


@dataclass(frozen=True)
class Here:
    """What was found in this process: seconds of a step; and what the actors will make."""

    one: float
    batch: float
    plans: dict[str, list[list[PlannedEnsemble]]]
    settings: dict[str, Any]


def here(recipe: Any, device: str, bench: Bench, seeds: int) -> Here:
    """Measure this process, and plan what actors make."""
    model = recipe.prepare(device).load()

    def make(plan: PlannedEnsemble) -> None:
        make_ensemble(model, plan)

    name = torch.cuda.get_device_name() if device == "cuda" else f"{os.cpu_count()} processors"
    told(f"{model.name}, {model.num_layers} blocks, {len(model.anatomy.experts)} experts, on {name}: a step")
    one = bench.slope(bench.plans(model, "one", 1), make)
    told(f"one seed  {1000 * one:9.1f} ms")
    batch = bench.slope(bench.plans(model, "batch", seeds), make)
    told(f"batch     {1000 * batch:9.1f} ms, {batch / one:.2f} times one seed")
    return Here(one, batch, {way: bench.plans(model, way, seeds) for way in WAYS}, model_settings(model))


class Bench:
    """The sample, and how its ensembles are timed."""

    def __init__(self, name: str | None, folder: Path, few: int, many: int, rounds: int) -> None:
        self._folder, self._steps, self._rounds = folder, (few, many), rounds
        self._made = 0
        if name is not None:
            shape = SHAPES[name]
            pixels = np.random.default_rng(0).integers(0, 256, (shape.height, shape.width, 3), dtype=np.uint8)
            size = {"height": shape.height, "width": shape.width, "num_frames": shape.num_frames}
            self._sample = ci.Sample("random", "a cat", image=Image.fromarray(pixels), **size)
            self._guidance = 3.5
        else:
            image = Image.fromarray(render_video(generate_maze(93, 7), "red")[0])
            self._sample = ci.Sample("maze", PROMPTS["red"][0], image=image)
            self._guidance = 1.0

    def plans(self, model: Model, way: str, seeds: int) -> list[list[PlannedEnsemble]]:
        """Of the shorter and of the longer runs, one a round, and one more to warm up."""
        rounds = range(self._rounds + 1)
        return [[self._plan(model, way, seeds, steps) for _ in rounds] for steps in self._steps]

    def slope(
        self, plans: Sequence[Sequence[PlannedEnsemble]], make: Callable[[PlannedEnsemble], None]
    ) -> float:
        """Seconds of a step."""
        few, many = plans
        make(few[0])
        least = [min(_timed(make, plan) for plan in of[1:]) for of in (few, many)]
        return (least[1] - least[0]) / (self._steps[1] - self._steps[0])

    def _plan(self, model: Model, way: str, seeds: int, steps: int) -> PlannedEnsemble:
        self._made += 1
        return plan_ensemble(
            model,
            self._sample,
            store=self._folder / f"{way}-{self._made}",
            seeds=list(range(seeds)),
            merge="x0" if way == "x0" else "latent",
            steps="all" if way in ("x0", "latent") else "0",
            then="all",
            base=False,
            save_video=False,
            sampling={"num_steps": steps, "guidance_scale": self._guidance},
        )


def apart(team: Team, plan: PlannedEnsemble) -> None:
    """In actors."""
    create_store(plan.path, plan.plan.settings)
    with Driving(team) as driving:
        driving.run([SampleEnsemble(plan, one, HOST_MEMORY, None, told) for one in plan.todo])


def exchange(team: Team, seeds: int) -> float:
    """Seconds in which all seeds' latents become one."""
    parts = blocks(seeds, len(team.actors))
    team.ray.get(team.hall.begin.remote(EXCHANGES))
    met = [
        actor.handle.__ray_call__.remote(_meetings, team.hall, parts, member)
        for member, actor in enumerate(team.actors)
    ]
    return max(team.ray.get(met))


def _meetings(actor: Any, hall: Any, parts: Sequence[Rows], member: int) -> float:
    going = tuple(row for own in parts for row in own)
    mergers = Mergers(Member(Reaching(hall), EXCHANGES, parts, member))
    latents = torch.randn(len(parts[member]), *LATENT)
    asked = Merge(what="latent", steps=(0,))
    seconds = []
    for step in range(EXCHANGES + 1):
        start = time.perf_counter()
        mergers.at(step, asked, going, None)(latents)
        seconds.append(time.perf_counter() - start)
    # At the first they wait for who begins last.
    return statistics.median(seconds[1:])


def told(text: str) -> None:
    print(text, flush=True)


def _timed(make: Callable[[PlannedEnsemble], None], plan: PlannedEnsemble) -> float:
    start = time.perf_counter()
    make(plan)
    return time.perf_counter() - start


if __name__ == "__main__":
    raise SystemExit(main())
