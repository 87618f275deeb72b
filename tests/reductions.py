"""Reductions by their definition, in float64: what reduced activations are compared with."""

from __future__ import annotations

import numpy as np


def reduced(
    reduction: str, full: np.ndarray, places: np.ndarray | None, projection: np.ndarray | None
) -> np.ndarray:
    """``reduction`` of ``full`` (frame, row, col, channel), with the random choices of it that were made.

    Args:
        places: (token, 3), of ``tokens:K``.
        projection: (channel, component), of ``project:K``.
    """
    x = full.astype(np.float64)
    for part in reduction.split("+"):
        name = part.partition(":")[0]
        if name == "frames":
            x = x.mean((1, 2))
        elif name == "mean":
            x = x.mean((0, 1, 2))
        elif name == "norm":
            x = np.sqrt((x**2).sum(-1))
        elif name == "tokens":
            assert places is not None
            x = np.stack([x[tuple(place)] for place in places])
        elif name == "project":
            assert projection is not None
            x = x @ projection.astype(np.float64)
    return x
