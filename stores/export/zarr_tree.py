"""A zarr group of labelled arrays over samples and seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stores import layout
from stores.errors import StoreError
from stores.reader import Run

if TYPE_CHECKING:
    import zarr

Array = npt.NDArray[Any]

_SHARD = 2**27
_RUN_AXES = ("sample", "seed")


@dataclass(frozen=True)
class Division:
    """How the part of an array that belongs to one run is divided, so that there are few files, none huge.

    Attributes:
        index: how many slabs there are along each index axis.
        slab: shape of a slab.
        block: how many slabs along each index axis are in a file (a shard), and written at once.
        chunk: of the slab's first axis, entries that are compressed together.
    """

    index: tuple[int, ...]
    slab: tuple[int, ...]
    block: tuple[int, ...]
    chunk: int

    @classmethod
    def of(cls, index: tuple[int, ...], slab: tuple[int, ...], dtype: np.dtype[Any]) -> Division:
        """The division of so many slabs of this shape and type."""
        size = prod(slab) * dtype.itemsize
        block = [1] * len(index)
        for axis in reversed(range(len(index))):
            block[axis] = min(index[axis], max(1, _SHARD // (size * prod(block))))
            if block[axis] < index[axis]:
                break
        chunk = layout.chunk_length(slab[0], prod(slab[1:]) * dtype.itemsize) if slab else 1
        return cls(index, slab, tuple(block), chunk)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all of it."""
        return (*self.index, *self.slab)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of a chunk."""
        return (*(1 for _ in self.index), *((self.chunk, *self.slab[1:]) if self.slab else ()))

    @property
    def shards(self) -> tuple[int, ...]:
        """Shape of a shard."""
        return (*self.block, *self.slab)


class Cube:
    """An array (sample, seed, ...) of the tree, of which each run fills a part."""

    def __init__(
        self, array: zarr.Array, division: Division, place: Callable[[Run], tuple[int, int]]
    ) -> None:
        self.division = division
        self._array = array
        self._place = place

    def fill(self, run: Run, read: Callable[[tuple[int, ...]], Array]) -> None:
        """Writes the part of ``run``; ``read`` gives the slab at an index. A block is in memory at a time."""
        division = self.division
        starts = (range(0, n, b) for n, b in zip(division.index, division.block, strict=True))
        for start in product(*starts):
            stop = [min(s + b, n) for s, b, n in zip(start, division.block, division.index, strict=True)]
            lengths = [end - begin for begin, end in zip(start, stop, strict=True)]
            block = np.empty((*lengths, *division.slab), self._array.dtype)
            for offset in np.ndindex(*lengths):
                block[offset] = read(tuple(s + o for s, o in zip(start, offset, strict=True)))
            slices = (slice(begin, end) for begin, end in zip(start, stop, strict=True))
            self._array[(*self._place(run), *slices, ...)] = block


class ZarrTree:
    """A new zarr group in the folder ``path``, with the coordinates of these samples and seeds."""

    def __init__(self, path: Path, samples: Sequence[str], seeds: Sequence[int]) -> None:
        import zarr

        self._root = zarr.open_group(path, mode="w-", zarr_format=3)
        self._samples = {name: place for place, name in enumerate(samples)}
        self._seeds = {seed: place for place, seed in enumerate(seeds)}
        self._groups: dict[str, zarr.Group] = {}
        self._cubes: dict[str, Cube] = {}
        self._shared: dict[str, Array] = {}
        self._collected: dict[tuple[str, str], tuple[tuple[str, ...], Array]] = {}

    def set_attrs(self, group: str, attributes: Mapping[str, Any]) -> None:
        """Adds to the attributes of a group; "" is the root."""
        self._group(group).attrs.update(attributes)

    def put(self, group: str, name: str, axes: tuple[str, ...], values: Array) -> None:
        """Writes an array in one piece."""
        text = values.dtype.kind == "U"
        made = self._group(group).create_array(
            name,
            shape=values.shape,
            dtype=str if text else values.dtype,
            dimension_names=axes,
        )
        made[...] = values.astype(object) if text else values

    def share(self, run: Run, group: str, name: str, axes: tuple[str, ...], values: Array) -> None:
        """Writes an array that all runs have in common, when the first of them brings it.

        Raises:
            StoreError: another run brought another one.
        """
        path = f"{group}/{name}"
        if path not in self._shared:
            self._shared[path] = values
            self.put(group, name, axes, values)
        elif not are_equal(self._shared[path], values):
            raise _unlike(run, f"its {name}{group and f' of {group}'}")

    def collect(self, run: Run, group: str, name: str, axes: tuple[str, ...], values: Array) -> None:
        """Keeps the part of ``run`` of a small array (sample, seed, ``axes``), until `finish` writes it.

        Raises:
            StoreError: ``run`` has it in another shape than the first.
        """
        path = group, name
        if path not in self._collected:
            shape = (len(self._samples), len(self._seeds), *values.shape)
            empty = np.full(shape, np.nan if values.dtype.kind == "f" else 0, values.dtype)
            self._collected[path] = (axes, empty)
        _, kept = self._collected[path]
        if kept.shape[2:] != values.shape:
            raise _unlike(run, f"the length of its {name}")
        kept[self._place(run)] = values

    def finish(self) -> None:
        """Writes what was collected."""
        for (group, name), (axes, values) in self._collected.items():
            self._labelled(group)
            self.put(group, name, (*_RUN_AXES, *axes), values)

    def cube(
        self,
        run: Run,
        group: str,
        name: str,
        axes: tuple[str, ...],
        division: Division,
        dtype: np.dtype[Any],
    ) -> Cube:
        """The array (sample, seed, ``axes``) of that name; the first run to have it makes it.

        Raises:
            StoreError: ``run`` has it in another shape.
        """
        path = f"{group}/{name}"
        if path not in self._cubes:
            array = self._make(group, name, axes, division, dtype)
            self._cubes[path] = Cube(array, division, self._place)
        cube = self._cubes[path]
        if cube.division != division:
            here, there = (" x ".join(map(str, each.shape)) for each in (division, cube.division))
            raise _unlike(run, f"the shape of its {name}, {here} and not {there},")
        return cube

    def _make(
        self, group: str, name: str, axes: tuple[str, ...], division: Division, dtype: np.dtype[Any]
    ) -> zarr.Array:
        from zarr.codecs import BloscCodec

        place = self._labelled(group)
        sharded = division.shards != division.chunks
        return place.create_array(
            name,
            shape=(len(self._samples), len(self._seeds), *division.shape),
            chunks=(1, 1, *division.chunks),
            shards=(1, 1, *division.shards) if sharded else None,
            dtype=dtype,
            fill_value=np.nan if dtype.kind == "f" else 0,
            compressors=BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle"),
            dimension_names=(*_RUN_AXES, *axes),
            # Otherwise a file would lie in as many folders as the array has axes.
            chunk_key_encoding={"name": "default", "separator": "."},
        )

    def _labelled(self, group: str) -> zarr.Group:
        """The group, with the coordinates of samples and seeds in it."""
        place = self._group(group)
        if "sample" not in place:
            self.put(group, "sample", ("sample",), np.asarray(list(self._samples)))
            self.put(group, "seed", ("seed",), np.asarray(list(self._seeds), np.int64))
        return place

    def _group(self, path: str) -> zarr.Group:
        if path not in self._groups:
            self._groups[path] = self._root.require_group(path) if path else self._root
        return self._groups[path]

    def _place(self, run: Run) -> tuple[int, int]:
        return self._samples[run.sample], self._seeds[run.seed]


def are_equal(a: npt.ArrayLike, b: npt.ArrayLike) -> bool:
    """Whether two arrays have one shape and hold the same; NaN is the same as NaN."""
    x, y = np.asarray(a), np.asarray(b)
    return np.array_equal(x, y, equal_nan=x.dtype.kind == y.dtype.kind == "f")


def _unlike(run: Run, what: str) -> StoreError:
    return StoreError(
        f"{run.path}: {what} differs from the runs before it, and zarr has one array for all; "
        "select runs of one size, or export into hdf5"
    )
