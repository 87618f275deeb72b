"""The rows of one cell, arranged so that what training sets share is computed once.

Training sets of nested folds overlap: each is a union of a few *groups* of samples. Rows are sorted by group
and class, and sums over each such block give the sums of every training set.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stores.errors import SelectionError


@dataclass(frozen=True)
class Block:
    """Rows of one group and, where there are classes, one class: `start` to `stop` of a table."""

    group: int
    label: int
    start: int
    stop: int

    @property
    def rows(self) -> slice:
        """The rows of the table."""
        return slice(self.start, self.stop)


class Table:
    """Features and labels of one cell, sorted by group and class.

    Features are shifted and scaled once for all training sets, so that float32 loses nothing to large means;
    this is undone in the weights that are given back, so nothing of a held-out sample enters a fit.

    Args:
        features: (row, channel) float32 or float64.
        labels: (row,) codes of classes, or numbers.
        groups: (row,) int64, the group of each row's sample.
        group_count: groups, empty ones included.
        class_count: 0 for numbers.

    Raises:
        SelectionError: a feature is NaN or infinite.
    """

    def __init__(
        self,
        features: NDArray[np.floating],
        labels: NDArray[Any],
        groups: NDArray[np.int64],
        group_count: int,
        class_count: int,
    ) -> None:
        keys = (labels, groups) if class_count else (groups,)
        self.order: NDArray[np.intp] = np.lexsort(keys)
        """(row,) which row of what was given each row of the table is."""
        self.labels: NDArray[Any] = labels[self.order]
        self.group_count = group_count
        self.class_count = class_count
        self.features: NDArray[np.floating] = features[self.order]
        self.shift: NDArray[np.float64] = self.features.mean(0, dtype=np.float64)
        if not np.isfinite(self.shift).all() or not np.isfinite(self.features).all():
            bad = np.count_nonzero(~np.isfinite(features).all(1))
            raise SelectionError(
                f"features of {bad} of {len(features)} rows are NaN or infinite; "
                "leave those runs, steps or layers out"
            )
        self.features -= self.shift.astype(features.dtype)
        spread = np.sqrt(np.einsum("ij,ij->j", self.features, self.features) / len(features))
        self.scale: NDArray[np.float64] = np.where(spread > 0, spread, 1.0).astype(np.float64)
        self.features /= self.scale.astype(features.dtype)
        # What was subtracted is the rounded mean.
        self.shift = self.shift.astype(features.dtype).astype(np.float64)
        self.scale = self.scale.astype(features.dtype).astype(np.float64)
        self.blocks = _blocks(groups[self.order], self.labels if class_count else None)

    @property
    def channels(self) -> int:
        """Features of a row."""
        return self.features.shape[1]

    @cached_property
    def counts(self) -> NDArray[np.float64]:
        """(group, class) rows; one column for numbers."""
        counts = np.zeros((self.group_count, max(1, self.class_count)))
        for block in self.blocks:
            counts[block.group, block.label] += block.stop - block.start
        return counts

    @cached_property
    def sums(self) -> NDArray[np.float64]:
        """(group, class, channel) sums of features."""
        return self._reduced(lambda x, _: x.sum(0), (self.channels,))

    @cached_property
    def squares(self) -> NDArray[np.float64]:
        """(group, class, channel) sums of squares of features."""
        return self._reduced(lambda x, _: np.einsum("ij,ij->j", x, x), (self.channels,))

    @cached_property
    def grams(self) -> NDArray[np.float64]:
        """(group, class, channel, channel) sums of products of features."""
        check_room(self.group_count * max(1, self.class_count) * self.channels**2, self.channels)
        return self._reduced(lambda x, _: x.T @ x, (self.channels, self.channels))

    @cached_property
    def label_sums(self) -> NDArray[np.float64]:
        """(group, 1, 2) sums of numbers and of their squares."""
        return self._reduced(lambda _, y: np.array([y.sum(), y @ y]), (2,))

    @cached_property
    def products(self) -> NDArray[np.float64]:
        """(group, 1, channel) sums of features times numbers."""
        return self._reduced(lambda x, y: y @ x, (self.channels,))

    def class_weights(self, sets: NDArray[np.bool_], balanced: bool) -> NDArray[np.float64]:
        """(set, class) weights of rows: rows / (classes * rows of the class) if balanced, else 1."""
        counts = sets @ self.counts
        if not balanced or not self.class_count:
            return np.ones_like(counts)
        return counts.sum(1, keepdims=True) / (counts.shape[1] * counts)

    def rows_of(self, groups: NDArray[np.bool_]) -> NDArray[np.intp]:
        """The rows of some groups, in the order of the table."""
        ranges = [np.arange(block.start, block.stop) for block in self.blocks if groups[block.group]]
        return np.concatenate(ranges) if ranges else np.empty(0, dtype=np.intp)

    def to_raw(
        self, weights: NDArray[np.float64], bias: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights (..., channel, output) and bias (..., output) for the features as they were given."""
        raw = weights / self.scale[:, None]
        return raw, bias - np.einsum("c,...co->...o", self.shift, raw)

    def _reduced(self, function, shape: tuple[int, ...]) -> NDArray[np.float64]:
        result = np.zeros((self.group_count, max(1, self.class_count), *shape))
        for block in self.blocks:
            rows = self.features[block.rows].astype(np.float64, copy=False)
            result[block.group, block.label] += function(rows, self.labels[block.rows])
        return result


def check_room(numbers: int, channels: int) -> None:
    """Whether so many float64 are few enough to hold.

    Raises:
        SelectionError: they are more than 8 GiB.
    """
    if numbers * 8 > 8 << 30:
        raise SelectionError(
            f"{channels} channels are too many to probe this many rows of: {numbers * 8 / (1 << 30):.0f} GiB "
            "of products; choose a reduction such as project:256, or means over tokens"
        )


def _blocks(groups: NDArray[np.int64], labels: NDArray | None) -> list[Block]:
    keys = np.stack([groups, labels if labels is not None else np.zeros_like(groups)])
    starts = np.flatnonzero(np.any(keys[:, 1:] != keys[:, :-1], axis=0)) + 1
    edges = [0, *starts.tolist(), keys.shape[1]]
    return [Block(int(keys[0, start]), int(keys[1, start]), start, stop) for start, stop in pairwise(edges)]
