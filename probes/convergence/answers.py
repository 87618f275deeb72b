"""What the seeds of one sample answer, step by step, beside one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.convergence.sequences import Labels, commit_step


@dataclass(frozen=True)
class Answers:
    """What the seeds of one sample answer, by step.

    distinct    (step,) how many different answers are held; no answer (None) is not one
    agreement   (step,) share of the pairs of seeds that give the same answer; a pair with a seed that gives
                none does not agree. NaN for one seed
    answered    (step,) share of seeds that give an answer
    committed   (seed,) the first step from which a run's answer stays its final one; -1 if it ends without
    votes       (seed, step) how many other seeds give the same answer; -1 where a run gives none
    """

    distinct: NDArray[np.int64]
    agreement: NDArray[np.float64]
    answered: NDArray[np.float64]
    committed: NDArray[np.int64]
    votes: NDArray[np.int64]

    def agreement_where(self, chosen: ArrayLike) -> NDArray[np.float64]:
        """(step,) share of all pairs of seeds that give the same answer and are both chosen (seed, step).

        Whether a run is chosen must be a matter of its answer, such as whether that is right.
        """
        seeds = len(self.votes)
        if seeds < 2:
            return np.full(len(self.distinct), np.nan)
        counted = np.where(np.asarray(chosen, dtype=bool), np.maximum(self.votes, 0), 0)
        return counted.sum(axis=0) / (seeds * (seeds - 1))


def answers(labels: Sequence[Labels]) -> Answers:
    """Agreement of per-step answers: `labels` (seed, step), None where a clean estimate answers nothing.

    Raises:
        ValueError: no seed, no step, or seeds of different length.
    """
    lengths = {len(row) for row in labels}
    if not labels or lengths == {0} or len(lengths) > 1:
        raise ValueError("labels must be (seed, step): at least one seed, all with the same number of steps")
    by_step = list(zip(*labels, strict=True))
    count = len(labels)
    sizes = [[-1 if answer is None else held.count(answer) - 1 for answer in held] for held in by_step]
    votes = np.array(sizes, dtype=np.int64).T
    pairs = count * (count - 1)
    agreement = np.maximum(votes, 0).sum(axis=0) / pairs if pairs else np.full(len(by_step), np.nan)
    return Answers(
        distinct=np.array([len(set(held) - {None}) for held in by_step], dtype=np.int64),
        agreement=agreement,
        answered=(votes >= 0).mean(axis=0),
        committed=np.array([commit_step(row) for row in labels], dtype=np.int64),
        votes=votes,
    )
