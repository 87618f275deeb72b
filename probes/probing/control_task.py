"""The control task: what a probe scores on labels that say nothing, but are as easy to remember.

A probe that scores well may have read the label, or learnt it by heart from whatever tells rows apart. Labels
are drawn at random for each *type* of row (a word in the original, a place of the token grid here), so that
they can only be learnt by heart. Selectivity is the score less that of the control task.

Source: Hewitt and Liang, EMNLP 2019, arXiv 1909.03368, section 2.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from probes.probing.problem import Problem

_CONTROL = 2
"""Tells this use of the seed from the others."""


def control_task(problem: Problem, seed: int) -> Problem | None:
    """The same problem with labels drawn for each type, with the marginal of the true labels.

    Types get the quantiles of the true labels in a random order, which has their marginal up to rounding, and
    each class at least once. Where the true label is missing, the drawn one is too.

    Returns:
        None where the problem has no types, or too few to give each class one.
    """
    if problem.types is None:
        return None
    labelled = problem.labelled
    types, codes = np.unique(problem.types, return_inverse=True)
    present = np.unique(codes[labelled])
    if len(present) < max(2, len(problem.classes)):
        return None
    rng = np.random.default_rng([seed, _CONTROL])
    drawn = _quantiles(problem.labels[labelled], len(present))
    for code in range(len(problem.classes)):
        if not (drawn == code).any():
            drawn[np.argmax(drawn == np.bincount(drawn).argmax())] = code
    if problem.kind == "number" and np.ptp(drawn) == 0:
        return None
    of_type = np.zeros(len(types), dtype=drawn.dtype)
    of_type[present] = rng.permutation(drawn)
    return dataclasses.replace(problem, labels=np.where(labelled, of_type[codes], problem.labels))


def _quantiles(labels: NDArray, count: int) -> NDArray:
    """(count,) the labels at (i + 1/2) / count of their sorted row."""
    places = ((np.arange(count) + 0.5) / count * len(labels)).astype(np.int64)
    return np.sort(labels)[places]
