"""One cell of a grid: a probe's scores with all that they have to be held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.probing.plan import Plan
from probes.probing.problem import Problem
from probes.statistics import Estimate

__all__ = ["CellScores", "Code", "FoldProbes", "Plan", "evaluate", "transfer"]


@dataclass(frozen=True)
class FoldProbes:
    """The probe of each outer fold, in the space of raw features.

    Attributes:
        weights: (fold, channel, output) float64; one output for numbers and two classes, else one a class.
        bias: (fold, output) float64.
        strengths: (fold,) float64, chosen in the inner folds.
        folds: (sample,) int64: the outer fold that holds the sample out; a sample is predicted by its fold's
            probe and by no other.
    """

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    strengths: NDArray[np.float64]
    folds: NDArray[np.int64]


@dataclass(frozen=True)
class Code:
    """Minimum description length by the online code, in bits (Voita and Titov 2020, section 2.2.2).

    Attributes:
        length: of all labels by the online code.
        uniform: of all labels by the uniform code.
        compression: uniform / length; 1 where nothing was learnt.
        rows: labels that were coded.
    """

    length: float
    uniform: float
    compression: float
    rows: int


@dataclass(frozen=True)
class CellScores:
    """What one cell shows.

    Attributes:
        scores: by name, out of fold, with an interval over samples. The first is the one that `control`,
            `selectivity` and `per_sample` are of. For classes `balanced_accuracy`, `accuracy` and, for two,
            `roc_auc`; for numbers `r2`.
        control: the score of the control task; None where there are no types or the plan asks for none.
        selectivity: score - control, from the same draws of samples; None as `control`.
        statistic: what the permutation test observed; None without permutations.
        nulls: (permutation,) the same of permuted label maps, the same permutations at every cell; (0,)
            without.
        p: (1 + nulls at least as great) / (1 + permutations), of this cell alone; None without permutations.
        code: None if the plan asks for none.
        probes: of the outer folds.
        per_sample: (sample,) the main score of each sample's held-out rows; NaN where it has no labels.
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
    notes: tuple[str, ...]


def evaluate(features: NDArray[np.floating], problem: Problem, plan: Plan) -> CellScores:
    """Fits, scores and tests the probe of one (step, layer).

    Args:
        features: (row, channel) float32 or float64, rows as those of the problem.
        problem: what is predicted.
        plan: how.

    Raises:
        SelectionError: features that are not finite, too few samples for the folds, a class that is missing
            in the training samples of a fold, a model that does not fit the problem, nothing to permute.
    """
    raise NotImplementedError


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
    """
    raise NotImplementedError
