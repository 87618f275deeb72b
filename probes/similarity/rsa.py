"""Representational similarity analysis (RSA): are the same rows near one another?

Kriegeskorte, Mur and Bandettini (2008, Frontiers in Systems Neuroscience 2:4): all distances between the rows
of one representation, its representational dissimilarity matrix (RDM), are compared with those of the other.
With Spearman's correlation only the order of the distances counts.

There is no unbiased form of these measures but for repeated measurements (crossvalidated distances). Of
squared Euclidean distances and the cosine of centred matrices there is: that is CKA, biased or debiased
(Williams 2024, arXiv 2411.08197), so it is not here again.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from probes.similarity.moments import Float64
from stores.errors import SelectionError

Distance = Literal["correlation", "euclidean"]
Agreement = Literal["spearman", "pearson", "cosine"]
DISTANCES: tuple[str, ...] = get_args(Distance)
AGREEMENTS: tuple[str, ...] = get_args(Agreement)
LEAST_ROWS = 3
"""Two rows have one distance, which correlates with nothing."""


def dissimilarities(x: ArrayLike, distance: Distance = "correlation") -> Float64:
    """The distance of each pair of rows: (pair,) in the order of `numpy.triu_indices`, float64.

    Args:
        x: (row, channel).
        distance: "correlation" is 1 - Pearson's correlation over channels, NaN for rows whose channels are
            all equal; "euclidean" the root of the sum of squares.

    Raises:
        SelectionError: fewer than three rows, or for correlation a single channel.
    """
    from scipy.spatial.distance import pdist

    rows = np.asarray(x, np.float64)
    if len(rows) < LEAST_ROWS:
        raise SelectionError(f"RSA needs at least {LEAST_ROWS} rows, not {len(rows)}")
    if distance == "euclidean":
        return np.asarray(pdist(rows, "euclidean"), np.float64)
    if rows.shape[1] < 2:
        raise SelectionError("the correlation distance needs two channels or more; choose euclidean")
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.sqrt(np.einsum("ij,ij->i", centred, centred))
    size = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    # Channels that are all equal leave rounding, whose direction means nothing.
    length[length <= 1e-12 * size] = np.nan
    centred /= length[:, None]
    products = centred @ centred.T
    return 1.0 - products[np.triu_indices(len(rows), 1)]


def standardised(distances: Float64, agreement: Agreement = "spearman") -> Float64:
    """Distances (pair,) made so that the dot product of two such vectors is how they agree.

    All NaN where that is not defined: distances that are all equal (for the cosine, all 0) or not known.
    Ties share their mean rank.
    """
    from scipy.stats import rankdata

    if not np.isfinite(distances).all():
        return np.full(len(distances), np.nan)
    values = np.asarray(rankdata(distances) if agreement == "spearman" else distances, np.float64)
    size = float(np.linalg.norm(values))
    if agreement != "cosine":
        values = values - values.mean()
    length = float(np.linalg.norm(values))
    if length <= 1e-12 * size:
        return np.full(len(distances), np.nan)
    return values / length


def rsa(
    x: ArrayLike,
    y: ArrayLike,
    *,
    distance: Distance = "correlation",
    agreement: Agreement = "spearman",
) -> float:
    """How the dissimilarities of two representations of the same rows agree: a number in [-1, 1].

    Args:
        x, y: (row, channel) and (row, other channel).
        distance, agreement: as in `dissimilarities` and `standardised`.

    Raises:
        SelectionError: the numbers of rows differ, or are too few.
    """
    first, second = dissimilarities(x, distance), dissimilarities(y, distance)
    if len(first) != len(second):
        raise SelectionError("RSA compares the same rows of two representations; these differ in number")
    return agree(standardised(first, agreement), standardised(second, agreement))


def agree(first: Float64, second: Float64) -> float:
    """The dot product of two standardised vectors, within [-1, 1]; NaN where one is not defined."""
    return float(np.clip(first @ second, -1.0, 1.0))
