"""From what a reduction keeps of the tokens to the token grid.

Whatever is kept is laid on a grid (frame, row, col), so that all that follows knows one shape: ``tokens:K``
leaves the other places unknown (NaN), ``frames`` has one row and one column, ``mean`` one frame as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.maps.energy import Float32
from stores.reader import Run

_GRID = ("frame", "row", "col")


@dataclass(frozen=True, eq=False)
class Kept:
    """What a site keeps of each token, and of which tokens.

    Attributes:
        grid: (frame, row, col) of its maps.
        places: (token,), where on the grid each token lies; None if they are all of it, in order.
        items: "channel", "component" or "energy": what there is of a token.
        channels: how many channels or components; 1 for energies.
        projection: (channel, component) for components, else None.
        reduction: its text.
    """

    grid: tuple[int, int, int]
    places: NDArray[np.int64] | None
    items: str
    channels: int
    projection: Float32 | None
    reduction: str

    @classmethod
    def of(cls, run: Run, key: str) -> Kept:
        """What the run keeps under a key of `Run.sites`."""
        info = run.site(key)
        item = info.axes[-1] if info.item_axes else "energy"
        lengths = dict(zip(info.axes, info.shape, strict=True))
        places: NDArray[np.int64] | None = None
        if "token" in lengths:
            flat = np.ravel_multi_index(tuple(run.token_places(key).T), info.grid)
            places = np.asarray(flat, dtype=np.int64)
            grid = info.grid
        else:
            frames, rows, cols = (lengths.get(axis, 1) for axis in _GRID)
            grid = (frames, rows, cols)
        projection = run.projection(key) if item == "component" else None
        return cls(grid, places, item, lengths.get(item, 1), projection, info.reduction)

    @property
    def tokens(self) -> int:
        """How many tokens are kept."""
        return math.prod(self.grid) if self.places is None else len(self.places)

    @property
    def frames(self) -> list[int]:
        """The frames of which some token is kept."""
        if self.places is None:
            return list(range(self.grid[0]))
        return np.unique(self.places // (self.grid[1] * self.grid[2])).tolist()

    @property
    def scale(self) -> float:
        """What the energy of a projected token is multiplied by to estimate the token's own.

        A Gaussian projection P treats directions alike, so the mean of |x P|^2 is |x|^2 |P|^2 / channels
        (Johnson and Lindenstrauss 1984); with K components the estimate of |x|^2 has the relative standard
        deviation sqrt(2 / K).
        """
        if self.projection is None:
            return 1.0
        size = float(np.linalg.norm(self.projection.astype(np.float64)))
        return math.sqrt(len(self.projection)) / size

    def rows(self, slab: Float32) -> Float32:
        """A slab as (token, channel)."""
        return slab.reshape(self.tokens, self.channels)

    def on_grid(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values (token, ...) as (frame, row, col, ...); places without a token are NaN."""
        if self.places is None:
            return values.reshape(*self.grid, *values.shape[1:])
        full = np.full((math.prod(self.grid), *values.shape[1:]), np.nan, dtype=values.dtype)
        full[self.places] = values
        return full.reshape(*self.grid, *values.shape[1:])

    def differences(self, other: Kept) -> str | None:
        """Why maps of the two cannot be compared, in words; None if they can."""
        if self.grid != other.grid:
            grids = ("x".join(map(str, one.grid)) for one in (self, other))
            return "have the token grids " + " and ".join(grids)
        if (self.items, self.channels) != (other.items, other.channels):
            return f"have {self.channels} and {other.channels} {self.items}s"
        if not _same(self.places, other.places):
            return "keep other tokens"
        if not _same(self.projection, other.projection):
            return "are projected by other matrices"
        return None


def _same(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)
