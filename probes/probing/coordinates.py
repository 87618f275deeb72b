"""The scaler and the principal components of one training set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.probing.table import Table


@dataclass(frozen=True)
class Coordinates:
    """Features as a probe is penalised in: standardised by the training rows, then perhaps turned and cut.

    A row x becomes ((x - mean) / scale) @ basis.

    Attributes:
        mean, scale: (channel,) float64 of the training rows; the scale is 1 where a channel is constant.
        basis: (channel, component) float64 with orthonormal columns, or None for all channels as they are.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    basis: NDArray[np.float64] | None

    def forward(self, rows: NDArray[np.floating]) -> NDArray[np.floating]:
        """(row, component) of (row, channel), in the type of the rows."""
        standard = (rows - self.mean.astype(rows.dtype)) / self.scale.astype(rows.dtype)
        return standard if self.basis is None else standard @ self.basis.astype(rows.dtype)

    def to_table(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights (component, ...) on these coordinates as weights (channel, ...) on the table's features."""
        turned = weights if self.basis is None else np.tensordot(self.basis, weights, 1)
        return turned / self.scale.reshape(-1, *[1] * (turned.ndim - 1))

    def from_table(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """The transposed map: a gradient (channel, ...) by table weights as one (component, ...) by these."""
        scaled = gradient / self.scale.reshape(-1, *[1] * (gradient.ndim - 1))
        return scaled if self.basis is None else np.tensordot(self.basis.T, scaled, 1)

    def nearest(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights (component, ...) whose `to_table` is nearest to table weights (channel, ...)."""
        scaled = weights * self.scale.reshape(-1, *[1] * (weights.ndim - 1))
        return scaled if self.basis is None else np.tensordot(self.basis.T, scaled, 1)

    def turned(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """A matrix (channel, channel) of products of centred table features, in these coordinates."""
        scaled = matrix / np.outer(self.scale, self.scale)
        return scaled if self.basis is None else self.basis.T @ scaled @ self.basis


def coordinates(table: Table, training: NDArray[np.bool_], components: int | None) -> Coordinates:
    """Those of one training set.

    The probes are penalised alike in all directions, so that turning changes nothing but the cost: where
    there are fewer rows than channels, only the directions in which the rows differ are kept.

    Args:
        table: of the cell.
        training: (group,) whether a group is in the training set.
        components: principal components of the standardised features to keep; None for all.
    """
    rows = float((training @ table.counts).sum())
    mean = np.tensordot(training, table.sums.sum(1), 1) / rows
    squares = np.tensordot(training, table.squares.sum(1), 1) / rows
    variance = np.maximum(squares - mean**2, 0.0)
    # Rounding leaves a constant channel a variance; scaling it up would make a feature of the noise.
    constant = variance <= 1e-10 * np.maximum(squares, 1e-300)
    scale = np.where(constant, 1.0, np.sqrt(np.where(constant, 1.0, variance)))
    plain = Coordinates(mean, scale, None)
    if rows <= table.channels:
        standard = plain.forward(table.features[table.rows_of(training)].astype(np.float64))
        _, values, directions = np.linalg.svd(standard, full_matrices=False)
        kept = int((values > 1e-9 * max(float(values[0]), 1e-300)).sum()) if len(values) else 0
        return Coordinates(mean, scale, directions[: max(1, min(kept, components or kept))].T)
    if components is None or components >= table.channels:
        return plain
    second = np.tensordot(training, table.grams.sum(1), 1) / rows - np.outer(mean, mean)
    _, directions = np.linalg.eigh(plain.turned(second))
    return Coordinates(mean, scale, directions[:, ::-1][:, :components])
