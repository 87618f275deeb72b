"""What fitting is asked for and what it gives: many probes of one cell at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.probing.table import Table


@dataclass(frozen=True)
class Ask:
    """Probes to fit to one table, one for each pair of a training set and a strength.

    Attributes:
        sets: (set, group) whether a group of samples is in a training set.
        pairs: (probe, 2) int64: the training set, and the index into `strengths`.
        strengths: penalties per row, ascending; see `Plan`.
        components: principal components to keep, or None.
        balanced: whether classes weigh the same, however many rows they have.
    """

    sets: NDArray[np.bool_]
    pairs: NDArray[np.int64]
    strengths: tuple[float, ...]
    components: int | None
    balanced: bool

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def trained_on(self) -> NDArray[np.bool_]:
        """(probe, group) whether a probe is fitted to a group."""
        return self.sets[self.pairs[:, 0]]

    def class_weights(self, table: Table) -> NDArray[np.float64]:
        """(probe, class) what a row counts."""
        return table.class_weights(self.sets, self.balanced)[self.pairs[:, 0]]


@dataclass(frozen=True)
class Fits:
    """Probes on the features of a table: `weights` (probe, channel, output), `bias` (probe, output)."""

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    def scores(self, rows: NDArray[np.floating], probes: NDArray[np.intp]) -> NDArray[np.floating]:
        """(row, probe, output) of some of the probes, in the type of the rows."""
        chosen = self.weights[probes]
        flat = chosen.transpose(1, 0, 2).reshape(chosen.shape[1], -1)
        result = rows @ flat.astype(rows.dtype) + self.bias[probes].ravel().astype(rows.dtype)
        return result.reshape(len(rows), len(probes), -1)


def outputs_of(table: Table) -> int:
    """Numbers that a probe gives for a row: one for numbers and two classes, else one a class."""
    return table.class_count if table.class_count > 2 else 1
