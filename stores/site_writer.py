"""Writing a site: announcing what will be stored of it, and finding each (step, layer, branch) its place."""

from __future__ import annotations

from dataclasses import dataclass

import h5py
import numpy as np
import numpy.typing as npt

from stores import layout
from stores.guarded_file import GuardedFile
from stores.hdf5 import dataset
from stores.reduction import Reduction
from stores.slabs.layout import SlabLayout
from stores.slabs.writer import SlabWriter


@dataclass(frozen=True)
class SitePlan:
    """What is going to be stored of a site under one reduction; see `RunWriter.add_site`.

    Raises:
        ValueError: it does not fit together.
        SelectionError: the reduction means none, or asks for more than the token grid or a token has.
    """

    site: str
    reduction: Reduction
    layers: tuple[int, ...]
    steps: tuple[int, ...]
    branches: tuple[str, ...]
    grid: tuple[int, int, int]
    channels: int
    token_places: npt.NDArray[np.int64] | None
    projection: npt.NDArray[np.float32] | None
    projection_seed: int | None

    def __post_init__(self) -> None:
        layout.check_site_name(self.site)
        for what, numbers in (("layers", self.layers), ("steps", self.steps)):
            if not numbers or numbers[0] < 0 or list(numbers) != sorted(set(numbers)):
                raise ValueError(f"{self.site}: {what} must ascend from 0 or more, got {list(numbers)}")
        named = all(map(layout.is_branch_name, self.branches))
        if not self.branches or len(set(self.branches)) != len(self.branches) or not named:
            raise ValueError(
                f"{self.site}: branches must be different names such as cond and uncond, "
                f"got {list(self.branches)}"
            )
        if len(self.grid) != 3 or min(*self.grid, self.channels) < 1:
            shape = (*self.grid, self.channels)
            raise ValueError(f"{self.key}: no axis may be empty, got (frame, row, col, channel) of {shape}")
        self._check_places()
        self._check_projection()

    @property
    def key(self) -> str:
        """What it is called in the file."""
        return layout.site_key(self.site, self.reduction)

    @property
    def slab_shape(self) -> tuple[int, ...]:
        """Of one (step, layer, branch)."""
        return self.reduction.shape(self.grid, self.channels)

    def _check_places(self) -> None:
        count, places = self.reduction.tokens, self.token_places
        if (places is None) != (count == 0):
            raise ValueError(f"{self.key}: token places are for tokens:K, which needs them")
        if places is None:
            return
        if places.shape != (count, 3) or places.dtype.kind not in "iu":
            raise ValueError(
                f"{self.key}: expected {count} places (frame, row, col), got {places.dtype} of {places.shape}"
            )
        if (places < 0).any() or (places >= self.grid).any():
            raise ValueError(f"{self.key}: a token place is outside the token grid {self.grid}")
        if len(np.unique(places, axis=0)) < count:
            raise ValueError(f"{self.key}: a token place comes twice")

    def _check_projection(self) -> None:
        count, projection = self.reduction.components, self.projection
        if (projection is None) != (count == 0) or (self.projection_seed is None) != (count == 0):
            raise ValueError(f"{self.key}: a projection and its seed are for project:K, which needs them")
        if projection is None:
            return
        if projection.shape != (self.channels, count) or projection.dtype != np.float32:
            raise ValueError(
                f"{self.key}: expected a projection of ({self.channels}, {count}) in float32, "
                f"got {projection.shape} in {projection.dtype}"
            )


class SiteWriter:
    """Writes the activations of one site under one reduction; see `RunWriter.write`."""

    def __init__(self, file: h5py.File, guarded: GuardedFile, plan: SitePlan, slab: SlabLayout) -> None:
        shape = (len(plan.steps), len(plan.layers), len(plan.branches))
        axes = (*layout.INDEX_AXES, *plan.reduction.axes)
        self.path = f"{layout.ACTIVATIONS}/{plan.key}"
        self.slabs = SlabWriter(file, guarded, self.path, shape, slab, axes)
        self._steps = {number: index for index, number in enumerate(plan.steps)}
        self._layers = {number: index for index, number in enumerate(plan.layers)}
        self._branches = {name: index for index, name in enumerate(plan.branches)}
        _describe(file, self.path, plan)

    def index(self, step: int, layer: int, branch: str) -> tuple[int, int, int]:
        """Where a (step, layer, branch) lies; raises KeyError if it was not announced."""
        return self._steps[step], self._layers[layer], self._branches[branch]


def _describe(file: h5py.File, path: str, plan: SitePlan) -> None:
    activations = dataset(file, path)
    activations.attrs["grid"] = np.asarray(plan.grid, "<i8")
    activations.attrs["channels"] = np.int64(plan.channels)
    scales = file.create_group(f"{layout.SCALES}/{plan.key}")
    values = (np.asarray(plan.steps, "<i8"), np.asarray(plan.layers, "<i8"), np.asarray(plan.branches, "S"))
    for axis, (name, numbers) in enumerate(zip(layout.INDEX_AXES, values, strict=True)):
        scale = scales.create_dataset(name, data=numbers)
        scale.make_scale(name)
        activations.dims[axis].attach_scale(scale)
    if plan.token_places is not None:
        # No dimension scale: those are to have one number for each entry, and this has three.
        scales.create_dataset(layout.PLACES, data=plan.token_places.astype("<i8"))
    if plan.projection is not None:
        path = f"{layout.PROJECTIONS}/{plan.key}"
        stored = file.create_dataset(path, data=plan.projection.astype("<f4", copy=False))
        stored.attrs["seed"] = plan.projection_seed
