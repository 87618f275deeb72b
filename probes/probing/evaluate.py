"""One cell of a grid: a probe's scores with all that they have to be held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.probing import folds as dealing
from probes.probing import permutation
from probes.probing.control_task import control_task
from probes.probing.fitting import FoldProbes, fit_folds
from probes.probing.folds import Folds
from probes.probing.mdl import Code, online_code
from probes.probing.multiple_tests import permutation_p
from probes.probing.plan import Plan
from probes.probing.problem import Problem
from probes.probing.scores import Scored, scored
from probes.probing.table import Table
from probes.statistics import Estimate
from stores.errors import SelectionError

__all__ = ["CellScores", "Code", "FoldProbes", "Plan", "evaluate", "transfer"]


@dataclass(frozen=True)
class CellScores:
    """What one cell shows.

    Attributes:
        scores: by name, out of fold, with an interval over samples: `probes.probing.scores` says what each
            is. The first is the one that `control`, `selectivity` and `per_sample` are of. For classes
            `balanced_accuracy`, `accuracy` and, for two, `roc_auc`; for numbers `r2`.
        control: the score of the control task; None where there are no types or the plan asks for none.
        selectivity: score - control, from the same draws of samples; None as `control`.
        statistic: what the permutation test observed; None without permutations.
        nulls: (permutation,) the same of permuted label maps, the same permutations at every cell; (0,)
            without.
        p: (1 + nulls at least as great) / (1 + permutations), of this cell alone; None without permutations.
        code: None if the plan asks for none.
        probes: of the outer folds.
        per_sample: (sample,) the main score of each sample's held-out rows; NaN where it has no labels.
        scored: what the main score is compared by with that of another cell of the same problem.
        notes: what the user should know of these numbers, a line each.
    """

    scores: Mapping[str, Estimate]
    control: Estimate | None
    selectivity: Estimate | None
    statistic: float | None
    nulls: NDArray[np.float64]
    p: float | None
    code: Code | None
    probes: FoldProbes
    per_sample: NDArray[np.float64]
    scored: Scored
    notes: tuple[str, ...]


def evaluate(features: NDArray[np.floating], problem: Problem, plan: Plan) -> CellScores:
    """Fits, scores and tests the probe of one (step, layer).

    Nothing random depends on the features, so all cells of a grid get the same folds, control labels,
    permutations and draws.

    Args:
        features: (row, channel) float32 or float64, rows as those of the problem.
        problem: what is predicted.
        plan: how.

    Raises:
        SelectionError: features that are not finite, too few samples for the folds, a class that is missing
            in the training samples of a fold, a model that does not fit the problem, nothing to permute.
    """
    features = _checked(features, problem)
    if plan.model == "logistic" and problem.kind == "number":
        raise SelectionError("a logistic probe tells classes apart, and these labels are numbers; use ridge")
    folds = dealing.deal(problem, plan)
    notes: list[str] = []
    probes, result = _fit(features, problem, folds, plan)
    scores = result.estimates(plan)
    control = selectivity = None
    if plan.control:
        other = _control(problem, folds, plan, notes)
        if other is not None:
            controlled = _fit(features, other, folds, plan)[1]
            control = next(iter(controlled.estimates(plan).values()))
            selectivity = result.above(controlled, plan)
    statistic, nulls, p = None, np.empty(0), None
    if plan.permutations:
        exchanged = permutation.exchange(problem, plan.permutations, plan.seed)
        values = permutation.statistics(features, problem, exchanged)
        statistic, nulls = float(values[0]), values[1:]
        p = float(permutation_p(values[:1], values[None, 1:])[0])
        notes.append(
            "p-values are of how a least-squares probe, refitted each time, agrees with the labels beyond "
            f"what their place tells, label maps exchanged between samples {plan.permutations} times; least "
            f"possible is {exchanged.least_p:.2g}"
        )
    code = online_code(features, problem, plan) if plan.mdl else None
    return CellScores(
        *(scores, control, selectivity, statistic, nulls, p, code, probes),
        *(result.per_sample, result, tuple(notes)),
    )


def transfer(
    probes: FoldProbes, features: NDArray[np.floating], problem: Problem, plan: Plan
) -> Mapping[str, Estimate]:
    """The scores of a cell's probes on the features of another cell, by the same held-out samples.

    Args:
        probes: of the cell that they were fitted at, for this problem.
        features: (row, channel) of the other cell.
        problem: the problem of both.
        plan: the plan of both.

    Returns:
        As `CellScores.scores`.

    Raises:
        SelectionError: features that are not finite, or of another number of channels.
    """
    features = _checked(features, problem)
    if features.shape[1] != probes.weights.shape[1]:
        raise SelectionError(
            f"probes of {probes.weights.shape[1]} channels do not carry over to {features.shape[1]}"
        )
    predictions = probes.predict(features, problem.samples)
    if not np.isfinite(predictions).all():
        raise SelectionError("features are NaN or infinite; leave those runs, steps or layers out")
    return scored(problem, predictions, probes.folds).estimates(plan)


def _fit(
    features: NDArray[np.floating], problem: Problem, folds: Folds, plan: Plan
) -> tuple[FoldProbes, Scored]:
    labelled = problem.labelled
    table = Table(
        features[labelled],
        problem.labels[labelled],
        folds.groups[problem.samples[labelled]],
        folds.group_count,
        len(problem.classes),
    )
    probes = fit_folds(table, folds, plan)
    return probes, scored(problem, probes.predict(features, problem.samples), folds.outer)


def _control(problem: Problem, folds: Folds, plan: Plan, notes: list[str]) -> Problem | None:
    other = control_task(problem, plan.seed)
    if other is None:
        notes.append("no control task: rows have no types, or too few of them")
        return None
    try:
        dealing.check(other, folds)
    except SelectionError as error:
        notes.append(f"no control task: of its labels, {error}")
        return None
    return other


def _checked(features: NDArray[np.floating], problem: Problem) -> NDArray[np.floating]:
    if features.ndim != 2 or len(features) != problem.rows or features.shape[1] == 0:
        raise ValueError(f"features are ({problem.rows}, channel), not {features.shape}")
    if features.dtype not in (np.float32, np.float64):
        raise ValueError(f"features are float32 or float64, not {features.dtype}")
    return features
