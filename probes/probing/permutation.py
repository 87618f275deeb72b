"""Is there anything to read at all: a permutation test whose unit is the sample.

Under the null hypothesis a sample's activations have nothing to do with its labels: the label map of any
sample could as well be that of any other. So whole label maps are exchanged between samples, missing labels
with them, and never labels between rows of a sample: those follow each other (a path is a line of cells, and
the seeds of a sample share it), and exchanging them would find significance in that alone.

The probe is refitted for each permutation. Any statistic makes the test valid, and the one used here is in
closed form, so that a thousand refits cost about as much as one. It is the correlation of labels with what a
least-squares probe predicts of them from the other folds' samples:

    for each fold f:   B_f = (S_f + strength * n_f)^-1 * sum of z_i y_i' over rows i of the other folds'
    samples T = sum_f sum_i (B_f' z_i) . y_i  /  sqrt(sum_f sum_i |B_f' z_i|^2  *  sum_i |y_i|^2),   i over
    the rows of fold f

where z are features, standardised by all rows, S_f their second moments over the n_f rows of the other folds'
samples, and y the labels (classes as indicators) less the mean label of their slot, 0 where missing. So what
the place alone tells of a label, which any features that know the place can tell too, is out of it from the
start. Only what is fitted to labels changes with a permutation: S_f does not, since features and missing
labels' rows take part in it whatever the labels are. The folds are dealt without looking at labels. So T is
not the score of the logistic or ridge probe that is reported beside it, and its p-value says that the labels
can be read linearly, not how well.

Sources: Good, Permutation, Parametric and Bootstrap Tests of Hypotheses (2005), sections 3.2 and 6.3; Phipson
and Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39, for counting the observation among the permutations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from probes.probing.problem import Problem
from stores.errors import SelectionError

STRENGTH = 0.1
"""The penalty of the probe that is tested, per row, on standardised features."""

FOLDS = 5
"""Folds of the test, fewer where there are fewer samples."""

_PERMUTATIONS = 3
"""Tells this use of the seed from the others."""


@dataclass(frozen=True)
class Exchange:
    """How label maps are exchanged, the same at all cells.

    Attributes:
        donors: (permutation, sample) whose label map each sample gets; the first is the observed one: its
            own.
        folds: (sample,) the fold of each sample, whatever the labels are.
        arrangements: how many different exchanges there are, at most 1e18.
    """

    donors: NDArray[np.int64]
    folds: NDArray[np.int64]
    arrangements: int

    @property
    def least_p(self) -> float:
        """The least p-value that can come out."""
        return max(1 / len(self.donors), 1 / self.arrangements)


def exchange(problem: Problem, permutations: int, seed: int) -> Exchange:
    """Draws permutations of samples, each among those with the same slots.

    Raises:
        SelectionError: no sample has the slots of another, so that nothing can be exchanged.
    """
    kinds = _same_slots(problem)
    members = [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]
    members = [one for one in members if len(one) > 1]
    if not members:
        raise SelectionError(
            f"no two of {problem.sample_count} samples have the same rows, so nothing can be permuted; "
            "choose as many seeds of every sample, or ask for no permutations"
        )
    rng = np.random.default_rng([seed, _PERMUTATIONS])
    donors = np.tile(np.arange(problem.sample_count), (permutations + 1, 1))
    for draw in donors[1:]:
        for one in members:
            draw[one] = rng.permutation(one)
    count = min(FOLDS, problem.sample_count)
    folds = np.empty(problem.sample_count, dtype=np.int64)
    folds[rng.permutation(problem.sample_count)] = np.arange(problem.sample_count) % count
    arrangements = math.prod(math.factorial(len(one)) for one in members)
    return Exchange(donors, folds, min(arrangements, 10**18))


def statistics(features: NDArray[np.floating], problem: Problem, exchanged: Exchange) -> NDArray[np.float64]:
    """(1 + permutation,) the statistic T, the first of what was observed.

    Args:
        features: (row, channel) of all rows, those without a label included.
        problem: what is predicted.
        exchanged: the permutations.

    Raises:
        SelectionError: a feature is NaN or infinite.
    """
    slots, targets = _label_maps(problem)
    folds, donors = exchanged.folds, exchanged.donors
    features, mean, scale = _standard(features)
    count, channels, outputs = int(folds.max()) + 1, features.shape[1], targets.shape[2]
    moments = np.zeros((count, channels, channels))
    products = np.zeros((count, len(donors), channels * outputs))
    order = np.argsort(problem.samples, kind="stable")
    edges = np.searchsorted(problem.samples[order], np.arange(problem.sample_count + 1))
    for sample, fold in enumerate(folds):
        rows = order[edges[sample] : edges[sample + 1]]
        standard = (features[rows].astype(np.float64) - mean) / scale
        moments[fold] += standard.T @ standard
        used, index = np.unique(donors[:, sample], return_inverse=True)
        maps = targets[used][:, slots[rows]].transpose(1, 0, 2).reshape(len(rows), -1)
        of_donor = (standard.T @ maps).reshape(channels, len(used), outputs)
        products[fold] += of_donor.transpose(1, 0, 2).reshape(len(used), -1)[index]
    products = products.reshape(count, len(donors), channels, outputs)
    rows_of = np.bincount(folds[problem.samples], minlength=count)
    agreement, size = np.zeros(len(donors)), np.zeros(len(donors))
    whole, all_products = moments.sum(0), products.sum(0)
    for fold in range(count):
        system = whole - moments[fold]
        system[np.diag_indices(channels)] += STRENGTH * (len(features) - rows_of[fold])
        learnt = (all_products - products[fold]).transpose(1, 0, 2).reshape(channels, -1)
        probes = np.linalg.solve(system, learnt)
        predicted = moments[fold] @ probes
        held_out = products[fold].transpose(1, 0, 2).reshape(channels, -1)
        agreement += (probes * held_out).sum(0).reshape(-1, outputs).sum(1)
        size += (probes * predicted).sum(0).reshape(-1, outputs).sum(1)
    return agreement / np.sqrt(np.maximum(size * (targets**2).sum(), 1e-300))


def _standard(
    features: NDArray[np.floating],
) -> tuple[NDArray[np.floating], NDArray[np.float64], NDArray[np.float64]]:
    """Features, and the mean and scale that make them z; where there are few rows, z in fewer channels."""
    mean = features.mean(0, dtype=np.float64)
    if not np.isfinite(mean).all() or not np.isfinite(features).all():
        raise SelectionError("features are NaN or infinite; leave those runs, steps or layers out")
    scale = np.sqrt(
        np.maximum(np.einsum("rc,rc->c", features, features, dtype=np.float64) / len(features) - mean**2, 0)
    )
    scale = np.where(scale > 1e-6 * np.abs(mean), scale, np.inf)
    if len(features) >= features.shape[1]:
        return features, mean, scale
    # The probe is penalised alike in all directions, so turning the features changes nothing but the cost.
    left, values, _ = np.linalg.svd((features - mean) / scale, full_matrices=False)
    return left * values, np.zeros(len(values)), np.ones(len(values))


def _same_slots(problem: Problem) -> NDArray[np.int64]:
    """(sample,) which samples have the same set of slots."""
    known: dict[bytes, int] = {}
    order = np.lexsort((problem.slots, problem.samples))
    edges = np.searchsorted(problem.samples[order], np.arange(problem.sample_count + 1))
    return np.array(
        [
            known.setdefault(problem.slots[order[start:stop]].tobytes(), len(known))
            for start, stop in pairwise(edges)
        ]
    )


def _label_maps(problem: Problem) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(row,) the place of each row's slot, and (sample, place, output) labels less their slot's mean.

    Missing labels are 0. The mean of a slot is the same whichever sample has which label map.
    """
    names, places = np.unique(problem.slots, return_inverse=True)
    labelled = problem.labelled
    labels, where = problem.labels[labelled], places[labelled]
    coded = (
        np.eye(len(problem.classes))[labels] if problem.kind == "classes" else labels[:, None].astype(float)
    )
    sums = np.stack([np.bincount(where, column, len(names)) for column in coded.T], axis=1)
    means = sums / np.maximum(np.bincount(where, minlength=len(names)), 1)[:, None]
    maps = np.zeros((problem.sample_count, len(names), problem.outputs))
    maps[problem.samples[labelled], where] = coded - means[where]
    return places, maps
