"""What one run answers step after step: when it commits, how often it corrects itself.

Every step's clean estimate gives an answer or none (None). Some answers come and go within a step, so a run
is asked what it *held*: an answer is held if it is given at `hold` consecutive steps or more. The answer that
the run ends with counts as held however short. A *correction* is a held answer followed by another held
answer; what is given in between and not held, or no answer at all, does not count, nor does coming back to
the same answer. Two steps are the least that an answer has to outlast to be more than a single reading of one
clean estimate, so `HOLD` is 2; with 1 every change of answers counts.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import ArrayLike

HOLD = 2

Labels = Sequence[Hashable | None]


@dataclass(frozen=True)
class Stretch:
    """Consecutive steps that give one answer: from `first` to `last`, both included."""

    answer: Hashable
    first: int
    last: int

    @property
    def length(self) -> int:
        """In steps."""
        return self.last - self.first + 1


@dataclass(frozen=True)
class Correction:
    """A held answer that another held answer replaced: given until step `before`, the other from `after`."""

    held: Hashable
    then: Hashable
    before: int
    after: int


def stretches(labels: Labels) -> list[Stretch]:
    """The answers of a run (step,), in order; steps without an answer are in none of them."""
    found, step = [], 0
    for answer, group in groupby(labels):
        length = len(list(group))
        if answer is not None:
            found.append(Stretch(answer, step, step + length - 1))
        step += length
    return found


def commit_step(labels: Labels) -> int:
    """The first step from which the answer (step,) stays the final one; -1 if the final one is None.

    Raises:
        ValueError: there are no steps.
    """
    if not labels:
        raise ValueError("a run without steps commits to nothing")
    return -1 if labels[-1] is None else stretches(labels)[-1].first


def changes(labels: Labels) -> int:
    """How often an answer follows another one; steps without an answer are passed over."""
    return sum(before.answer != after.answer for before, after in pairwise(stretches(labels)))


def corrections(labels: Labels, hold: int = HOLD) -> list[Correction]:
    """The corrections of a run (step,), as the module says; never more than `changes`.

    Raises:
        ValueError: `hold` is less than 1.
    """
    if hold < 1:
        raise ValueError(f"an answer is held for 1 step or more, not {hold}")
    end = len(labels) - 1
    held = [one for one in stretches(labels) if one.length >= hold or one.last == end]
    return [
        Correction(before.answer, after.answer, before.last, after.first)
        for before, after in pairwise(held)
        if before.answer != after.answer
    ]


def settle_step(values: ArrayLike, tolerance: float) -> int:
    """The first step from which a metric (step,) stays within a tolerance of its final value.

    Raises:
        ValueError: no steps, a value that is not finite, or a negative tolerance.
    """
    curve = np.asarray(values, dtype=np.float64)
    if curve.ndim != 1 or not curve.size or not np.isfinite(curve).all():
        raise ValueError("a metric has to be given at each step, as finite numbers")
    if not tolerance >= 0:
        raise ValueError(f"a tolerance is 0 or more, not {tolerance}")
    # Values and tolerance carry rounding of their own: 0.7 - 0.65 is more than 0.05.
    slack = 1e-9 * max(1.0, float(np.abs(curve).max()))
    away = np.flatnonzero(np.abs(curve - curve[-1]) > tolerance + slack)
    return int(away[-1]) + 1 if away.size else 0
