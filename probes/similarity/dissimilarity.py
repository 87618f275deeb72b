"""RSA of many pairs of features, in bounded memory.

Where rows are tokens, the dissimilarities are those among the tokens of one run: two representations agree in
a run or not, and the runs are averaged. Where a run is one row, they are those among runs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from probes.similarity.blocks import Batch, Costs, batches
from probes.similarity.designs import Block, Design
from probes.similarity.found import Found
from probes.similarity.intervals import Shuffle, Shuffles
from probes.similarity.moments import Float64
from probes.similarity.rows import Positions, RowReader
from probes.similarity.rsa import LEAST_ROWS, Agreement, Distance, agree, dissimilarities, standardised
from stores import SelectionError

Progress = Callable[[int, int], None]
_FLOAT = 8


def rsa_of_pairs(
    design: Design,
    reader: RowReader,
    shuffles: Shuffles,
    limit: int,
    distance: Distance,
    agreement: Agreement,
    progress: Progress | None = None,
) -> tuple[Found, Float64]:
    """RSA of every pair of a design, without each sample, and shuffled.

    Args:
        design, reader, shuffles, limit, progress: as in `streaming.cka_of_pairs`.
        distance, agreement: as in `rsa`.

    Returns:
        What was found (`Found.biased` and, where rows are tokens, `Found.without` are NaN), and the measure
        in each run, (pair, block), NaN where rows are runs.

    Raises:
        SelectionError: too few rows, or the distances take more than ``limit``.
        StoreError: a run cannot be read.
    """
    within = reader.what != "run"
    rows = reader.count if within else len(design.blocks) * reader.count
    if rows < LEAST_ROWS:
        what = f"{reader.what}s of each run" if within else "runs"
        raise SelectionError(f"RSA needs the distances among at least {LEAST_ROWS} {what}, not {rows}")
    widest = max(reader.channels(feature) for feature in design.features)
    distances = rows * (rows - 1) // 2
    copies = 1 + (len(shuffles.kinds) * shuffles.draws if within else 2)
    costs = Costs(
        pair=lambda _: 1,
        feature=lambda _: _FLOAT * copies * distances,
        row=lambda _: 1,
        # The rows, their products, and the ranks of the distances on their way.
        extra=_FLOAT * (3 * rows * widest + rows * rows + 5 * distances),
    )
    found = Found.empty(len(design.pairs), design.left_out, shuffles)
    by_run = np.full((len(design.pairs), len(design.blocks)), np.nan)
    cut = batches(design.pairs, costs, reader.count, limit)
    counted = sum(len(batch.features) for batch in cut) * len(design.blocks)
    done = 0

    def rdm(feature: int, blocks: list[Block]) -> Float64:
        nonlocal done
        every = slice(0, reader.count)
        values = [reader.read(design.features[feature], block, every, limit // 8) for block in blocks]
        done += len(blocks)
        if progress is not None:
            progress(min(done, counted), counted)
        return dissimilarities(np.concatenate(values), distance)

    for batch in cut:
        if within:
            _in_each_run(design, batch, shuffles, rdm, agreement, found, by_run)
        else:
            _among_runs(design, batch, shuffles, rdm, agreement, found)
    if within:
        found.value = by_run.mean(axis=1)
    return found, by_run


def _in_each_run(
    design: Design,
    batch: Batch,
    shuffles: Shuffles,
    rdm: Callable[[int, list[Block]], Float64],
    agreement: Agreement,
    found: Found,
    by_run: Float64,
) -> None:
    blocks = design.blocks
    shuffled: dict[Shuffle, Float64] = {
        kind: np.zeros((len(batch.pairs), shuffles.draws)) for kind in shuffles.kinds
    }
    for number, block in enumerate(blocks):
        own = {feature: standardised(rdm(feature, [block]), agreement) for feature in batch.features}
        for index in batch.pairs:
            pair = design.pairs[index]
            by_run[index, number] = agree(own[pair.first], own[pair.second])
        for kind in shuffles.kinds:
            for draw in range(shuffles.draws):
                beside = own
                if kind == "samples":
                    other = blocks[shuffles.block(kind, draw, number)]
                    seconds = {design.pairs[index].second for index in batch.pairs}
                    beside = {
                        feature: standardised(rdm(feature, [other]), agreement) for feature in sorted(seconds)
                    }
                places = _places(shuffles.positions(kind, draw, number))
                for at, index in enumerate(batch.pairs):
                    pair = design.pairs[index]
                    value = agree(own[pair.first], beside[pair.second][places])
                    shuffled[kind][at, draw] += value / len(blocks)
    for kind, values in shuffled.items():
        found.shuffled[kind][list(batch.pairs)] = values


def _among_runs(
    design: Design,
    batch: Batch,
    shuffles: Shuffles,
    rdm: Callable[[int, list[Block]], Float64],
    agreement: Agreement,
    found: Found,
) -> None:
    rows = len(design.blocks) * shuffles.rows
    plain = {feature: rdm(feature, list(design.blocks)) for feature in batch.features}
    made = {feature: standardised(distances, agreement) for feature, distances in plain.items()}
    for index in batch.pairs:
        pair = design.pairs[index]
        found.value[index] = agree(made[pair.first], made[pair.second])
        for kind in shuffles.kinds:
            for draw in range(shuffles.draws):
                order = np.array([shuffles.block(kind, draw, block) for block in range(rows)], np.intp)
                found.shuffled[kind][index, draw] = agree(made[pair.first], made[pair.second][_places(order)])
    if design.left_out < 2 or rows - rows // design.left_out < LEAST_ROWS:
        return
    firsts, seconds = np.triu_indices(rows, 1)
    sample_of = np.arange(rows) // (rows // design.left_out)
    for sample in range(design.left_out):
        kept = (sample_of[firsts] != sample) & (sample_of[seconds] != sample)
        made = {feature: standardised(distances[kept], agreement) for feature, distances in plain.items()}
        for index in batch.pairs:
            pair = design.pairs[index]
            found.without[index, sample] = agree(made[pair.first], made[pair.second])


def _places(order: Positions) -> Positions:
    """Where the distance of each pair of rows lies once rows are in another order: (pair,)."""
    rows = len(order)
    where = np.zeros((rows, rows), np.intp)
    upper = np.triu_indices(rows, 1)
    where[upper] = np.arange(len(upper[0]))
    where += where.T
    return where[np.ix_(order, order)][upper]
