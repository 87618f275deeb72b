"""What scores tell of convergence: agreement, commitment, corrections and settling, with intervals.

By reading of an answer (all of it, or a coarser part), and by group of samples. What is about pairs of seeds
is a number a sample (samples with one seed have none), what is about runs a number a run; both have their
interval over samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes import statistics
from probes.convergence.answers import Answers, answers
from probes.convergence.sequences import changes, corrections, settle_step
from probes.estimated import NOTHING, arrays
from probes.groups import Group
from probes.scores import Metric, Reading, ScoreTable
from probes.statistics import Estimate

CORRECTIONS: dict[str, tuple[bool, bool]] = {
    "wrong_to_right": (False, True),
    "right_to_wrong": (True, False),
    "wrong_to_wrong": (False, False),
    "right_to_right": (True, True),
}
"""Kinds of corrections: was the held answer right, is the one that follows."""


def answer_arrays(
    table: ScoreTable, groups: Sequence[Group], *, hold: int, tolerance: float, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The variables and coordinates of a result about the answers of these runs; see docs/convergence.md."""
    read = [_ReadRuns(table, reading, hold) for reading in table.readings]
    axes = ("group", "reading")
    variables: dict[str, Any] = {}
    for name, label in _BY_RUN.items():
        made = [[one.by_run(name, group, seed) for one in read] for group in groups]
        variables |= arrays(name, axes, made, label)
    for name, label in _BY_STEP.items():
        made = [[one.by_step(name, group, seed) for one in read] for group in groups]
        variables |= arrays(name, (*axes, "step"), made, label)
    most = max(one.most_votes for one in read)
    shared = [[one.right_by_votes(votes, seed) for votes in range(most + 1)] for one in read]
    variables |= arrays(
        "right_by_votes",
        ("reading", "votes", "step"),
        shared,
        "share of runs that end right, among those whose answer so many other seeds give",
    )
    settled = [
        [_settled(table, metric, tolerance, group, seed) for metric in table.metrics] for group in groups
    ]
    variables |= arrays(
        "settle",
        ("group", "metric"),
        settled,
        f"step from which a metric stays within {tolerance:g} of its range from its final value",
    )
    variables |= {
        "answer": (("reading", "run", "step"), np.array([one.texts for one in read], dtype=np.str_)),
        "is_right": (
            ("reading", "run", "step"),
            np.stack([one.right for one in read]),
            {"long_name": "1 right, 0 wrong or no answer, NaN not known"},
        ),
        "commit_step": (("reading", "run"), np.stack([one.committed for one in read])),
        "correction_count": (("reading", "run"), np.stack([one.total for one in read])),
    }
    coords = {
        "reading": [reading.name for reading in table.readings],
        "reading_label": ("reading", [reading.label for reading in table.readings]),
        "metric": [metric.name for metric in table.metrics],
        "votes": list(range(most + 1)),
        "run_sample": ("run", np.array([run.sample for run in table.runs], dtype=np.str_)),
        "run_seed": ("run", np.array([run.seed for run in table.runs], dtype=np.int64)),
    }
    return variables, coords


_BY_RUN = {
    "commit": "first step from which a run's answer is its final one; of runs that end with one",
    "first_answer": "first step that gives an answer; of runs that ever do",
    "ends_right": "share of runs that end with the right answer",
    "becomes_right": "share of runs that are not right at the first step and end right",
    "loses_right": "share of runs that are right at some step and do not end right",
    "changes": "changes of answers in a run",
    "corrections": "corrections in a run: a held answer followed by another held one",
    "corrected": "share of runs with a correction",
    "wrong_to_right": "corrections in a run from a wrong answer to the right one",
    "right_to_wrong": "corrections in a run from the right answer to a wrong one",
    "wrong_to_wrong": "corrections in a run from a wrong answer to another wrong one",
    "right_to_right": "corrections in a run from a right answer to another right one",
}
_BY_STEP = {
    "distinct": "distinct answers of a sample's seeds",
    "agreement": "share of the pairs of a sample's seeds that give the same answer",
    "agreement_answered": "the same, of the pairs that both give an answer",
    "agreement_right": "share of all pairs that give the same answer, and the right one",
    "agreement_chance": "that, were seeds right independently of one another",
    "answered": "share of runs that give an answer",
    "right": "share of runs that give the right answer",
    "committed": "share of runs that hold their final answer from here on",
}
_OF_PAIRS = ("distinct", "agreement", "agreement_right", "agreement_chance")
_OF_RIGHT = ("ends_right", "becomes_right", "loses_right", "right", "agreement_right", "agreement_chance")
_NEEDS_TRUTH = (*_OF_RIGHT, *CORRECTIONS)


@dataclass(frozen=True)
class _Rows:
    """Values (run or sample, ...) with the sample of each, and what they may be."""

    values: NDArray[np.float64]
    samples: list[str]
    bounds: tuple[float, float] = (0.0, 1.0)


class _ReadRuns:
    """The runs of a table in one reading of their answers."""

    def __init__(self, table: ScoreTable, reading: Reading, hold: int) -> None:
        self._last = table.num_steps - 1
        self._names = [run.sample for run in table.runs]
        labels = [list(run.answers[reading.name]) for run in table.runs]
        self.texts = [[label or "" for label in row] for row in labels]
        self._is_known = reading.right is not None
        shape = len(labels), table.num_steps
        self.right = np.full(shape, math.nan) if reading.right is None else table.metric(reading.right)
        given = np.array([[label is not None for label in row] for row in labels])
        self._given = given.astype(np.float64)
        self._first = np.where(given.any(axis=1), given.argmax(axis=1), -1)
        self._changes = np.array([changes(row) for row in labels], dtype=np.float64)
        found = [corrections(row, hold) for row in labels]
        self.total = np.array([len(one) for one in found], dtype=np.int64)
        self._kinds = {
            kind: np.array(
                [
                    sum((bool(right[one.before]), bool(right[one.after])) == ends for one in of_run)
                    for of_run, right in zip(found, self.right, strict=True)
                ],
                dtype=np.float64,
            )
            for kind, ends in CORRECTIONS.items()
        }
        self._seeds: dict[str, tuple[list[int], Answers]] = {}
        for sample in dict.fromkeys(self._names):
            rows = [row for row, name in enumerate(self._names) if name == sample]
            self._seeds[sample] = rows, answers([labels[row] for row in rows])
        self.committed = np.empty(len(labels), dtype=np.int64)
        self._votes = np.empty(shape, dtype=np.int64)
        for rows, seeds in self._seeds.values():
            self.committed[rows], self._votes[rows] = seeds.committed, seeds.votes

    @property
    def most_votes(self) -> int:
        """How many other seeds a sample has at most."""
        return max(len(rows) for rows, _ in self._seeds.values()) - 1

    def by_run(self, name: str, group: Group, seed: int) -> Estimate:
        """One of `_BY_RUN` over the runs of a group."""
        if name in _NEEDS_TRUTH and not self._is_known:
            return NOTHING
        end = float(self._last)
        is_right = self.right == 1
        ends_right = is_right[:, -1]
        values, bounds = {
            "commit": (np.where(self.committed < 0, math.nan, self.committed), (0.0, end)),
            "first_answer": (np.where(self._first < 0, math.nan, self._first), (0.0, end)),
            "ends_right": (ends_right.astype(np.float64), (0.0, 1.0)),
            "becomes_right": ((~is_right[:, 0] & ends_right).astype(np.float64), (0.0, 1.0)),
            "loses_right": ((is_right.any(axis=1) & ~ends_right).astype(np.float64), (0.0, 1.0)),
            "changes": (self._changes, (0.0, end)),
            "corrections": (self.total.astype(np.float64), (0.0, end)),
            "corrected": ((self.total > 0).astype(np.float64), (0.0, 1.0)),
            **{kind: (count, (0.0, end)) for kind, count in self._kinds.items()},
        }[name]
        return _estimate(_Rows(values[:, None], self._names, bounds), group, seed)[0]

    def by_step(self, name: str, group: Group, seed: int) -> list[Estimate]:
        """One of `_BY_STEP` over the runs, or the samples with two seeds, of a group."""
        if name in _NEEDS_TRUTH and not self._is_known:
            return [NOTHING] * (self._last + 1)
        if name == "agreement_chance":
            return self._chance(group, seed)
        if name == "agreement_answered":
            return self._of_answers(group, seed)
        return _estimate(self._pairs(name) if name in _OF_PAIRS else self._runs(name), group, seed)

    def right_by_votes(self, votes: int, seed: int) -> list[Estimate]:
        """By step, the share of runs that end right among those whose answer `votes` other seeds give."""
        found = []
        for step in range(self._last + 1):
            rows = np.flatnonzero(self._votes[:, step] == votes)
            if not self._is_known or not rows.size:
                found.append(NOTHING)
                continue
            names = [self._names[row] for row in rows]
            found.append(statistics.proportion(self.right[rows, -1], names, seed=seed))
        return found

    def _runs(self, name: str) -> _Rows:
        steps = np.arange(self._last + 1)
        is_committed = (self.committed[:, None] >= 0) & (steps >= self.committed[:, None])
        values = {"answered": self._given, "right": self.right, "committed": is_committed.astype(np.float64)}
        return _Rows(values[name], self._names)

    def _pairs(self, name: str) -> _Rows:
        curves = {}
        for sample, (rows, seeds) in self._seeds.items():
            if len(rows) > 1:
                curves[sample] = {
                    "distinct": seeds.distinct.astype(np.float64),
                    "agreement": seeds.agreement,
                    "agreement_right": seeds.agreement_where(self.right[rows] == 1),
                }[name]
        values = np.array(list(curves.values())).reshape(-1, self._last + 1)
        most = float(self.most_votes + 1) if name == "distinct" else 1.0
        return _Rows(values, list(curves), (0.0, most))

    def _of_answers(self, group: Group, seed: int) -> list[Estimate]:
        """How many of the pairs that both answer give the same: a pair is what n counts."""
        texts = np.array(self.texts)
        pairs = [
            (sample, one, other)
            for sample, (rows, _) in self._seeds.items()
            if sample in group.samples
            for one, other in combinations(rows, 2)
        ]
        found = []
        for step in range(self._last + 1):
            both = [pair for pair in pairs if texts[pair[1], step] and texts[pair[2], step]]
            if not both:
                found.append(NOTHING)
                continue
            same = [float(texts[one, step] == texts[other, step]) for _, one, other in both]
            names = [sample for sample, _, _ in both]
            found.append(statistics.proportion(same, names, seed=seed))
        return found

    def _chance(self, group: Group, seed: int) -> list[Estimate]:
        """The square of the share that is right, of the samples that agreement is of; so are its ends."""
        several = frozenset(sample for sample, (rows, _) in self._seeds.items() if len(rows) > 1)
        marginal = _estimate(self._runs("right"), Group(group.name, group.samples & several), seed)
        return [_squared(one) for one in marginal]


def _squared(one: Estimate) -> Estimate:
    return replace(one, value=one.value**2, low=one.low**2, high=one.high**2)


def _estimate(rows: _Rows, group: Group, seed: int) -> list[Estimate]:
    """The mean of each column over the rows of a group that have values."""
    is_in = np.array([name in group.samples for name in rows.samples], dtype=bool)
    complete = np.isfinite(rows.values).all(axis=1)
    kept = np.flatnonzero(is_in & complete)
    if not kept.size:
        return [NOTHING] * rows.values.shape[1]
    names = [rows.samples[row] for row in kept]
    return statistics.means(rows.values[kept], names, seed=seed, bounds=rows.bounds)


def _settled(table: ScoreTable, metric: Metric, tolerance: float, group: Group, seed: int) -> Estimate:
    curves = table.metric(metric.name)
    spread = metric.bounds[1] - metric.bounds[0]
    if not math.isfinite(spread):
        # Over all runs, so that the tolerance is one and the same for each of them and each group.
        spread = float(np.nanmax(curves) - np.nanmin(curves))
    steps = np.array([settle_step(curve, tolerance * spread) for curve in curves], dtype=np.float64)
    names = [run.sample for run in table.runs]
    return _estimate(_Rows(steps[:, None], names, (0.0, float(table.num_steps - 1))), group, seed)[0]
