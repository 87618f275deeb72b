"""Transfer: probes fitted at some cells, tested at all, each on the samples that its fold held out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.probing.assembling import CHANCE, class_shares, describe_study
from probes.probing.evaluate import CellScores, FoldProbes, evaluate, transfer
from probes.probing.features import Features
from probes.probing.grid import Cell, Progress
from probes.probing.parallel import carried_out
from probes.probing.plan import Plan
from probes.probing.study import Study
from probes.statistics import Estimate
from stores import selection

if TYPE_CHECKING:
    import xarray

AXES = ("train_step", "train_layer", "test_step", "test_layer")


@dataclass(frozen=True, eq=False)
class TransferStudy:
    """A study whose probes are tested at other cells than their own.

    Attributes:
        study: rows, features and plan. The cells that it has are those that are tested at.
        steps, layers: of the cells that probes are fitted at.
    """

    study: Study
    steps: tuple[int, ...]
    layers: tuple[int, ...]

    @property
    def cells(self) -> int:
        """Cells that are read: once to fit, once to test."""
        chosen = self.study.features.chosen
        return len(self.steps) * len(self.layers) + len(chosen.steps) * len(chosen.layers)

    def run(self, progress: Progress | None = None) -> xarray.Dataset:
        """Fits the probes and tests them everywhere.

        Raises:
            SelectionError, StoreError: as `Features.of_cells` and `evaluate`.
        """
        study = self.study
        chosen = study.features.chosen
        plan = replace(study.plan, permutations=0, mdl=False, control=False)
        jobs, done = study.asked.jobs, 0

        def told(cells: int) -> None:
            nonlocal done
            done += cells
            if progress is not None:
                progress(done, self.cells)

        fitted: dict[Cell, CellScores] = {}
        tasks = list(_tasks(self.steps, self.layers, study.together))
        for task, found in carried_out(partial(_fit, study.features, plan), tasks, jobs):
            fitted |= found
            told(len(task[1]))
        probes = {cell: one.probes for cell, one in fitted.items()}
        scores: dict[tuple[Cell, Cell], Mapping[str, Estimate]] = {}
        tasks = list(_tasks(chosen.steps, chosen.layers, study.together))
        for task, tested in carried_out(partial(_test, study.features, plan, probes), tasks, jobs):
            scores |= tested
            told(len(task[1]))
        return self._dataset(scores)

    def _dataset(self, scores: Mapping[tuple[Cell, Cell], Mapping[str, Estimate]]) -> xarray.Dataset:
        import xarray

        chosen = self.study.features.chosen
        labels = (self.steps, self.layers, chosen.steps, chosen.layers)
        shape = [len(one) for one in labels]
        ordered = [
            scores[(step, layer), (to_step, to_layer)]
            for step in self.steps
            for layer in self.layers
            for to_step in chosen.steps
            for to_layer in chosen.layers
        ]
        main = next(iter(ordered[0]))
        variables: dict[str, Any] = {}
        for name in ordered[0]:
            ends = np.array([(one[name].value, one[name].low, one[name].high) for one in ordered]).T
            names = ("score", "low", "high") if name == main else (name, f"{name}_low", f"{name}_high")
            variables |= {key: (AXES, column.reshape(shape)) for key, column in zip(names, ends, strict=True)}
        shares = class_shares(self.study)
        if shares:
            variables["share"] = ("class", list(shares.values()))
        first = ordered[0][main]
        return xarray.Dataset(
            variables,
            coords={axis: list(numbers) for axis, numbers in zip(AXES, labels, strict=True)}
            | ({"class": list(shares)} if shares else {}),
            attrs=describe_study(self.study)
            | {
                "metric": main,
                "chance": CHANCE.get(main, 1 / max(len(shares), 1)),
                "method": ", or ".join(dict.fromkeys(one[main].method for one in ordered)),
                "n": first.n,
                "notes": "\n".join(self.study.notes),
            },
        )


def transfer_study(
    study: Study, steps: selection.Selection = "all", layers: selection.Selection = "all"
) -> TransferStudy:
    """Probes fitted at these steps and layers, of those of the study, and tested at all of them.

    Raises:
        SelectionError: the study has no such step or layer.
    """
    chosen = study.features.chosen
    return TransferStudy(
        study,
        selection.select(steps, chosen.steps, "steps", "what is probed"),
        selection.select(layers, chosen.layers, "layers", "what is probed"),
    )


def _tasks(
    steps: Sequence[int], layers: Sequence[int], together: int
) -> Iterator[tuple[int, tuple[int, ...]]]:
    for step in steps:
        for first in range(0, len(layers), together):
            yield step, tuple(layers[first : first + together])


def _fit(features: Features, plan: Plan, task: tuple[int, tuple[int, ...]]) -> dict[Cell, CellScores]:
    step, layers = task
    read = features.of_cells(step, layers)
    return {(step, layer): evaluate(read.pop(layer), features.rows.problem, plan) for layer in layers}


def _test(
    features: Features, plan: Plan, probes: Mapping[Cell, FoldProbes], task: tuple[int, tuple[int, ...]]
) -> dict[tuple[Cell, Cell], Mapping[str, Estimate]]:
    step, layers = task
    read = features.of_cells(step, layers)
    return {
        (cell, (step, layer)): transfer(fitted, read[layer], features.rows.problem, plan)
        for layer in layers
        for cell, fitted in probes.items()
    }
