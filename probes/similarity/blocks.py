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
    for_sums = limit - limit // _ROWS_SHARE - costs.extra
    filling = _Filling(costs, min(rows, _LEAST_ROWS), for_sums, limit)
    found: list[Batch] = []

    def close() -> None:
        if filling.pairs:
            at_once = max(1, min(rows, limit // _ROWS_SHARE // max(filling.row, 1)))
            found.append(Batch(tuple(filling.pairs), tuple(sorted(filling.features)), at_once))
            filling.empty()

    for tile in _tiles(pairs, costs, for_sums):
        if not filling.fits([(number, pairs[number]) for number in tile]):
            close()
        for number in tile:
            if not filling.fits([(number, pairs[number])]):
                close()
                filling.require(pairs[number])
            filling.add(number, pairs[number])
    close()
    return found


def _tiles(pairs: Sequence[Pair], costs: Costs, for_sums: int) -> list[list[int]]:
    """The numbers of all pairs, tile by tile; a tile of the dearest pairs is as large as fits."""
    dearest = max((costs.pair(pair) + costs.feature(pair.first) for pair in pairs), default=1)
    side = max(1, math.isqrt(max(for_sums, 0) // max(dearest, 1)))
    tiles: dict[tuple[int, int, int], list[int]] = {}
    for number, pair in enumerate(pairs):
        tiles.setdefault((pair.group, pair.first // side, pair.second // side), []).append(number)
    return [tiles[place] for place in sorted(tiles)]


class _Filling:
    """A batch that is being filled."""

    def __init__(self, costs: Costs, least_rows: int, for_sums: int, limit: int) -> None:
        self._costs, self._least_rows, self._for_sums, self._limit = costs, least_rows, for_sums, limit
        self.empty()

    def empty(self) -> None:
        """Forgets all."""
        self.pairs: list[int] = []
        self.features: set[int] = set()
        self.sums = self.row = 0

    def fits(self, more: Sequence[tuple[int, Pair]]) -> bool:
        """Whether there is room for these pairs as well."""
        sums, row = self._with([pair for _, pair in more])
        return sums <= self._for_sums and row * self._least_rows <= self._limit // _ROWS_SHARE

    def add(self, number: int, pair: Pair) -> None:
        """Takes a pair in."""
        self.sums, self.row = self._with([pair])
        self.pairs.append(number)
        self.features |= {pair.first, pair.second}

    def require(self, pair: Pair) -> None:
        """Raises SelectionError if not even this pair alone has room."""
        if self.fits([(0, pair)]):
            return
        sums, row = self._with([pair])
        least = max(
            (self._costs.extra + sums) * _ROWS_SHARE // (_ROWS_SHARE - 1),
            row * self._least_rows * _ROWS_SHARE,
        )
        raise SelectionError(
            f"--host-memory: {size_text(self._limit)} are too little for a single pair, which takes "
            f"{size_text(least + 1)}; allow more, or compare fewer channels (a store of project:64, say)"
        )

    def _with(self, more: Sequence[Pair]) -> tuple[int, int]:
        new = {feature for pair in more for feature in (pair.first, pair.second)} - self.features
        sums = self.sums + sum(map(self._costs.pair, more)) + sum(map(self._costs.feature, new))
        return sums, self.row + sum(map(self._costs.row, new))
