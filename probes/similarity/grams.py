"""CKA of many pairs of features that have fewer rows than channels: by Gram matrices, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from probes.similarity.blocks import Batch, Costs, batches
from probes.similarity.cka import doubly_centred, u_centred, unless_rounding, varies
from probes.similarity.designs import Design
from probes.similarity.found import Found
from probes.similarity.intervals import Shuffle, Shuffles
from probes.similarity.moments import LEAST_ROWS, Float64, alignment
from probes.similarity.rows import Positions, RowReader

_FLOAT = 8


def is_smaller(rows: int, channels: Sequence[int]) -> bool:
    """Whether Gram matrices of so many rows take less memory than sums over channels."""
    return rows <= min(channels)


def cka_of_pairs(
    design: Design,
    reader: RowReader,
    shuffles: Shuffles,
    limit: int,
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """As `streaming.cka_of_pairs`, which chooses between the two."""
    rows = reader.count * len(design.blocks)
    widest = max(reader.channels(feature) for feature in design.features)
    costs = Costs(
        pair=lambda _: 1,
        # Its Gram matrix, and centred ones of all rows and of some.
        feature=lambda _: _FLOAT * 3 * rows * rows,
        row=lambda _: 1,
        # All rows of one feature, as they are and shifted, and Gram matrices on their way.
        extra=_FLOAT * rows * (2 * widest + 2 * rows),
    )
    found = Found.empty(len(design.pairs), design.left_out, shuffles)
    cut = batches(design.pairs, costs, reader.count, limit)
    total, done = sum(len(batch.features) for batch in cut), 0
    for batch in cut:
        matrices: dict[int, Float64] = {}
        for feature in batch.features:
            matrices[feature] = _gram(design, reader, feature, limit // 8)
            done += 1
            if progress is not None:
                progress(done, total)
        _of_all(design, batch, matrices, shuffles, found)
        if design.left_out > 1:
            _without_each(design, batch, matrices, found)
    return found


def _gram(design: Design, reader: RowReader, feature: int, at_once: int) -> Float64:
    every = slice(0, reader.count)
    rows = np.concatenate(
        [reader.read(design.features[feature], block, every, at_once) for block in design.blocks]
    )
    example = rows[0].copy()
    rows -= rows.mean(axis=0)
    if not varies(float(np.vdot(rows, rows)), len(rows), example):
        rows[:] = 0.0
    return rows @ rows.T


def _of_all(
    design: Design, batch: Batch, matrices: dict[int, Float64], shuffles: Shuffles, found: Found
) -> None:
    plain = _Centred({feature: doubly_centred(gram) for feature, gram in matrices.items()}, matrices)
    for number in batch.pairs:
        found.biased[number] = plain.alignment(design.pairs[number].first, design.pairs[number].second)
    del plain
    if len(next(iter(matrices.values()))) < LEAST_ROWS:
        return
    centred = _Centred({feature: u_centred(gram) for feature, gram in matrices.items()}, matrices)
    for number in batch.pairs:
        found.value[number] = centred.alignment(design.pairs[number].first, design.pairs[number].second)
    for kind in shuffles.kinds:
        for draw in range(shuffles.draws):
            order = _order(shuffles, kind, draw, len(design.blocks))
            for number in batch.pairs:
                pair = design.pairs[number]
                found.shuffled[kind][number, draw] = centred.alignment(pair.first, pair.second, order)


def _without_each(design: Design, batch: Batch, matrices: dict[int, Float64], found: Found) -> None:
    rows = len(next(iter(matrices.values())))
    of_sample = rows // design.left_out
    if rows - of_sample < LEAST_ROWS:
        return
    for sample in range(design.left_out):
        kept = np.delete(np.arange(rows), np.s_[sample * of_sample : (sample + 1) * of_sample])
        left = {feature: gram[np.ix_(kept, kept)] for feature, gram in matrices.items()}
        centred = _Centred({feature: u_centred(gram) for feature, gram in left.items()}, left)
        for number in batch.pairs:
            pair = design.pairs[number]
            found.without[number, sample] = centred.alignment(pair.first, pair.second)


class _Centred:
    """Centred Gram matrices and their squared norms."""

    def __init__(self, centred: dict[int, Float64], grams: dict[int, Float64]) -> None:
        self._centred = centred
        self._norms = {
            feature: unless_rounding(float(np.vdot(matrix, matrix)), grams[feature])
            for feature, matrix in centred.items()
        }

    def alignment(self, first: int, second: int, order: Positions | None = None) -> float:
        """CKA of two features, with the rows of the second in this order."""
        other = self._centred[second]
        if order is not None:
            other = other[np.ix_(order, order)]
        product = float(np.vdot(self._centred[first], other))
        return alignment(product, self._norms[first], self._norms[second])


def _order(shuffles: Shuffles, kind: Shuffle, draw: int, blocks: int) -> Positions:
    """Which row of all is put beside each."""
    parts = [
        shuffles.block(kind, draw, block) * shuffles.rows + shuffles.positions(kind, draw, block)
        for block in range(blocks)
    ]
    return np.concatenate(parts)
