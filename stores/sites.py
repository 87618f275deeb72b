"""What a run holds of its sites, and finding a (step, layer, branch) in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from stores import dtypes, layout, selection
from stores.errors import SelectionError, StoreError
from stores.hdf5 import dataset, group
from stores.reduction import Reduction, parse_reduction
from stores.slabs.descriptor import Descriptor
from stores.slabs.reader import SlabReader
from stores.token_selection import ITEM_AXES, TokenSelection

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class SiteInfo:
    """What a run holds of a site under one reduction.

    Attributes:
        site: its name.
        reduction: what is kept of the token grid, as `stores.reduction` says.
        axes, shape: of one (step, layer, branch), after the reduction.
        layers, steps, branches: those that are stored, in order.
        grid: the token grid (frame, row, col), before the reduction.
        channels: of each token, before the reduction.
        dtype: "bf16", "fp16", "fp32" or "fp8".
        compression: "none", "lz4" or "zstd".
    """

    site: str
    reduction: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    layers: tuple[int, ...]
    steps: tuple[int, ...]
    branches: tuple[str, ...]
    grid: tuple[int, int, int]
    channels: int
    dtype: str
    compression: str

    @property
    def key(self) -> str:
        """What it is called in the run: see `layout.site_key`."""
        return layout.site_key(self.site, self.reduction)

    @property
    def item_axes(self) -> int:
        """How many axes a token has: 1, or 0 if its channels are reduced to one number."""
        return sum(axis in ITEM_AXES for axis in self.axes)

    @property
    def slab_bytes(self) -> int:
        """Bytes of one (step, layer, branch) in the file, before compression."""
        return prod(self.shape) * dtypes.memory_type(self.dtype).itemsize


class SiteReader:
    """One site of an open run, under one reduction.

    Raises:
        KeyError, ValueError: it is not as a `SiteWriter` leaves it.
    """

    def __init__(self, file: h5py.File, descriptor: Descriptor, key: str) -> None:
        self._file = file
        site, text = layout.split_site_key(key)
        path = f"{layout.ACTIVATIONS}/{key}"
        self.slabs = slab_reader(file, descriptor, path, len(layout.INDEX_AXES))
        scales = group(file, f"{layout.SCALES}/{key}")
        steps, layers = (tuple(dataset(scales, axis)[()].tolist()) for axis in ("step", "layer"))
        branches = tuple(text.decode("ascii") for text in dataset(scales, "branch")[()])
        if self.slabs.index_shape != (len(steps), len(layers), len(branches)):
            raise ValueError(f"site {key} and its scales do not fit together")
        attrs = dataset(file, path).attrs
        frame, row, col = np.asarray(attrs["grid"]).tolist()
        grid, channels = (frame, row, col), np.asarray(attrs["channels"]).item()
        try:
            reduction = parse_reduction(text)
            shape = reduction.shape(grid, channels)
        except SelectionError as error:
            raise ValueError(f"site {key}: {error}") from None
        if shape != self.slabs.slab_shape:
            raise ValueError(f"site {key} and its token grid do not fit together")
        self.info = SiteInfo(
            site,
            str(reduction),
            reduction.axes,
            self.slabs.slab_shape,
            layers,
            steps,
            branches,
            grid,
            channels,
            self.slabs.dtype,
            self.slabs.layout.compression,
        )
        self._check_extras(reduction)

    def index(self, step: int, layer: int, branch: str | None) -> tuple[int, int, int]:
        """Where a (step, layer, branch) lies; see `Run.read`.

        Raises:
            StoreError, SelectionError: it is not stored.
        """
        info = self.info
        where = f"site {info.key} of this run"
        (step,) = selection.select(step, info.steps, "steps", where)
        (layer,) = selection.select(layer, info.layers, "layers", where)
        branch = meant_branch(info.branches, branch, where)
        return info.steps.index(step), info.layers.index(layer), info.branches.index(branch)

    def read(
        self, index: tuple[int, int, int], tokens: TokenSelection | None = None, raw: bool = False
    ) -> Array:
        """What lies at ``index``, all of it or some tokens; see `Run.read`.

        Raises:
            ValueError, OSError: it is damaged, or cannot be read.
        """
        if tokens is None:
            return self.slabs.read(index) if raw else self.slabs.read_float32(index)
        found = self.slabs.read_items(index, tokens.items, self.info.item_axes, raw)
        return found.reshape(*tokens.shape, *found.shape[1:])

    def token_places(self) -> npt.NDArray[np.int64]:
        """(frame, row, col) of each token that ``tokens:K`` kept, (K, 3)."""
        return dataset(self._file, f"{layout.SCALES}/{self.info.key}/{layout.PLACES}")[()]

    def projection(self) -> npt.NDArray[np.float32]:
        """What ``project:K`` multiplied tokens by, (channel, component)."""
        return dataset(self._file, f"{layout.PROJECTIONS}/{self.info.key}")[()]

    def _check_extras(self, reduction: Reduction) -> None:
        key, shapes = self.info.key, dict[str, tuple[int, int]]()
        if reduction.tokens:
            shapes[f"{layout.SCALES}/{key}/{layout.PLACES}"] = (reduction.tokens, 3)
        if reduction.components:
            shapes[f"{layout.PROJECTIONS}/{key}"] = (self.info.channels, reduction.components)
        for path, shape in shapes.items():
            if dataset(self._file, path).shape != shape:
                raise ValueError(f"{path} is not of the shape {shape}")


def slab_reader(file: h5py.File, descriptor: Descriptor, path: str, indices: int) -> SlabReader:
    """A reader of the large dataset ``path``, of which ``indices`` axes index slabs.

    Raises:
        KeyError, ValueError: it is not as a `SlabWriter` leaves it.
    """
    factors = layout.factors_path(path)
    return SlabReader(
        dataset(file, path),
        dataset(file, f"{layout.CHECKSUMS}/{path}"),
        descriptor,
        indices,
        dataset(file, factors) if factors in file else None,
    )


def find_site(sites: dict[str, Any], site: str, reduction: str | None, path: Path) -> str:
    """The key in ``sites`` that is meant by a site, or a key, and a reduction; see `Run.read`.

    Raises:
        StoreError: there is none, or not a single one.
        SelectionError: the reduction means none.
    """
    stored = [key for key in sites if layout.split_site_key(key)[0] == site]
    if reduction is not None:
        key = layout.site_key(site, reduction)
        if key in stored:
            return key
    elif site in sites:
        return site
    elif len(stored) == 1:
        return stored[0]
    if not stored:
        raise StoreError(f"site {site!r}: {path} has {', '.join(sites) or 'no sites'}")
    reductions = ", ".join(layout.split_site_key(key)[1] for key in stored)
    if reduction is None:
        raise StoreError(f"site {site!r}: {path} has it as {reductions}; say which by reduction=")
    raise StoreError(f"site {site!r} as {reduction}: {path} has it as {reductions}")


def select_branches(
    asked: str | Iterable[str] | None, stored: tuple[str, ...], path: Path
) -> tuple[str, ...]:
    """Those of the ``stored`` branches of the run at ``path`` that are ``asked`` for; None is all of them.

    Raises:
        StoreError: one that is not stored, or none at all.
    """
    if asked is None:
        return stored
    names = (asked,) if isinstance(asked, str) else tuple(asked)
    missing = [name for name in names if name not in stored]
    if missing or not names:
        what = f"branch {missing[0]!r}" if missing else "no branch is selected"
        raise StoreError(f"{what}: {path} has {', '.join(stored)}")
    return tuple(name for name in stored if name in names)


def default_branch(branches: tuple[str, ...]) -> str:
    """The branch that is meant where none is named: "cond" if it is there, else the first."""
    return "cond" if "cond" in branches else branches[0]


def meant_branch(branches: tuple[str, ...], asked: str | None, where: Path | str) -> str:
    """The branch that is asked for, or where none is the default.

    Raises:
        StoreError: ``where`` does not hold it.
    """
    branch = default_branch(branches) if asked is None else asked
    if branch not in branches:
        raise StoreError(f"branch {branch!r}: {where} has {', '.join(branches)}")
    return branch
