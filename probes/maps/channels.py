"""Which channels are largest, and which activations are massive.

Sun, Chen, Kolter and Liu ("Massive Activations in Large Language Models", 2024, arXiv 2402.17762) call an
activation massive whose magnitude is above 100 and at least about 1,000 times the median magnitude of its
hidden state. A hidden state is here what a (run, step, layer) holds: all its tokens with all their channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.maps.energy import Float32, Float64, blocks
from probes.maps.places import Kept
from stores.errors import SelectionError

TOP = 10
"""How many of the largest channels are named."""


@dataclass(frozen=True)
class MassiveRule:
    """An activation is massive if its magnitude is above ``least`` and at least ``ratio`` times the median.

    Raises:
        SelectionError: ``least`` is negative or ``ratio`` less than 1.
    """

    least: float = 100.0
    ratio: float = 1000.0

    def __post_init__(self) -> None:
        if not self.least >= 0 or not self.ratio >= 1:
            raise SelectionError(
                f"massive activations above {self.least:g} and {self.ratio:g} times the median: "
                "the first has to be 0 or more, the second 1 or more"
            )

    def holds(self, magnitude: NDArray[np.floating], median: float) -> NDArray[np.bool_]:
        """Which of these magnitudes are massive, where the median magnitude is this."""
        return (magnitude > self.least) & (magnitude >= self.ratio * median)

    def __str__(self) -> str:
        return f"magnitude above {self.least:g} and at least {self.ratio:g} times the median"


@dataclass(frozen=True, eq=False)
class SlabChannels:
    """The channels of one slab.

    Attributes:
        median: of the magnitudes of all tokens and channels.
        peak: (channel,), the largest magnitude over tokens.
        token: (channel,), the token with that, the first of several.
        massive: (channel,), in how many tokens each is massive.
        massive_here: (token,), how many channels of each are massive.
    """

    median: float
    peak: Float64
    token: NDArray[np.intp]
    massive: NDArray[np.int64]
    massive_here: NDArray[np.int64]

    def largest(self, count: int = TOP) -> NDArray[np.intp]:
        """The channels of largest peak, the largest first; of equal ones the lower number."""
        return np.argsort(-self.peak, kind="stable")[:count]


def slab_channels(tokens: Float32, rule: MassiveRule) -> SlabChannels:
    """What the channels of tokens (token, channel) are like; the tokens are read in blocks."""
    channels = np.arange(tokens.shape[1])
    peak, token = np.full(len(channels), -1.0), np.zeros(len(channels), np.intp)
    for part in blocks(tokens):
        magnitude = np.abs(tokens[part])
        first = magnitude.argmax(axis=0)
        highest = magnitude[first, channels].astype(np.float64)
        higher = highest > peak
        peak[higher], token[higher] = highest[higher], first[higher] + part.start
    massive, here = np.zeros(len(channels), np.int64), np.zeros(len(tokens), np.int64)
    median = median_magnitude(tokens)
    suspects = np.flatnonzero(rule.holds(peak, median))
    if suspects.size:
        for part in blocks(tokens):
            held = rule.holds(np.abs(tokens[part][:, suspects]).astype(np.float64), median)
            massive[suspects] += held.sum(axis=0)
            here[part] = held.sum(axis=1)
    return SlabChannels(median, peak, token, massive, here)


def median_magnitude(tokens: Float32) -> float:
    """The median of the magnitudes of tokens (token, channel), exactly as `numpy.median` gives it.

    The bits of floats that are not negative are ordered as the floats are, so it is found by counting: their
    upper halves first, then the lower halves of those that share the median's. That takes no copy of the
    slab, and is quicker than a partition of it.
    """
    ranks = ((tokens.size - 1) // 2, tokens.size // 2)
    upper = np.zeros(1 << 15, np.int64)
    for part in blocks(tokens):
        upper += np.bincount(_bits(tokens[part]) >> 16, minlength=len(upper))
    below = np.concatenate([[0], np.cumsum(upper)])
    halves = [int(np.searchsorted(below, rank, side="right")) - 1 for rank in ranks]
    found = list[float]()
    for rank, half in zip(ranks, halves, strict=True):
        lower = np.zeros(1 << 16, np.int64)
        for part in blocks(tokens):
            bits = _bits(tokens[part])
            lower += np.bincount(bits[bits >> 16 == half] & 0xFFFF, minlength=len(lower))
        low = int(np.searchsorted(np.cumsum(lower), rank - below[half], side="right"))
        found.append(np.array(half << 16 | low, np.uint32).view(np.float32).item())
    # As NumPy does: the mean of the two in the middle, in their own precision.
    return float(np.mean(np.array(found, np.float32)))


def _bits(block: Float32) -> NDArray[np.uint32]:
    """The bits of the magnitudes, flat."""
    return np.ascontiguousarray(block).reshape(-1).view(np.uint32) & np.uint32(0x7FFFFFFF)


@dataclass(eq=False)
class ChannelTable:
    """The largest channels of every slab of a sweep; axes begin with (run, step, layer).

    Attributes:
        median: of the magnitudes.
        channel, peak, token, tokens: of the largest channels (..., rank): the number, the largest magnitude,
            the flat index on the grid of the token with it, and in how many tokens the channel is massive.
        massive: (layer, channel), which channels are massive at a layer in any step and run.
        massive_channels: how many channels are massive.
        massive_here: in how many channels each token is massive, a map (..., frame, row, col); None if no
            activation of the sweep is.
        largest: (channel,), the largest peak in the sweep.
    """

    median: Float64
    channel: NDArray[np.int64]
    peak: Float64
    token: NDArray[np.int64]
    tokens: NDArray[np.int64]
    massive: NDArray[np.bool_]
    massive_channels: NDArray[np.int64]
    largest: Float64
    massive_here: Float32 | None = None

    @classmethod
    def empty(cls, shape: tuple[int, int, int], channels: int) -> ChannelTable:
        """For so many (run, step, layer)."""
        ranked = (*shape, min(TOP, channels))
        channel, token, tokens = (np.zeros(ranked, np.int64) for _ in range(3))
        massive = np.zeros((shape[2], channels), bool)
        counts = np.zeros(shape, np.int64)
        return cls(
            np.zeros(shape), channel, np.zeros(ranked), token, tokens, massive, counts, np.zeros(channels)
        )

    def keep(self, at: tuple[int, int, int], slab: SlabChannels, kept: Kept) -> None:
        """Takes in what was found at one (run, step, layer)."""
        ranked = slab.largest(self.channel.shape[-1])
        token = slab.token[ranked]
        self.median[at], self.channel[at], self.peak[at] = slab.median, ranked, slab.peak[ranked]
        self.token[at] = token if kept.places is None else kept.places[token]
        self.tokens[at] = slab.massive[ranked]
        self.massive[at[2]] |= slab.massive > 0
        self.massive_channels[at] = (slab.massive > 0).sum()
        np.maximum(self.largest, slab.peak, out=self.largest)
        if slab.massive.any():
            if self.massive_here is None:
                none = kept.on_grid(np.zeros(kept.tokens, np.float32))
                self.massive_here = np.broadcast_to(none, (*self.median.shape, *kept.grid)).copy()
            self.massive_here[at] = kept.on_grid(slab.massive_here.astype(np.float32))
