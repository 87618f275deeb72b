"""Which samples a probe is fitted on and which it is judged by: never tokens of one sample on both sides."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.probing.plan import Plan
from probes.probing.problem import Problem
from stores.errors import SelectionError
from stores.units import count_text


@dataclass(frozen=True)
class Folds:
    """Nested folds of samples.

    There is one division into inner folds, which every outer training set is cut by. So outer * inner groups
    of samples are all that training sets are made of, and sums over groups give those of any training set.

    Attributes:
        outer: (sample,) int64 in 0..outer_count-1.
        inner: (sample,) int64 in 0..inner_count-1.
        outer_count, inner_count: how many there are.
    """

    outer: NDArray[np.int64]
    inner: NDArray[np.int64]
    outer_count: int
    inner_count: int

    @property
    def groups(self) -> NDArray[np.int64]:
        """(sample,) the group of samples that are in the same outer and the same inner fold."""
        return self.outer * self.inner_count + self.inner

    @property
    def group_count(self) -> int:
        """Groups, empty ones included."""
        return self.outer_count * self.inner_count

    @property
    def outer_sets(self) -> NDArray[np.bool_]:
        """(outer, group) whether a group is in the training set of an outer fold."""
        of_group = np.arange(self.group_count) // self.inner_count
        return of_group[None] != np.arange(self.outer_count)[:, None]

    @property
    def inner_sets(self) -> NDArray[np.bool_]:
        """(outer, inner, group) whether a group is in the training set of an inner fold."""
        of_group = np.arange(self.group_count) % self.inner_count
        kept = of_group[None] != np.arange(self.inner_count)[:, None]
        return self.outer_sets[:, None] & kept[None]

    @property
    def inner_held_out(self) -> NDArray[np.bool_]:
        """(outer, inner, group) whether a group is what an inner fold holds out."""
        return self.outer_sets[:, None] & ~self.inner_sets


def deal(problem: Problem, plan: Plan) -> Folds:
    """Deals samples into folds, in an order shuffled by the plan's seed.

    Samples with the same most common class follow one another in that order, so that classes of runs are
    spread evenly over the folds, outer and inner. Where a class has hardly as many samples as there are folds
    and is missing in a training set all the same, other orders are tried, classes mixed. Samples without
    labels are dealt too: they have no part in fitting and scoring.

    Raises:
        SelectionError: too few samples with labels for the folds, or a class that is missing in a training
            set, in whatever order.
    """
    known = np.bincount(problem.samples[problem.labelled], minlength=problem.sample_count) > 0
    rng = np.random.default_rng([plan.seed, _FOLDS])
    shuffled = rng.permutation(problem.sample_count)
    strata = _strata(problem)
    folds = _dealt(shuffled[np.lexsort((strata[shuffled], ~known[shuffled]))], plan)
    try:
        check(problem, folds)
    except SelectionError:
        for _ in range(_ORDERS if problem.classes else 0):
            shuffled = rng.permutation(problem.sample_count)
            folds = _dealt(shuffled[np.argsort(~known[shuffled], kind="stable")], plan)
            with suppress(SelectionError):
                check(problem, folds)
                return folds
        raise
    return folds


_FOLDS = 1
"""Tells this use of the seed from the others."""

_ORDERS = 200
"""Orders that are tried where the even one leaves a training set without a class."""


def _dealt(order: NDArray[np.int64], plan: Plan) -> Folds:
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    # Every combination of the two folds once a cycle; the shift brings those that share a divisor apart.
    cycle = math.lcm(plan.outer, plan.inner)
    return Folds(position % plan.outer, (position + position // cycle) % plan.inner, plan.outer, plan.inner)


def _strata(problem: Problem) -> NDArray[np.int64]:
    """(sample,) the most common class; 0 for numbers and where no label is known."""
    if problem.kind == "number":
        return np.zeros(problem.sample_count, dtype=np.int64)
    counts = np.zeros((problem.sample_count, len(problem.classes)), dtype=np.int64)
    labelled = problem.labelled
    np.add.at(counts, (problem.samples[labelled], problem.labels[labelled]), 1)
    return counts.argmax(1)


def check(problem: Problem, folds: Folds) -> None:
    """Whether a problem can be fitted in these folds.

    Raises:
        SelectionError: too few samples with labels, or a class that is missing in a training set.
    """
    samples = len(np.unique(problem.samples[problem.labelled]))
    asked = f"{folds.outer_count} folds with {folds.inner_count} inner ones"
    labelled = problem.labelled
    groups = folds.groups[problem.samples[labelled]]
    rows = np.bincount(groups, minlength=folds.group_count)
    held_out = folds.inner_held_out @ rows
    if samples < folds.outer_count or (held_out == 0).any():
        raise SelectionError(
            f"{count_text(samples, 'sample')} with labels, too few for {asked}; choose more samples or fewer "
            "folds"
        )
    sets = np.concatenate([folds.outer_sets, folds.inner_sets.reshape(-1, folds.group_count)])
    for code, name in enumerate(problem.classes):
        of_class = problem.labels[labelled] == code
        if ((sets @ np.bincount(groups[of_class], minlength=folds.group_count)) == 0).any():
            have = len(np.unique(problem.samples[labelled][of_class]))
            raise SelectionError(
                f'the class "{name}" is missing in a training set: {have} of {count_text(samples, "sample")} '
                f"with labels have it, too few for {asked}; choose more samples or fewer folds"
            )
