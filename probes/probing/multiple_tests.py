"""Many tests at once: of a grid of cells, some look like something by chance alone.

Sources: Westfall and Young, Resampling-Based Multiple Testing (1993), section 2.3; Phipson and Smyth, Stat.
Appl. Genet. Mol. Biol. 9 (2010) 39, for p-values that are never 0; Benjamini and Hochberg, J. R. Stat. Soc. B
57 (1995) 289.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def permutation_p(observed: ArrayLike, nulls: ArrayLike) -> NDArray[np.float64]:
    """(1 + nulls at least as great as what was observed) / (1 + permutations), of each cell alone.

    Args:
        observed: (cell,) a statistic that is great where there is something.
        nulls: (cell, permutation) the same under permutation.

    Raises:
        ValueError: shapes that do not fit, values that are NaN, no permutation.
    """
    values, null = _checked(observed, nulls)
    return (1 + (null >= values[:, None] - _tolerance(values)[:, None]).sum(1)) / (1 + null.shape[1])


def family_wise(observed: ArrayLike, nulls: ArrayLike) -> NDArray[np.float64]:
    """p-values that hold over all cells together, by the greatest statistic of each permutation.

    The chance that any p-value of a true null hypothesis falls to alpha or below is at most alpha, however
    the cells hang together, because each permutation is the same at all cells (Westfall and Young, algorithm
    2.5, in a single step).

    Args:
        observed: (cell,) a statistic that is great where there is something, and of the same scale at all
            cells.
        nulls: (cell, permutation) the same under permutation, the same permutations at all cells.

    Returns:
        (cell,) p-values, at least 1 / (1 + permutations).

    Raises:
        ValueError: shapes that do not fit, values that are NaN, no permutation.
    """
    values, null = _checked(observed, nulls)
    greatest = null.max(0)
    return (1 + (greatest >= (values - _tolerance(values))[:, None]).sum(1)) / (1 + null.shape[1])


def benjamini_hochberg(p: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p-values (q-values): the share of false findings among all with such a value or less.

    Holds for independent and for positively dependent tests (Benjamini and Yekutieli 2001). It is for
    exploring: it bounds the expected share of false findings, not the chance of any.

    Args:
        p: (cell,) p-values of single cells.

    Raises:
        ValueError: p-values outside [0, 1], or none.
    """
    values = np.asarray(p, dtype=float)
    if values.ndim != 1 or values.size == 0 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p-values are numbers between 0 and 1, one a cell")
    order = np.argsort(values, kind="stable")
    scaled = values[order] * values.size / np.arange(1, values.size + 1)
    adjusted = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    result = np.empty(values.size)
    result[order] = adjusted
    return result


def _checked(observed: ArrayLike, nulls: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values, null = np.asarray(observed, dtype=float), np.asarray(nulls, dtype=float)
    if values.ndim != 1 or null.ndim != 2 or len(values) != len(null) or null.shape[1] == 0:
        raise ValueError(f"expected (cell,) and (cell, permutation), not {values.shape} and {null.shape}")
    if np.isnan(values).any() or np.isnan(null).any():
        raise ValueError("a statistic is NaN")
    return values, null


def _tolerance(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # A permutation that is the identity gives the observed statistic up to rounding, and has to count.
    return 1e-12 * np.maximum(1.0, np.abs(values))
