"""Energy: the L2 norm of a token over its channels, and how it goes from frame to frame.

Sums are taken in float64 over a few rows at a time, so a slab costs little more memory than itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_BLOCK = 1 << 21
"""Numbers that are turned into float64 at once (16 MiB)."""


def blocks(tokens: NDArray[Any], least: int = 1) -> Iterator[slice]:
    """Slices of tokens (token, channel) that are small enough to be turned into float64 together.

    ``least`` tokens are in each all the same, but the last.
    """
    rows = max(least, _BLOCK // max(1, tokens.shape[1]))
    for start in range(0, len(tokens), rows):
        yield slice(start, min(start + rows, len(tokens)))


def token_energy(tokens: Float32, channels: NDArray[np.bool_] | None = None) -> Float64:
    """The L2 norm of each of the tokens (token, channel): (token,), in the activations' own unit.

    ``channels`` (channel,) says which of them count; None is all.
    """
    energy = np.empty(len(tokens))
    for part in blocks(tokens):
        block = tokens[part] if channels is None else tokens[part][:, channels]
        energy[part] = np.linalg.norm(block.astype(np.float64), axis=1)
    return energy


def frame_energy(energy: NDArray[Any]) -> Float64:
    """The mean energy of each frame of maps (..., frame, row, col): (..., frame), float64.

    Tokens that are not known (NaN) do not count; a frame of which none is known is NaN.
    """
    return _mean_of_known(energy, (-2, -1))


def layer_energy(energy: NDArray[Any]) -> Float64:
    """The mean energy of all known tokens of maps (..., frame, row, col): (...), float64."""
    return _mean_of_known(energy, (-3, -2, -1))


def frame_change(tokens: Float32) -> Float64:
    """How far tokens move from one frame to the next: (frame,), the first NaN.

    The L2 distance between a token and that of the same row and column one frame before, averaged over rows
    and columns. ``tokens`` are (frame, place, channel).
    """
    change = np.full(len(tokens), np.nan)
    for frame in range(1, len(tokens)):
        total = 0.0
        for part in blocks(tokens[frame]):
            difference = tokens[frame][part].astype(np.float64) - tokens[frame - 1][part]
            total += float(np.linalg.norm(difference, axis=1).sum())
        change[frame] = total / tokens.shape[1]
    return change


def _mean_of_known(maps: NDArray[Any], axes: tuple[int, ...]) -> Float64:
    known = np.isfinite(maps)
    counts = known.sum(axis=axes)
    sums = np.where(known, maps, 0.0).sum(axis=axes, dtype=np.float64)
    return np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
