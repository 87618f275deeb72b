"""The sums over rows that the Hilbert-Schmidt independence criterion of linear kernels needs.

With K = X X^T and L = Y Y^T over n rows, the unbiased estimator of Song et al. (2012, JMLR 13, equation 5) is

    HSIC = [tr(K' L') + (1^T K' 1)(1^T L' 1) / ((n-1)(n-2)) - 2 (1^T K' L' 1) / (n-2)] / (n (n-3))

where K' and L' are K and L with zeros on their diagonals. With d_i = |x_i|^2, e_i = |y_i|^2, s = sum x_i,
t = sum y_i and C = X^T Y each term is made of sums over rows:

    tr(K' L')   = |C|_F^2 - sum d_i e_i
    1^T K' 1    = |s|^2 - sum d_i
    1^T K' L' 1 = s^T C t - s . (X^T e) - t . (Y^T d) + sum d_i e_i

So it takes one pass over the rows and memory for one channels x channels matrix, however many rows there are.
Rows that are left out are subtracted. The estimator does not change when a constant vector is subtracted from
all rows (that adds a_i + a_j to K_ij, which it ignores); subtracting one near the mean keeps it exact in
floating point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

LEAST_ROWS = 4
"""The unbiased estimator divides by n - 3."""
NOTHING = 1e-13
"""An HSIC that is this share of what its terms are made of is rounding alone."""


@dataclass(eq=False)
class Side:
    """Sums over the rows of one feature matrix X (row, channel), float64.

    Attributes:
        rows: n.
        total: (channel,), the sum of the rows.
        squares: the sum of |x_i|^2.
    """

    rows: int
    total: Float64
    squares: float

    @classmethod
    def of(cls, x: Float64) -> Side:
        """Of these rows."""
        return cls(len(x), x.sum(axis=0), float(np.einsum("ij,ij->", x, x)))

    def without(self, part: Side) -> Side:
        """Of the rows that are not in ``part``."""
        return Side(self.rows - part.rows, self.total - part.total, self.squares - part.squares)

    def add(self, part: Side) -> None:
        """Takes the rows of ``part`` in."""
        self.rows += part.rows
        self.total += part.total
        self.squares += part.squares


@dataclass(eq=False)
class Cross:
    """Sums over the rows of two feature matrices X (row, channel) and Y (row, other channel), float64.

    Attributes:
        product: C = X^T Y, (channel, other channel).
        first: X^T e, (channel,).
        second: Y^T d, (other channel,).
        squares: the sum of d_i e_i.
    """

    product: Float64
    first: Float64
    second: Float64
    squares: float

    @classmethod
    def of(cls, x: Float64, y: Float64) -> Cross:
        """Of these rows."""
        d, e = np.einsum("ij,ij->i", x, x), np.einsum("ij,ij->i", y, y)
        return cls(x.T @ y, x.T @ e, y.T @ d, float(d @ e))

    @classmethod
    def nothing(cls, channels: int, others: int) -> Cross:
        """Of no rows."""
        return cls(np.zeros((channels, others)), np.zeros(channels), np.zeros(others), 0.0)

    def add(self, part: Cross) -> None:
        """Takes the rows of ``part`` in."""
        self.product += part.product
        self.first += part.first
        self.second += part.second
        self.squares += part.squares

    def without(self, part: Cross) -> Cross:
        """Of the rows that are not in ``part``."""
        return Cross(
            self.product - part.product,
            self.first - part.first,
            self.second - part.second,
            self.squares - part.squares,
        )

    def clear(self) -> None:
        """Forgets all rows."""
        self.product[:] = 0.0
        self.first[:] = 0.0
        self.second[:] = 0.0
        self.squares = 0.0


def unbiased_hsic(x: Side, y: Side, both: Cross) -> float:
    """The unbiased estimator of HSIC; NaN for fewer than `LEAST_ROWS` rows.

    Source: Song et al. 2012, equation 5, in the form above. Zero where only rounding is left of it.
    """
    n = x.rows
    if n < LEAST_ROWS:
        return math.nan
    trace = float(np.vdot(both.product, both.product)) - both.squares
    x_sum = float(x.total @ x.total) - x.squares
    y_sum = float(y.total @ y.total) - y.squares
    mixed = (
        float(x.total @ both.product @ y.total)
        - float(x.total @ both.first)
        - float(y.total @ both.second)
        + both.squares
    )
    found = trace + x_sum * y_sum / ((n - 1) * (n - 2)) - 2 * mixed / (n - 2)
    return found / (n * (n - 3)) if abs(found) > NOTHING * x.squares * y.squares else 0.0


def biased_hsic(x: Side, y: Side, both: Cross) -> float:
    """tr(K H L H) / (n-1)^2, H the centring matrix (Gretton et al. 2005); NaN for a single row."""
    if x.rows < 2:
        return math.nan
    centred = both.product - np.outer(x.total, y.total) / x.rows
    found = float(np.vdot(centred, centred))
    return found / (x.rows - 1) ** 2 if found > NOTHING * x.squares * y.squares else 0.0


def alignment(xy: float, xx: float, yy: float) -> float:
    """CKA of three HSICs: xy / sqrt(xx yy), within [-1, 1]; NaN where one side does not vary.

    Both estimators are inner products of centred Gram matrices, so the bounds are theirs; what goes beyond is
    rounding.
    """
    if not (xx > 0 and yy > 0):
        return math.nan
    return min(max(xy / (math.sqrt(xx) * math.sqrt(yy)), -1.0), 1.0)
