"""How well held-out rows are predicted, with intervals over samples.

All scores are ratios of sums over samples (the ratio estimator; Cochran, Sampling Techniques, chapter 6): a
bootstrap draw sums over the samples that were drawn and divides then, so that rows count alike whatever
sample they are of. Each score comes from the predictions of all outer folds together:

- `balanced_accuracy`: the mean over classes of the share of its rows that are predicted as it; chance is
  1 / classes. A draw in which a class does not occur takes the mean of the others.
- `accuracy`: the share of rows that are predicted right.
- `roc_auc`: the share of pairs of a positive and a negative row whose scores are in the right order, ties
  counting half; pairs are taken within an outer fold, since scores of two probes do not compare.
- `r2`: 1 - (sum of squared errors) / (sum of squared distances from the mean label of the training samples),
  over all rows. 0 is what knowing that mean gives, and less than 0 is worse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from probes import statistics
from probes.probing.plan import Plan
from probes.probing.problem import Problem
from probes.statistics import Estimate

TIE = 1e-6
"""Scores of classes that differ by no more are equal, and the first class is chosen.

Classes weigh the same, so features that say nothing give equal scores up to rounding, which is not to decide.
"""

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Scored:
    """Sums by sample of held-out predictions, from which scores follow for any weights of samples.

    Attributes:
        problem: whose rows with labels were predicted.
        samples: (counted,) the samples that have labels; only they are drawn.
        statistics: by name; each takes weights (draw, counted) and gives (draw,).
        per_sample: (sample,) the main score of each sample's rows alone; NaN where it has none.
    """

    problem: Problem
    samples: NDArray[np.intp]
    statistics: dict[str, Statistic]
    per_sample: NDArray[np.float64]

    @property
    def main(self) -> Statistic:
        """The first statistic."""
        return next(iter(self.statistics.values()))

    def estimates(self, plan: Plan) -> dict[str, Estimate]:
        """Each score with its interval, all from the same draws."""
        low = -np.inf if self.problem.kind == "number" else 0.0
        columns = list(self.statistics.values())
        return dict(zip(self.statistics, self._drawn(columns, plan, low), strict=True))

    def above(self, control: Scored, plan: Plan) -> Estimate:
        """What the main score is above that of a control task, from the same draws as `estimates`."""
        low = -np.inf if self.problem.kind == "number" else -1.0
        high = np.inf if self.problem.kind == "number" else 1.0

        def difference(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            return self.main(weights) - control.main(weights)

        return self._drawn([difference], plan, low, high)[0]

    def _drawn(self, columns: list[Statistic], plan: Plan, low: float, high: float = 1.0) -> list[Estimate]:
        return statistics.of_weights(
            lambda weights: np.stack([column(weights) for column in columns], axis=1),
            len(self.samples),
            n=int(self.problem.labelled.sum()),
            seed=plan.seed,
            draws=plan.draws,
            level=plan.level,
            bounds=(low, high),
        )


def scored(problem: Problem, predictions: NDArray[np.float64], folds: NDArray[np.int64]) -> Scored:
    """What the predictions of held-out rows are worth.

    Args:
        problem: what was predicted.
        predictions: (row, output), of the problem's rows; those without a label are not looked at.
        folds: (sample,) the outer fold of each sample.
    """
    labelled = problem.labelled
    samples, codes = np.unique(problem.samples[labelled], return_inverse=True)
    labels, predictions = problem.labels[labelled], predictions[labelled]
    if problem.kind == "number":
        found, alone = _of_numbers(labels, predictions[:, 0], codes, folds[samples])
    else:
        found, alone = _of_classes(problem, labels, predictions, codes, folds[samples])
    per_sample = np.full(problem.sample_count, np.nan)
    per_sample[samples] = alone
    return Scored(problem, samples, found, per_sample)


def _of_numbers(
    labels: NDArray[np.float64],
    predictions: NDArray[np.float64],
    codes: NDArray[np.intp],
    folds: NDArray[np.int64],
) -> tuple[dict[str, Statistic], NDArray[np.float64]]:
    rows, sums = np.bincount(codes), np.bincount(codes, labels)
    elsewhere = folds[:, None] != folds[None]
    known = (elsewhere @ sums) / (elsewhere @ rows)
    errors = np.bincount(codes, (labels - predictions) ** 2)
    around = np.bincount(codes, (labels - known[codes]) ** 2)

    def r2(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1 - _ratio(weights @ errors, weights @ around, 1.0)

    return {"r2": r2}, r2(np.eye(len(rows)))


def _of_classes(
    problem: Problem,
    labels: NDArray[np.int64],
    predictions: NDArray[np.float64],
    codes: NDArray[np.intp],
    folds: NDArray[np.int64],
) -> tuple[dict[str, Statistic], NDArray[np.float64]]:
    classes = len(problem.classes)
    chosen = _chosen(predictions)
    keys, size = codes * classes + labels, len(folds) * classes
    rows = np.bincount(keys, minlength=size).reshape(-1, classes).astype(float)
    hits = np.bincount(keys, chosen == labels, minlength=size).reshape(-1, classes)

    def balanced_accuracy(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        drawn = weights @ rows
        return _ratio(weights @ hits, drawn, 0.0).sum(1) / (drawn > 0).sum(1)

    def accuracy(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return (weights @ hits.sum(1)) / (weights @ rows.sum(1))

    found: dict[str, Statistic] = {"balanced_accuracy": balanced_accuracy, "accuracy": accuracy}
    if classes == 2:
        found["roc_auc"] = _roc_auc(labels, predictions[:, 0], codes, folds, rows)
    return found, balanced_accuracy(np.eye(len(folds)))


def _chosen(predictions: NDArray[np.float64]) -> NDArray[np.int64]:
    """(row,) the class of the greatest score."""
    if predictions.shape[1] == 1:
        return (predictions[:, 0] > TIE).astype(np.int64)
    return (predictions >= predictions.max(1, keepdims=True) - TIE).argmax(1)


def _roc_auc(
    labels: NDArray[np.int64],
    predictions: NDArray[np.float64],
    codes: NDArray[np.intp],
    folds: NDArray[np.int64],
    rows: NDArray[np.float64],
) -> Statistic:
    def of_each(label: int) -> list[NDArray[np.float64]]:
        order = np.lexsort((predictions, codes))
        kept = order[labels[order] == label]
        edges = np.searchsorted(codes[kept], np.arange(len(folds) + 1))
        return [predictions[kept[start:stop]] for start, stop in pairwise(edges)]

    negative, positive = of_each(0), of_each(1)
    together = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    wins = [
        np.array([[_wins(positive[one], negative[other]) for other in samples] for one in samples])
        for samples in together
    ]

    def roc_auc(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        won, pairs = np.zeros(len(weights)), np.zeros(len(weights))
        for samples, won_by in zip(together, wins, strict=True):
            drawn = weights[:, samples]
            won += np.einsum("dg,dg->d", drawn @ won_by, drawn)
            pairs += (drawn @ rows[samples, 1]) * (drawn @ rows[samples, 0])
        # Without a pair to put in order there is nothing to say: chance.
        return _ratio(won, pairs, 0.5)

    return roc_auc


def _wins(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """Pairs in the right order, ties counting half; `negative` is sorted."""
    below = np.searchsorted(negative, positive, side="left").sum()
    return 0.5 * float(below + np.searchsorted(negative, positive, side="right").sum())


def _ratio(over: NDArray[np.float64], under: NDArray[np.float64], otherwise: float) -> NDArray[np.float64]:
    some = under > 0
    return np.where(some, over / np.where(some, under, 1.0), otherwise)
