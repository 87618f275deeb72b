"""All cells of a (step, layer) grid with their baselines, one after another or in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product

from probes.probing.baselines import UNTRAINED, Baseline
from probes.probing.evaluate import CellScores, evaluate
from probes.probing.features import Features, Float32
from probes.probing.parallel import carried_out
from probes.probing.plan import Plan
from probes.probing.problem import Problem

Progress = Callable[[int, int], None]
"""Called with how many cells are done, and how many there are."""

Cell = tuple[int, int]


@dataclass(frozen=True)
class Source:
    """What cells are made of.

    Attributes:
        name: empty for the activations that are probed, else the name of a baseline.
        by_step, by_layer: whether it differs between steps, and between layers.
        read: (row, channel) of each of some layers of a step.
    """

    name: str
    by_step: bool
    by_layer: bool
    read: Callable[[int, Sequence[int]], dict[int, Float32]]


@dataclass(frozen=True)
class Task:
    """Some layers of a step of a source, which are read together."""

    source: Source
    step: int
    layers: tuple[int, ...]


@dataclass
class GridScores:
    """What was found.

    Attributes:
        cells: of the activations, by (step, layer).
        baselines: by name, and then by (step, layer); what does not depend on one of them is there once, and
            the same for all.
    """

    cells: dict[Cell, CellScores] = field(default_factory=dict)
    baselines: dict[str, dict[Cell, CellScores]] = field(default_factory=dict)


def probe_grid(
    features: Features,
    plan: Plan,
    baselines: Sequence[Baseline],
    untrained: Features | None,
    *,
    together: int,
    jobs: int = 1,
    progress: Progress | None = None,
) -> GridScores:
    """Every (step, layer) of what is chosen, and the baselines beside.

    Args:
        features: what is probed.
        plan: how.
        baselines: those that do not depend on the layer.
        untrained: the same features of an untrained model.
        together: so many layers of a step are read together.
        jobs: processes.
        progress: told of each cell.

    Raises:
        SelectionError, StoreError: as `Features.of_cells` and `evaluate`.
    """
    steps, layers, problem = features.chosen.steps, features.chosen.layers, features.rows.problem
    tasks = list(_tasks(_sources(features, baselines, untrained), steps, layers, together))
    total = count_cells(features, baselines, untrained)
    done = 0
    scores = GridScores()
    for task, found in carried_out(partial(_carry_out, problem, plan), tasks, jobs):
        done += len(task.layers)
        # Another process sends the problem along; one is enough.
        found = {
            layer: replace(one, scored=replace(one.scored, problem=problem)) for layer, one in found.items()
        }
        if not task.source.name:
            scores.cells |= {(task.step, layer): one for layer, one in found.items()}
        else:
            there = scores.baselines.setdefault(task.source.name, {})
            for layer, one in found.items():
                there |= dict.fromkeys(_cells(task, layer, steps, layers), one)
        if progress is not None:
            progress(done, total)
    return scores


def count_cells(features: Features, baselines: Sequence[Baseline], untrained: Features | None) -> int:
    """How many cells `probe_grid` computes, with those of baselines."""
    steps, layers = features.chosen.steps, features.chosen.layers
    tasks = _tasks(_sources(features, baselines, untrained), steps, layers, len(layers))
    return sum(len(task.layers) for task in tasks)


def _sources(
    features: Features, baselines: Sequence[Baseline], untrained: Features | None
) -> Iterator[Source]:
    for baseline in baselines:
        yield Source(baseline.name, baseline.by_step, False, _without_layers(baseline))
    yield Source("", True, True, features.of_cells)
    if untrained is not None:
        yield Source(UNTRAINED, True, True, untrained.of_cells)


def _without_layers(baseline: Baseline) -> Callable[[int, Sequence[int]], dict[int, Float32]]:
    return lambda step, layers: {layers[0]: baseline.at(step)}


def _tasks(
    sources: Iterable[Source], steps: Sequence[int], layers: Sequence[int], together: int
) -> Iterator[Task]:
    for source in sources:
        for step in steps if source.by_step else steps[:1]:
            there = layers if source.by_layer else layers[:1]
            for first in range(0, len(there), together):
                yield Task(source, step, tuple(there[first : first + together]))


def _cells(task: Task, layer: int, steps: Sequence[int], layers: Sequence[int]) -> list[Cell]:
    """The cells that what was found at a layer stands for."""
    of_steps = [task.step] if task.source.by_step else steps
    of_layers = [layer] if task.source.by_layer else layers
    return list(product(of_steps, of_layers))


def _carry_out(problem: Problem, plan: Plan, task: Task) -> dict[int, CellScores]:
    if task.source.name:
        # A baseline is compared with, not tested.
        plan = replace(plan, permutations=0, mdl=False, control=False)
    read = task.source.read(task.step, task.layers)
    found: dict[int, CellScores] = {}
    for layer in task.layers:
        found[layer] = evaluate(read.pop(layer), problem, plan)
    return found
