"""Principal components of the tokens of a whole sweep, and the colours that they are shown in.

The covariance is gathered slab by slab in float64: blocks are centred on their own mean and merged (Chan,
Golub and LeVeque, Technical Report STAN-CS-79-773, 1979), which loses nothing where the mean is large. It
takes channels x channels numbers (210 MB for 5,120 channels), however many tokens there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from probes.maps.energy import Float32, Float64, blocks
from stores.errors import SelectionError

COMPONENTS = 3
"""As many as a picture has colours."""
COLOUR_QUANTILES = (0.01, 0.99)
"""Which share of a component's scores is the darkest and the brightest of its colour."""


class Moments:
    """Mean and scatter of the tokens that it is given, in float64.

    Attributes:
        count: tokens so far.
        mean: (channel,).
        scatter: (channel, channel), the sum of the products of what is off the mean.
    """

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.mean = np.zeros(channels)
        self.scatter = np.zeros((channels, channels))

    def add(self, tokens: Float32 | Float64) -> None:
        """Takes tokens (token, channel) in."""
        # Each block changes the whole scatter, so it should be about as large as that.
        for part in blocks(tokens, len(self.mean) // 2):
            block = tokens[part].astype(np.float64)
            count, mean = len(block), block.mean(axis=0)
            block -= mean
            total, off = self.count + count, mean - self.mean
            self.scatter += block.T @ block
            self.scatter += np.outer(off, off * (self.count * count / total))
            self.mean += off * (count / total)
            self.count = total


@dataclass(frozen=True, eq=False)
class Principal:
    """The first principal components.

    Attributes:
        centre: (channel,), the mean of the tokens that they were fitted on.
        axes: (component, channel), of length 1. The loading that is largest in size is positive, so that the
            same tokens have the same signs again.
        variance: (component,), of the tokens along each, with n - 1 in the denominator.
        total: the variance of all channels that count.
        tokens: how many they were fitted on.
    """

    centre: Float64
    axes: Float64
    variance: Float64
    total: float
    tokens: int

    @property
    def explained(self) -> Float64:
        """The share of the variance along each component, (component,)."""
        return self.variance / self.total

    def scores(self, tokens: Float32) -> Float64:
        """Where tokens (token, channel) lie along each component: (token, component)."""
        found = np.empty((len(tokens), len(self.axes)))
        for part in blocks(tokens):
            found[part] = (tokens[part].astype(np.float64) - self.centre) @ self.axes.T
        return found


def principal(moments: Moments, channels: NDArray[np.bool_] | None = None) -> Principal:
    """The first three components of tokens with these moments; equal to scikit-learn's ``PCA`` but for signs.

    Args:
        channels: (channel,), which of them count; the loadings of the others are 0. None is all.

    Raises:
        SelectionError: too few channels or tokens, or tokens that do not differ.
    """
    kept = np.arange(len(moments.mean)) if channels is None else np.flatnonzero(channels)
    if len(kept) < COMPONENTS:
        raise SelectionError(f"a PCA to red, green and blue needs {COMPONENTS} channels, not {len(kept)}")
    if moments.count <= COMPONENTS:
        raise SelectionError(
            f"a PCA to red, green and blue needs more than {COMPONENTS} tokens, not {moments.count}; "
            "choose more steps, layers or runs, or none with pca none"
        )
    covariance = moments.scatter[np.ix_(kept, kept)] / (moments.count - 1)
    total = float(np.trace(covariance))
    if not total > 0:
        raise SelectionError("all chosen tokens are alike, so they have no PCA; choose none with pca none")
    last = len(kept) - 1
    variance, vectors = scipy.linalg.eigh(covariance, subset_by_index=(last - COMPONENTS + 1, last))
    axes = np.zeros((COMPONENTS, len(moments.mean)))
    axes[:, kept] = vectors.T[::-1]
    largest = axes[np.arange(COMPONENTS), np.abs(axes).argmax(axis=1)]
    axes *= np.where(largest < 0, -1.0, 1.0)[:, None]
    return Principal(moments.mean.copy(), axes, np.maximum(variance[::-1], 0.0), total, moments.count)


def colour_limits(scores: NDArray[np.floating]) -> Float64:
    """The scores (..., component) that are darkest and brightest, (2, component), of those known."""
    columns = (scores[..., component].reshape(-1) for component in range(scores.shape[-1]))
    ends = [np.quantile(column[np.isfinite(column)], COLOUR_QUANTILES) for column in columns]
    return np.stack(ends, axis=1).astype(np.float64)


def colours(scores: NDArray[np.floating], limits: NDArray[np.floating]) -> Float64:
    """The scores (..., component) as red, green and blue between 0 and 1: (..., rgb).

    A colour depends on the scores and the limits (2, component) alone, so one colour is one token vector
    (as far as three numbers tell) wherever it is seen. Unknown ones stay NaN.
    """
    low, high = np.asarray(limits, dtype=np.float64)
    width = np.where(high > low, high - low, 1.0)
    return np.clip((scores - low) / width, 0.0, 1.0)
