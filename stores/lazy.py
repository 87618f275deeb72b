"""Activations of many runs as one array that is read when it is indexed, and no further than that."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from xarray.backends import BackendArray
from xarray.core import indexing

from stores import layout
from stores.errors import StoreError
from stores.sites import SiteInfo
from stores.slabs.parts import Indices
from stores.token_selection import TokenSelection

if TYPE_CHECKING:
    from stores.reader import Run
    from stores.store import Store

Float32 = npt.NDArray[np.float32]


class SlabArray(BackendArray):
    """(sample, seed, step, layer, branch, and the axes of the selection) in float32, for xarray.

    Args:
        store: where it is.
        info: of the site in the first run; the others must have slabs of the same shape.
        places: which tokens the first run keeps, if it keeps some only; the others must keep the same.
        variant: of the runs.
        labels: samples, seeds, steps, layers and branches.
        tokens: the selection; None is everything.

    Attributes:
        dims: the names of the axes.
    """

    def __init__(
        self,
        store: Store,
        info: SiteInfo,
        places: npt.NDArray[np.int64] | None,
        variant: str,
        labels: tuple[tuple[Any, ...], ...],
        tokens: TokenSelection | None,
    ) -> None:
        self._store = store
        self._info = info
        self._places = places
        self._variant = variant
        self._labels = labels
        self._tokens = tokens
        count = len(info.axes) - info.item_axes
        self._axes = info.axes[:count] if tokens is None else tokens.axes
        token_shape = info.shape[:count] if tokens is None else tokens.shape
        self._slab_shape = (*token_shape, *info.shape[count:])
        self.dims = ("sample", "seed", *layout.INDEX_AXES, *self._axes, *info.axes[count:])
        self.shape = (*map(len, labels), *self._slab_shape)
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Float32:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> Float32:
        """What is at the combinations of ``key``: of each axis a slice, numbers, or one, which drops it."""
        chosen = [np.arange(length)[part] for length, part in zip(self.shape, key, strict=True)]
        numbers = [np.atleast_1d(part) for part in chosen]
        runs, slabs, parts = numbers[:2], numbers[2 : len(self._labels)], numbers[len(self._labels) :]
        found = np.empty([len(part) for part in numbers], np.float32)
        if not found.size:
            return found.reshape([len(part) for part in chosen if part.ndim])
        places = iter(found.reshape(-1, *found.shape[len(self._labels) :]))
        reading = _Part(parts, self._slab_shape, self._axes, self._tokens)
        for sample, seed in product(*self._named(runs, 0)):
            run = self._store.shared_run(sample, seed, self._variant)
            self._require_same_tokens(run, sample)
            for index in product(*self._named(slabs, 2)):
                reading.fill(next(places), run, self._info.key, *index)
        return found.reshape([len(part) for part in chosen if part.ndim])

    def _named(self, numbers: list[Indices], first: int) -> list[list[Any]]:
        return [[self._labels[first + axis][n] for n in part] for axis, part in enumerate(numbers)]

    def _require_same_tokens(self, run: Run, sample: str) -> None:
        info = run.site(self._info.key)
        # Of what is reduced further, only what is left of the token grid has to be the same.
        if info.shape != self._info.shape or (self._places is not None and info.grid != self._info.grid):
            raise StoreError(
                f"site {info.key}: sample {sample} has the token grid {_grid(info)}, sample "
                f"{self._labels[0][0]} {_grid(self._info)}; select samples of one size"
            )
        if self._places is not None and not np.array_equal(run.token_places(info.key), self._places):
            raise StoreError(
                f"site {info.key}: {run.path} keeps other tokens of the token grid than sample "
                f"{self._labels[0][0]}; select samples that keep the same, or read them one by one"
            )


class _Part:
    """The same part of every slab: ``numbers`` of each axis of a selection of its tokens."""

    def __init__(
        self,
        numbers: list[Indices],
        shape: tuple[int, ...],
        axes: tuple[str, ...],
        tokens: TokenSelection | None,
    ) -> None:
        count = len(axes)
        whole = [np.array_equal(part, np.arange(length)) for part, length in zip(numbers, shape, strict=True)]
        self._is_whole = tokens is None and all(whole)
        self._within = tuple(numbers[count:])
        self._tokens: TokenSelection | None = None
        if tokens is not None or not all(whole[:count]):
            items = np.arange(prod(shape[:count])) if tokens is None else tokens.items
            items = items.reshape(shape[:count])[np.ix_(*numbers[:count])].reshape(-1)
            self._tokens = TokenSelection(axes, tuple(numbers[:count]), items)

    def fill(self, place: Float32, run: Run, key: str, step: int, layer: int, branch: str) -> None:
        """Reads it from one slab."""
        if self._is_whole:
            run.fill(place, key, step, layer, branch)
        else:
            place[...] = run.read_selected(key, step, layer, branch, self._tokens)[(..., *self._within)]


def _grid(info: SiteInfo) -> str:
    return "x".join(map(str, info.grid))
