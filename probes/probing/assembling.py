"""The scores of a grid as a labelled dataset, with what holds over all of its cells.

==================================  =======================  ===============================================
``score``, ``low``, ``high``        (step, layer)            the main score and its interval
``NAME``, ``NAME_low``...           (step, layer)            other scores, ``control`` and ``selectivity``
``p``, ``p_cell``, ``q``            (step, layer)            family-wise, alone, and Benjamini-Hochberg
``strength``                        (step, layer, fold)      what was chosen in the inner folds
``code_length``, ``code_uniform``,  (step, layer)            of the online code, the uniform code, and the
``code_prior``                                               online code without features, in bits
``compression``                     (step, layer)            code_uniform / code_length
``compression_over_prior``          (step, layer)            code_prior / code_length
``baseline_score``, and its ends    (baseline, step, layer)  the main score of a baseline
``above``, and its ends             (baseline, step, layer)  the main score less that of the baseline, of
                                                             the same draws of samples
``by_sample``                       (sample, step, layer)    the main score of each sample's held-out rows
``share``                           (class)                  how often each class is
==================================  =======================  ===============================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.probing.baselines import STEP
from probes.probing.evaluate import CellScores
from probes.probing.grid import Cell, GridScores
from probes.probing.multiple_tests import benjamini_hochberg, family_wise
from probes.probing.plan import Plan
from probes.probing.study import Study
from probes.statistics import Estimate

if TYPE_CHECKING:
    import xarray

GRID = ("step", "layer")
CHANCE = {"r2": 0.0, "roc_auc": 0.5}
_ENDS = ("", "_low", "_high")
_CODES = {
    "code_length": "length",
    "code_uniform": "uniform",
    "code_prior": "prior",
    "compression": "compression",
    "compression_over_prior": "compression_over_prior",
}
"""Variables, and what they are called of a `Code`."""


def assemble(study: Study, scores: GridScores) -> xarray.Dataset:
    """All that was found, by step and layer, and what it is of as attributes."""
    import xarray

    chosen, rows = study.features.chosen, study.rows
    cells = [(step, layer) for step in chosen.steps for layer in chosen.layers]
    found = [scores.cells[cell] for cell in cells]
    main = next(iter(found[0].scores))
    grid = _Grid(len(chosen.steps), len(chosen.layers))
    variables: dict[str, Any] = {}
    for name in found[0].scores:
        ends = grid.estimates([one.scores[name] for one in found])
        labels = ("score", "low", "high") if name == main else tuple(name + end for end in _ENDS)
        variables |= dict(zip(labels, ends, strict=True))
    for name in ("control", "selectivity"):
        variables |= dict(
            zip(
                (name + end for end in _ENDS),
                grid.estimates([getattr(one, name) for one in found]),
                strict=True,
            )
        )
    variables |= _tests(found, grid)
    variables["strength"] = (
        (*GRID, "fold"),
        np.stack([one.probes.strengths for one in found]).reshape(grid.steps, grid.layers, -1),
    )
    codes = [one.code for one in found]
    for name, attribute in _CODES.items():
        variables[name] = grid.numbers([np.nan if one is None else getattr(one, attribute) for one in codes])
    by_sample = np.stack([one.per_sample for one in found], axis=1)
    variables["by_sample"] = (("sample", *GRID), by_sample.reshape(-1, grid.steps, grid.layers))
    names = list(scores.baselines)
    if names:
        variables |= _baselines(scores, cells, grid, study.plan)
    shares = class_shares(study)
    if shares:
        variables["share"] = ("class", list(shares.values()))
    first = found[0].scores[main]
    return xarray.Dataset(
        variables,
        coords={
            "step": list(chosen.steps),
            "layer": list(chosen.layers),
            "sample": list(rows.names),
            **({"baseline": names} if names else {}),
            **({"class": list(shares)} if shares else {}),
        },
        attrs=describe_study(study)
        | {
            "metric": main,
            "chance": CHANCE.get(main, 1 / max(len(rows.problem.classes), 1)),
            "method": ", or ".join(dict.fromkeys(one.scores[main].method for one in found)),
            "n": first.n,
            "notes": "\n".join([*study.notes, *_notes(cells, found)]),
        },
    )


def describe_study(study: Study) -> dict[str, Any]:
    """What was probed, as attributes of a dataset."""
    chosen, rows, problem, plan = study.features.chosen, study.rows, study.rows.problem, study.plan
    return {
        "target": study.asked.target,
        "among": study.asked.among or "",
        "site": chosen.info.key,
        "branch": chosen.branch,
        "kind": problem.kind,
        "unit": rows.unit,
        "rows": int(problem.labelled.sum()),
        "runs": len(rows.entries),
        "samples": len(rows.names),
        "channels": chosen.channels,
        "model": plan.model,
        "components": plan.components or 0,
        "outer": plan.outer,
        "inner": plan.inner,
        "permutations": plan.permutations,
        "seed": plan.seed,
        "draws": plan.draws,
        "level": plan.level,
    }


def class_shares(study: Study) -> dict[str, float]:
    """How often each class is among the labels; nothing where they are numbers."""
    problem = study.rows.problem
    known = problem.labels[problem.labelled]
    return {name: float((known == code).mean()) for code, name in enumerate(problem.classes)}


class _Grid:
    """Lists of cells as arrays (step, layer)."""

    def __init__(self, steps: int, layers: int) -> None:
        self.steps, self.layers = steps, layers

    def numbers(
        self, values: Sequence[float] | NDArray[np.float64]
    ) -> tuple[tuple[str, str], NDArray[np.float64]]:
        return GRID, np.asarray(values, dtype=np.float64).reshape(self.steps, self.layers)

    def estimates(
        self, values: Sequence[Estimate | None]
    ) -> list[tuple[tuple[str, str], NDArray[np.float64]]]:
        """Value, low and high; NaN where there is none."""
        ends = [(np.nan,) * 3 if one is None else (one.value, one.low, one.high) for one in values]
        return [self.numbers(column) for column in np.array(ends).T]


def _tests(found: Sequence[CellScores], grid: _Grid) -> dict[str, Any]:
    if any(one.p is None or one.statistic is None for one in found):
        nothing = np.full(len(found), np.nan)
        return dict.fromkeys(("p", "p_cell", "q"), grid.numbers(nothing))
    alone = np.array([one.p for one in found], dtype=np.float64)
    observed = np.array([one.statistic for one in found], dtype=np.float64)
    together = family_wise(observed, np.stack([one.nulls for one in found]))
    return {
        "p": grid.numbers(together),
        "p_cell": grid.numbers(alone),
        "q": grid.numbers(benjamini_hochberg(alone)),
    }


def _baselines(
    scores: GridScores, cells: Sequence[Cell], grid: _Grid, plan: Plan
) -> dict[str, tuple[tuple[str, ...], NDArray[np.float64]]]:
    parts: dict[str, list[NDArray[np.float64]]] = {}
    for baseline, there in scores.baselines.items():
        main = [next(iter(there[cell].scores.values())) for cell in cells]
        if baseline == STEP:
            # Without features the score is chance by its definition, whichever samples are drawn.
            main = [replace(one, low=np.nan, high=np.nan) for one in main]
        above = [scores.cells[cell].scored.above(there[cell].scored, plan) for cell in cells]
        for name, estimates in (("baseline", main), ("above", above)):
            for end, (_, values) in zip(_ENDS, grid.estimates(estimates), strict=True):
                parts.setdefault(f"{name}_score{end}" if name == "baseline" else name + end, []).append(
                    values
                )
    return {name: (("baseline", *GRID), np.stack(values)) for name, values in parts.items()}


def _notes(cells: Sequence[Cell], found: Sequence[CellScores]) -> list[str]:
    """What is said of cells, once, with how many it is said of."""
    where: dict[str, list[Cell]] = {}
    for cell, one in zip(cells, found, strict=True):
        for note in one.notes:
            where.setdefault(note, []).append(cell)
    return [
        note if len(at) == len(cells) else f"{note} (at {len(at)} of {len(cells)} cells)"
        for note, at in where.items()
    ]
