"""The probes of outer folds, each of the strength that its inner folds choose."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from probes.probing import logistic, ridge
from probes.probing.fits import Ask, Fits
from probes.probing.folds import Folds
from probes.probing.plan import Plan
from probes.probing.table import Table


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

    def predict(self, features: NDArray[np.floating], samples: NDArray[np.int64]) -> NDArray[np.float64]:
        """What each row's own fold, which never saw its sample, says of it.

        Args:
            features: (row, channel).
            samples: (row,) the sample of each.

        Returns:
            (row, output) predicted numbers, or scores of classes: of two, the second is chosen above 0; of
            more, the greatest.
        """
        result = np.empty((len(features), self.bias.shape[1]))
        folds = self.folds[samples]
        for fold in range(len(self.bias)):
            rows = np.flatnonzero(folds == fold)
            # In float64: channels with a great mean cancel against the bias.
            result[rows] = (
                features[rows].astype(np.float64, copy=False) @ self.weights[fold] + self.bias[fold]
            )
        return result


def fit_folds(table: Table, folds: Folds, plan: Plan) -> FoldProbes:
    """Nested cross-validation: strengths from the inner folds of each training set, then a fit to all of it.

    The strength is chosen that has the least loss over the rows that the inner folds hold out: the same loss
    that is minimised (classes weigh the same), which tells strengths apart that classify alike; the stronger
    of equals.

    Args:
        table: of the cell; its groups are those of the folds.
        folds: of samples.
        plan: how.

    Raises:
        SelectionError: a probe does not converge.
    """
    module = solver(plan)
    chosen = np.zeros(folds.outer_count, dtype=np.int64)
    if len(plan.strengths) > 1:
        sets = folds.inner_sets.reshape(-1, folds.group_count)
        ask = Ask(sets, _all_pairs(len(sets), len(plan.strengths)), plan.strengths, plan.components, True)
        held_out = folds.inner_held_out.reshape(-1, folds.group_count)[ask.pairs[:, 0]]
        losses = module.held_out_losses(table, ask, module.fit(table, ask), held_out)
        summed = losses.reshape(folds.outer_count, folds.inner_count, -1).sum(1)
        chosen = len(plan.strengths) - 1 - summed[:, ::-1].argmin(1)
    pairs = np.stack([np.arange(folds.outer_count), chosen], axis=1)
    ask = Ask(folds.outer_sets, pairs, plan.strengths, plan.components, True)
    fits: Fits = module.fit(table, ask)
    weights, bias = table.to_raw(fits.weights, fits.bias)
    return FoldProbes(weights, bias, np.asarray(plan.strengths)[chosen], folds.outer)


def solver(plan: Plan) -> ModuleType:
    """The module with `fit` and `held_out_losses` of the plan's model."""
    return {"logistic": logistic, "ridge": ridge}[plan.model]


def _all_pairs(sets: int, strengths: int) -> NDArray[np.int64]:
    return np.stack(np.meshgrid(np.arange(sets), np.arange(strengths), indexing="ij"), axis=-1).reshape(-1, 2)
