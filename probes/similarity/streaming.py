"""CKA of many pairs of features, in bounded memory.

Sums over rows (`probes.similarity.moments`) are taken run by run, for as many pairs at once as memory allows;
rows are read anew for the next ones. The estimate without a sample needs the sums of all others, which are
known at the end only, so rows are read a second time: then each sample's own sums are subtracted.

Where all rows together are fewer than channels, Gram matrices are smaller and are used instead
(`probes.similarity.grams`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from probes.similarity import grams
from probes.similarity.blocks import Batch, Costs, batches
from probes.similarity.cka import varies
from probes.similarity.designs import Design, Pair
from probes.similarity.found import Found
from probes.similarity.intervals import Shuffle, Shuffles
from probes.similarity.moments import (
    Cross,
    Float64,
    Side,
    alignment,
    biased_hsic,
    unbiased_hsic,
)
from probes.similarity.rows import Positions, RowReader

Progress = Callable[[int, int], None]
_FLOAT = 8


def cka_of_pairs(
    design: Design,
    reader: RowReader,
    shuffles: Shuffles,
    limit: int,
    progress: Progress | None = None,
) -> Found:
    """Debiased and biased CKA of every pair of a design, without each sample, and shuffled.

    Args:
        design, reader: what is compared, and its rows.
        shuffles: the baselines.
        limit: bytes that may be held at once.
        progress: called with (blocks of rows read, blocks to read).

    Raises:
        SelectionError: a single pair takes more than ``limit``.
        StoreError: a run cannot be read.
    """
    channels = [reader.channels(feature) for feature in design.features]
    if grams.is_smaller(reader.count * len(design.blocks), channels):
        return grams.cka_of_pairs(design, reader, shuffles, limit, progress)
    held = 2 + len(shuffles.kinds) * shuffles.draws

    def pair_bytes(pair: Pair) -> int:
        return _FLOAT * held * (channels[pair.first] + 2) * (channels[pair.second] + 2)

    costs = Costs(
        pair=pair_bytes,
        feature=lambda feature: _FLOAT * 2 * (channels[feature] + 2) ** 2,
        # The rows, those put beside them, and what is read of one feature.
        row=lambda feature: _FLOAT * 3 * channels[feature],
        # Products before they are added, and what is left without a sample.
        extra=_FLOAT * 3 * max(channels) ** 2,
    )
    cut = batches(design.pairs, costs, reader.count, limit)
    passes = 2 if design.left_out > 1 else 1
    count = _Counter(progress, len(cut) * passes * len(design.blocks))
    found = Found.empty(len(design.pairs), design.left_out, shuffles)
    for batch in cut:
        _Sums(design, reader, shuffles, batch, channels, limit).into(found, count)
    return found


class _Counter:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)


@dataclass(eq=False)
class _Rows:
    """Rows of one feature less its centre, (row, channel), and their squared lengths."""

    values: Float64
    squares: Float64

    @classmethod
    def of(cls, values: Float64) -> _Rows:
        return cls(values, np.einsum("ij,ij->i", values, values))


class _Sums:
    """The sums of one batch, and what follows from them."""

    def __init__(
        self,
        design: Design,
        reader: RowReader,
        shuffles: Shuffles,
        batch: Batch,
        channels: list[int],
        limit: int,
    ) -> None:
        self._design, self._reader, self._shuffles, self._batch = design, reader, shuffles, batch
        self._at_once = max(1, limit // 8)
        self._channels = channels
        self._pairs = {number: design.pairs[number] for number in batch.pairs}
        self._centres = {feature: self._centre(feature) for feature in batch.features}

    def into(self, found: Found, count: _Counter) -> None:
        """Computes all that is asked of the batch's pairs."""
        sides, crosses, shuffled = self._all(count)
        for number, pair in self._pairs.items():
            both = crosses[number]
            xx, yy = (crosses[~feature] for feature in (pair.first, pair.second))
            x, y = sides[pair.first], sides[pair.second]
            norms = self._hsic(x, xx, pair.first), self._hsic(y, yy, pair.second)
            found.value[number] = alignment(unbiased_hsic(x, y, both), *norms)
            found.biased[number] = alignment(
                biased_hsic(x, y, both), biased_hsic(x, x, xx), biased_hsic(y, y, yy)
            )
            for (kind, draw), of_pairs in shuffled.items():
                exchanged = unbiased_hsic(x, y, of_pairs[number])
                found.shuffled[kind][number, draw] = alignment(exchanged, *norms)
        shuffled.clear()
        if found.without.shape[1] > 1:
            self._leave_out(found, sides, crosses, count)

    def _all(
        self, count: _Counter
    ) -> tuple[dict[int, Side], dict[int, Cross], dict[tuple[Shuffle, int], dict[int, Cross]]]:
        """The sums over all rows: of features, of pairs (a feature with itself under ~feature), shuffled."""
        sides, crosses = self._nothing()
        shuffled: dict[tuple[Shuffle, int], dict[int, Cross]] = {
            (kind, draw): {number: self._empty(pair) for number, pair in self._pairs.items()}
            for kind in self._shuffles.kinds
            for draw in range(self._shuffles.draws)
        }
        for block in range(len(self._design.blocks)):
            for part in self._parts():
                rows = self._read(self._batch.features, block, part)
                self._take(rows, sides, crosses)
                for (kind, draw), sums in shuffled.items():
                    self._take_shuffled(rows, block, part, kind, draw, sums)
            count()
        return sides, crosses, shuffled

    def _leave_out(
        self, found: Found, sides: dict[int, Side], crosses: dict[int, Cross], count: _Counter
    ) -> None:
        part_sides, part_crosses = self._nothing()
        per_sample = len(self._design.blocks) // found.without.shape[1]
        for sample in range(found.without.shape[1]):
            for feature, side in part_sides.items():
                side.rows, side.squares = 0, 0.0
                side.total[:] = 0.0
                part_crosses[~feature].clear()
            for number in self._pairs:
                part_crosses[number].clear()
            for block in range(sample * per_sample, (sample + 1) * per_sample):
                for part in self._parts():
                    rows = self._read(self._batch.features, block, part)
                    self._take(rows, part_sides, part_crosses)
                count()
            left = {feature: sides[feature].without(part_sides[feature]) for feature in sides}
            norms = {
                feature: self._hsic(left[feature], crosses[~feature].without(part_crosses[~feature]), feature)
                for feature in sides
            }
            for number, pair in self._pairs.items():
                both = crosses[number].without(part_crosses[number])
                hsic = unbiased_hsic(left[pair.first], left[pair.second], both)
                found.without[number, sample] = alignment(hsic, norms[pair.first], norms[pair.second])

    def _hsic(self, side: Side, own: Cross, feature: int) -> float:
        """Of a feature with itself: 0 if its rows do not vary."""
        if not varies(side.squares, side.rows, self._centres[feature]):
            return 0.0
        return unbiased_hsic(side, side, own)

    def _nothing(self) -> tuple[dict[int, Side], dict[int, Cross]]:
        sides: dict[int, Side] = {}
        crosses: dict[int, Cross] = {}
        for feature in self._batch.features:
            width = self._channels[feature]
            sides[feature] = Side(0, np.zeros(width), 0.0)
            crosses[~feature] = Cross.nothing(width, width)
        for number, pair in self._pairs.items():
            alone = pair.first == pair.second
            crosses[number] = crosses[~pair.first] if alone else self._empty(pair)
        return sides, crosses

    def _empty(self, pair: Pair) -> Cross:
        return Cross.nothing(self._channels[pair.first], self._channels[pair.second])

    def _take(self, rows: dict[int, _Rows], sides: dict[int, Side], crosses: dict[int, Cross]) -> None:
        for feature, own in rows.items():
            sides[feature].add(Side(len(own.values), own.values.sum(axis=0), float(own.squares.sum())))
            crosses[~feature].add(_cross(own, own))
        for number, pair in self._pairs.items():
            # A feature with itself has been taken in already.
            if pair.first != pair.second:
                crosses[number].add(_cross(rows[pair.first], rows[pair.second]))

    def _take_shuffled(
        self,
        rows: dict[int, _Rows],
        block: int,
        part: slice,
        kind: Shuffle,
        draw: int,
        sums: dict[int, Cross],
    ) -> None:
        positions = self._shuffles.positions(kind, draw, block)[part]
        seconds = sorted({pair.second for pair in self._pairs.values()})
        if kind == "tokens" and part == slice(0, self._reader.count):
            beside = {
                feature: _Rows(rows[feature].values[positions], rows[feature].squares[positions])
                for feature in seconds
            }
        else:
            beside = self._read(seconds, self._shuffles.block(kind, draw, block), positions)
        for number, pair in self._pairs.items():
            sums[number].add(_cross(rows[pair.first], beside[pair.second]))

    def _read(self, features: Iterable[int], block: int, positions: slice | Positions) -> dict[int, _Rows]:
        rows = self._design.blocks[block]
        return {
            feature: _Rows.of(
                self._reader.read(self._design.features[feature], rows, positions, self._at_once)
                - self._centres[feature]
            )
            for feature in features
        }

    def _parts(self) -> Iterator[slice]:
        for start in range(0, self._reader.count, self._batch.rows):
            yield slice(start, min(start + self._batch.rows, self._reader.count))

    def _centre(self, feature: int) -> Float64:
        """The mean of the first run's rows: near that of all, which is all it is for."""
        total = np.zeros(self._channels[feature])
        for part in self._parts():
            found = self._reader.read(
                self._design.features[feature], self._design.blocks[0], part, self._at_once
            )
            total += found.sum(axis=0)
        return total / self._reader.count


def _cross(x: _Rows, y: _Rows) -> Cross:
    return Cross(
        x.values.T @ y.values,
        x.values.T @ y.squares,
        y.values.T @ x.squares,
        float(x.squares @ y.squares),
    )
