"""Which pairs are computed together: as many as a bound of memory holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from probes.similarity.designs import Pair
from stores import SelectionError
from stores.units import size_text

_LEAST_ROWS = 16
_ROWS_SHARE = 4
"""One part in so many of the memory is for rows, the others for what is summed."""


@dataclass(frozen=True)
class Costs:
    """Bytes that are held at once.

    Attributes:
        pair: what is summed for a pair.
        feature: what is summed for a feature.
        row: of one row of a feature.
        extra: whatever is computed.
    """

    pair: Callable[[Pair], int]
    feature: Callable[[int], int]
    row: Callable[[int], int]
    extra: int = 0


@dataclass(frozen=True)
class Batch:
    """Pairs, by their numbers, that are computed in one reading of the rows.

    Attributes:
        pairs, features: their numbers, in order.
        rows: how many rows of a block are in memory at once.
    """

    pairs: tuple[int, ...]
    features: tuple[int, ...]
    rows: int


def batches(pairs: Sequence[Pair], costs: Costs, rows: int, limit: int) -> list[Batch]:
    """All pairs, cut into batches.

    Pairs of features i and j are taken tile by tile of the matrix i x j, so that a batch of T pairs reads
    about 2 sqrt(T) features.

    Args:
        pairs: all of them.
        costs: of each.
        rows: of a block.
        limit: bytes.

    Raises:
        SelectionError: a single pair takes more.
    """
    least_rows = min(rows, _LEAST_ROWS)
    for_sums = limit - limit // _ROWS_SHARE - costs.extra
    # Of the dearest pair, for tiles of a size that surely fits.
    dearest = max((costs.pair(pair) for pair in pairs), default=1)
    side = max(1, math.isqrt(max(for_sums, 0) // max(dearest, 1)) // 2)
    order = sorted(
        range(len(pairs)),
        key=lambda n: (
            pairs[n].group,
            pairs[n].first // side,
            pairs[n].second // side,
            pairs[n].first,
            pairs[n].second,
        ),
    )
    found: list[Batch] = []
    held: list[int] = []
    features: set[int] = set()
    sums = row = 0
    for number in order:
        pair = pairs[number]
        new = {pair.first, pair.second} - features
        more = costs.pair(pair) + sum(costs.feature(feature) for feature in new)
        wider = sum(costs.row(feature) for feature in new)
        too_much = sums + more > for_sums or (row + wider) * least_rows > limit // _ROWS_SHARE
        if too_much and held:
            found.append(_batch(held, features, row, rows, limit))
            held, features, sums, row = [], set(), 0, 0
            new = {pair.first, pair.second}
            more = costs.pair(pair) + sum(costs.feature(feature) for feature in new)
            wider = sum(costs.row(feature) for feature in new)
            too_much = more > for_sums or wider * least_rows > limit // _ROWS_SHARE
        if too_much:
            least = max(costs.extra + more, wider * least_rows) * _ROWS_SHARE // (_ROWS_SHARE - 1) + 1
            least = max(least, wider * least_rows * _ROWS_SHARE)
            raise SelectionError(
                f"--host-memory: {size_text(limit)} are too little for a single pair, which takes "
                f"{size_text(least)}; allow more, or compare fewer channels (a store of project:64, say)"
            )
        held.append(number)
        features |= new
        sums, row = sums + more, row + wider
    if held:
        found.append(_batch(held, features, row, rows, limit))
    return found


def _batch(pairs: Sequence[int], features: set[int], row: int, rows: int, limit: int) -> Batch:
    at_once = max(1, min(rows, limit // _ROWS_SHARE // max(row, 1)))
    return Batch(tuple(pairs), tuple(sorted(features)), at_once)
