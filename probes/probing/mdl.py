"""Minimum description length: how briefly the labels can be told to someone who has the features.

The online (prequential) code: samples are sent in blocks, each coded by the probe that was fitted to all
blocks before it, so that a probe that needs many samples to learn pays for the many that it coded badly. The
first block, and all until every class has been sent, is sent by the uniform code.

Of a label of K classes the uniform code takes log2 K bits, and a probe's code -log2 of the probability that
it gave the label. A number is sent to within 1 / RESOLUTION of the labels' range: the uniform code takes
log2 RESOLUTION bits, and a probe's code -log2 of the normal density at the label, times that width. The
density's mean is what the probe predicts, and its variance the mean squared error over the blocks that were
sent with a probe before (of the first of them, the variance of the labels before it), and at least width^2 /
12. The range is known to both sides.

Strengths are not chosen with hindsight either: each block is coded by the strength that would have coded the
blocks before it shortest, the strongest of equals, so the first by the strongest. Classes weigh as they occur
(not balanced), since a code needs probabilities that are right. Blocks end at the fractions `FRACTIONS` of
the samples, whose order is drawn by the seed.

Sources: Voita and Titov, EMNLP 2020, arXiv 2003.12298, section 2.2.2; Dawid, J. R. Stat. Soc. A 147 (1984)
278, for the prequential code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.probing import logistic, ridge
from probes.probing.fits import Ask, Fits
from probes.probing.plan import Plan
from probes.probing.problem import Problem
from probes.probing.table import Table

FRACTIONS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Of the samples with labels, sent when a block ends."""

RESOLUTION = 256
"""Steps of a number's range that are told apart: 8 bits."""

_ORDER = 4
"""Tells this use of the seed from the others."""


@dataclass(frozen=True)
class Code:
    """The length of the labels, in bits.

    Attributes:
        length: of all labels by the online code.
        uniform: of all labels by the uniform code.
        prior: of all labels by the online code of someone without features, who knows only how the labels
            before were distributed: what is saved by rare classes being rare.
        compression: uniform / length. Labels of which one class is rare are compressed by that alone.
        compression_over_prior: prior / length, what the features save: about 1 where they say nothing, less
            where it costs more to learn from them than they tell.
        rows: labels that were sent.
        blocks: blocks that they were sent in.
    """

    length: float
    uniform: float
    prior: float
    compression: float
    compression_over_prior: float
    rows: int
    blocks: int


def blocks(problem: Problem, seed: int) -> NDArray[np.int64]:
    """(sample,) the block that each sample is sent in; -1 for samples without labels."""
    samples = np.unique(problem.samples[problem.labelled])
    order = np.random.default_rng([seed, _ORDER]).permutation(samples)
    ends = np.unique([max(1, round(fraction * len(samples))) for fraction in FRACTIONS])
    result = np.full(problem.sample_count, -1, dtype=np.int64)
    result[order] = np.searchsorted(ends, np.arange(len(samples)), side="right")
    return result


def online_code(features: NDArray[np.floating], problem: Problem, plan: Plan) -> Code:
    """The code length of a problem's labels, given features (row, channel) of all its rows.

    Logistic probes for classes, whatever the plan's model is: least squares gives no probabilities.
    """
    block_of = blocks(problem, plan.seed)
    labelled = problem.labelled
    count = int(block_of.max()) + 1
    classes = len(problem.classes)
    table = Table(
        features[labelled], problem.labels[labelled], block_of[problem.samples[labelled]], count, classes
    )
    rows = table.counts.sum(1)
    uniform = rows * math.log2(classes or RESOLUTION)
    before = np.tri(count, count, -1, dtype=bool)
    known = (before @ table.counts > 0).all(1)
    coded = np.flatnonzero(known)
    strengths = len(plan.strengths)
    pairs = np.array([(block, one) for block in coded for one in range(strengths)], dtype=np.int64)
    pairs = pairs.reshape(-1, 2)
    ask = Ask(before, pairs, plan.strengths, plan.components, balanced=False)
    held_out = np.eye(count, dtype=bool)[pairs[:, 0]]
    lengths = (_of_classes if classes else _of_numbers)(table, ask, held_out).reshape(-1, strengths)
    total, sent = float(uniform[~known].sum()), np.zeros(strengths)
    for length in lengths:
        chosen = strengths - 1 - int(sent[::-1].argmin())
        total += float(length[chosen])
        sent += length
    prior = float(uniform[~known].sum() + _without_features(table, before)[known].sum())
    plain = float(uniform.sum())
    return Code(total, plain, prior, plain / total, prior / total, int(rows.sum()), count)


def _of_classes(table: Table, ask: Ask, held_out: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(probe,) bits of the block that each probe codes."""
    fits = logistic.fit(table, ask)
    return logistic.held_out_losses(table, ask, fits, held_out) / math.log(2)


def _without_features(table: Table, before: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(block,) bits by the distribution of the labels before: class frequencies, or mean and variance."""
    counts = table.counts
    seen = before @ counts
    if table.class_count:
        # Half a row of each class beforehand (Krichevsky and Trofimov 1981).
        chances = (seen + 0.5) / (seen.sum(1, keepdims=True) + 0.5 * table.class_count)
        return -(counts * np.log2(chances)).sum(1)
    rows, own = np.maximum(seen[:, 0], 1), table.label_sums[:, 0]
    mean, square = (before @ own / rows[:, None]).T
    width = _width(table)
    variance = np.maximum(square - mean**2, width**2 / 12)
    errors = own[:, 1] - 2 * mean * own[:, 0] + counts[:, 0] * mean**2
    return _normal_bits(counts[:, 0], errors, variance, width)


def _width(table: Table) -> float:
    return float(np.ptp(table.labels)) / RESOLUTION


def _normal_bits(
    rows: NDArray[np.float64] | float,
    errors: NDArray[np.float64],
    variance: NDArray[np.float64],
    width: float,
) -> NDArray[np.float64]:
    """Of rows labels with a sum of squared errors, each to within a width."""
    nats = 0.5 * (rows * np.log(2 * np.pi * variance) + errors / variance)
    return nats / math.log(2) - rows * math.log2(width)


def _of_numbers(table: Table, ask: Ask, held_out: NDArray[np.bool_]) -> NDArray[np.float64]:
    fits: Fits = ridge.fit(table, ask)
    errors = ridge.held_out_losses(table, ask, fits, held_out)
    width = _width(table)
    counts = table.counts[:, 0]
    lengths, seen, squares = np.zeros(len(ask)), 0.0, np.zeros(len(ask.strengths))
    for block in np.unique(ask.pairs[:, 0]):
        probes = np.flatnonzero(ask.pairs[:, 0] == block)
        if seen:
            variance = squares / seen
        else:
            rows = (ask.sets[block] @ table.counts).sum()
            sums, whole = (ask.sets[block] @ table.label_sums[:, 0]) / rows
            variance = np.full(len(probes), whole - sums**2)
        variance = np.maximum(variance, width**2 / 12)
        lengths[probes] = _normal_bits(counts[block], errors[probes], variance, width)
        seen, squares = seen + counts[block], squares + errors[probes]
    return lengths
