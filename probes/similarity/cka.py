"""Linear centred kernel alignment (CKA) of two feature matrices in memory.

CKA (Kornblith et al. 2019, arXiv 1905.00414, equation 4) is HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) of the
kernels K = X X^T and L = Y Y^T: 1 for representations that are equal up to rotation, shift and one scale for
all channels. With the plain HSIC it grows towards 1 for unrelated features where rows are few and channels
many (Murphy, Zylberberg and Fyshe 2024, arXiv 2405.01012). The debiased one puts the unbiased HSIC of Song et
al. (2012) into all three places, as Nguyen, Raghu and Kornblith do (2021, arXiv 2010.15327, equation 3): it
is about 0 for unrelated features, and can be negative. A ratio of unbiased estimates has a small bias left;
that channels are a sample of something larger is not corrected for (Chun et al. 2025, arXiv 2502.15104).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from probes.similarity.moments import (
    LEAST_ROWS,
    NOTHING,
    Cross,
    Float64,
    Side,
    alignment,
    biased_hsic,
    unbiased_hsic,
)
from stores.errors import SelectionError

Form = Literal["features", "gram"]


def linear_cka(x: ArrayLike, y: ArrayLike, *, debiased: bool = True, form: Form | None = None) -> float:
    """Linear CKA of two representations of the same rows.

    Args:
        x, y: (row, channel) and (row, other channel), computed in float64.
        debiased: with the unbiased HSIC; else the plain one.
        form: "features" takes memory for channels x channels numbers, "gram" for rows x rows. Both give the
            same; None takes the smaller.

    Returns:
        A number in [-1, 1], from 0 if not debiased; NaN if the rows of one side do not vary.

    Raises:
        SelectionError: the rows are too few (two, debiased four), or their numbers differ.
        ValueError: something is not finite, or no matrix.
    """
    first, second = _matrix(x), _matrix(y)
    if len(first) != len(second):
        raise SelectionError(
            f"CKA compares the same rows of two representations, not {len(first)} with {len(second)}"
        )
    least = LEAST_ROWS if debiased else 2
    if len(first) < least:
        kind = "debiased CKA" if debiased else "CKA"
        raise SelectionError(f"{kind} needs at least {least} rows, not {len(first)}")
    if form is None:
        form = "gram" if len(first) <= max(first.shape[1], second.shape[1]) else "features"
    # What does not vary is then zero, to the last bit or nearly.
    first, second = _shifted(first), _shifted(second)
    if form == "gram":
        return gram_cka(first @ first.T, second @ second.T, debiased=debiased)
    hsic = unbiased_hsic if debiased else biased_hsic
    sides = Side.of(first), Side.of(second)
    return alignment(
        hsic(*sides, Cross.of(first, second)),
        hsic(sides[0], sides[0], Cross.of(first, first)),
        hsic(sides[1], sides[1], Cross.of(second, second)),
    )


def gram_cka(k: Float64, m: Float64, *, debiased: bool = True) -> float:
    """CKA of two Gram matrices (row, row) of the same rows.

    Debiased it is the cosine of the U-centred matrices (Székely and Rizzo 2014), which is the unbiased HSIC
    in all three places; else that of the doubly centred ones.
    """
    centred = (u_centred(k), u_centred(m)) if debiased else (doubly_centred(k), doubly_centred(m))
    xy, xx, yy = (float(np.vdot(*pair)) for pair in (centred, centred[:1] * 2, centred[1:] * 2))
    return alignment(xy, unless_rounding(xx, k), unless_rounding(yy, m))


def u_centred(gram: Float64) -> Float64:
    """A Gram matrix (row, row) whose diagonal does not count, centred so that all rows add up to 0.

    Source: Székely and Rizzo 2014 (arXiv 1310.2926), definition 2. Needs at least three rows.
    """
    n = len(gram)
    kept = gram.copy()
    np.fill_diagonal(kept, 0.0)
    rows = kept.sum(axis=0) / (n - 2)
    kept += rows.sum() / (n - 1)
    kept -= rows[:, None]
    kept -= rows[None, :]
    np.fill_diagonal(kept, 0.0)
    return kept


def doubly_centred(gram: Float64) -> Float64:
    """H K H of a Gram matrix (row, row), H the centring matrix."""
    rows = gram.mean(axis=0)
    return gram - rows[:, None] - rows[None, :] + rows.mean()


def unless_rounding(norm: float, gram: Float64) -> float:
    """0 where only rounding is left of a centred matrix, given its squared norm."""
    return norm if norm > NOTHING * float(np.trace(gram)) ** 2 else 0.0


def _shifted(x: Float64) -> Float64:
    shifted = x - x.mean(axis=0)
    return shifted if varies(float(np.vdot(shifted, shifted)), len(x), x[0]) else np.zeros_like(x)


def varies(squares: float, rows: int, example: Float64) -> bool:
    """Whether rows vary by more than rounding.

    Args:
        squares: the sum of their squared distances from a centre.
        rows: how many they are.
        example: (channel,), one of them, or the centre.
    """
    return squares > rows * 1e-24 * float(example @ example)


def _matrix(x: ArrayLike) -> Float64:
    matrix = np.asarray(x, np.float64)
    if matrix.ndim != 2:
        raise ValueError(f"a representation is a matrix (row, channel), not of the shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("a representation holds NaN or infinity; leave these rows out of both")
    return matrix
