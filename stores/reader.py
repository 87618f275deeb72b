"""Reading a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stores import dtypes, layout, selection
from stores.errors import StoreError
from stores.hdf5 import Reading, dataset, group, open_run_file
from stores.slabs import SlabReader
from stores.values import read_attrs, read_value

Array = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]


class Schedule(NamedTuple):
    """The schedule of a run of N steps.

    Attributes:
        timestep: (N,) what the denoiser was told.
        sigma: (N+1,) noise levels, from the noisiest to the last.
        expert: (N,) which transformer served each step.
    """

    timestep: npt.NDArray[np.float64]
    sigma: npt.NDArray[np.float64]
    expert: npt.NDArray[np.int64]


@dataclass(frozen=True)
class SiteInfo:
    """What a run holds of a site.

    Attributes:
        layers, steps, branches: those that are stored, in order.
        grid: the token grid (frame, row, col).
        channels: of each token.
        dtype: "bf16", "fp16" or "fp32".
    """

    layers: tuple[int, ...]
    steps: tuple[int, ...]
    branches: tuple[str, ...]
    grid: tuple[int, int, int]
    channels: int
    dtype: str

    @property
    def slab_bytes(self) -> int:
        """Bytes of one (step, layer, branch) in the file."""
        return int(np.prod(self.grid)) * self.channels * dtypes.memory_type(self.dtype).itemsize


@dataclass(frozen=True)
class _Site:
    info: SiteInfo
    slabs: SlabReader


class Run:
    """One finished run, open for reading; a context manager.

    What is read is checked against the checksums in the file, so damage is an error and never data.

    Raises:
        StoreError: the file is not there, damaged, or of another format version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_run_file(path)
        try:
            with Reading(path):
                self.attrs: dict[str, Any] = read_attrs(self._file.attrs)
                self.sample: str = self.attrs["sample"]
                self.seed: int = self.attrs["seed"]
                self.variant: str = self.attrs["variant"]
                self.schedule = self._schedule()
                self._sites = {name: self._site(name) for name in self._site_names()}
                self._latents: dict[str, SlabReader] = {}
        except BaseException:
            self._file.close()
            raise

    @property
    def num_steps(self) -> int:
        """Denoising steps of the run."""
        return len(self.schedule.timestep)

    @property
    def sites(self) -> dict[str, SiteInfo]:
        """What is stored of each site."""
        return {name: site.info for name, site in self._sites.items()}

    def site(self, name: str) -> SiteInfo:
        """What is stored of one site.

        Raises:
            StoreError: nothing is.
        """
        return self._find(name).info

    def read(self, site: str, step: int, layer: int, branch: str | None = None, raw: bool = False) -> Array:
        """The activations of one (step, layer, branch): (frame, row, col, channel), float32.

        Args:
            site: as in `sites`.
            step, layer: as numbered in the model, not as indices; negative ones count from the last stored.
            branch: "cond" or "uncond"; None is "cond" where that is stored, else the only one.
            raw: give what is stored instead: float16 or float32, and the bits as uint16 for bfloat16.

        Raises:
            StoreError: that is not stored, or the file is damaged.
            SelectionError: there is no such step or layer.
        """
        found = self._find(site)
        slab = self._read_slab(found, self._index(site, found.info, step, layer, branch))
        return slab if raw else dtypes.to_float32(slab, found.info.dtype)

    def noisy(self, index: int) -> Float32:
        """The noisy latent before step ``index``, (channel, frame, row, col); index N is the final latent."""
        return self._latent(layout.NOISY, index, self.num_steps + 1)

    def prediction(self, step: int) -> Float32:
        """What the denoiser predicted at a step, guidance applied: (channel, frame, row, col)."""
        return self._latent(layout.PREDICTION, step, self.num_steps)

    def clean_estimate(self, step: int) -> Float32:
        """The clean estimate x̂0 at a step: (channel, frame, row, col).

        For flow matching x_t - sigma_t * v. Frames that the pipeline overwrites with its condition (as Wan2.2
        TI2V does with the first) are taken from the condition.

        Raises:
            StoreError: the run has no latents, or its prediction is of a kind that is not known.
        """
        kind = self.attrs.get("prediction_type")
        if kind != "flow":
            raise StoreError(
                f"{self.path}: the clean estimate needs the prediction type flow, this run has {kind}"
            )
        (step,) = selection.select(step, range(self.num_steps), "steps", "this run")
        sigma = self.schedule.sigma.astype(np.float32)[step]
        estimate = self.noisy(step) - sigma * self.prediction(step)
        if layout.PINNED in self._file:
            with Reading(self.path):
                mask = dataset(self._file, layout.PINNED_MASK)[()]
                estimate[:, mask] = dataset(self._file, layout.PINNED)[()][:, mask]
        return estimate

    @property
    def has_latents(self) -> bool:
        """Whether the noisy latents and the predictions are stored."""
        return layout.NOISY in self._file and layout.PREDICTION in self._file

    @property
    def truth(self) -> dict[str, Any]:
        """What is known of the sample: name to array, number or text."""
        return self._values(layout.TRUTH)

    @property
    def condition(self) -> dict[str, Any]:
        """What the run was generated from: ``prompt``, perhaps ``image``, and more."""
        return self._values(layout.CONDITION)

    @property
    def prompt(self) -> str:
        """The prompt; empty if none is stored."""
        return self._condition("prompt") or ""

    @property
    def image(self) -> npt.NDArray[np.uint8] | None:
        """The first image (row, col, rgb), if there is one."""
        return self._condition("image")

    @property
    def video(self) -> npt.NDArray[np.uint8] | None:
        """The video (frame, row, col, rgb), if it was stored."""
        if layout.VIDEO not in self._file:
            return None
        with Reading(self.path):
            return self._slabs(layout.VIDEO, indices=0).read(())

    def close(self) -> None:
        """Closes the file; closing it again does nothing."""
        self._file.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Run {self.sample} seed {self.seed} {self.variant}, {self.num_steps} steps, {self.path}>"

    def slabs(self) -> Iterator[tuple[str, SlabReader]]:
        """Every large dataset of the file, with its path: activations, latents, the video."""
        with Reading(self.path):
            for name, site in self._sites.items():
                yield f"{layout.ACTIVATIONS}/{name}", site.slabs
            for path, indices in ((layout.NOISY, 1), (layout.PREDICTION, 1), (layout.VIDEO, 0)):
                if path in self._file:
                    yield path, self._slabs(path, indices)

    def _schedule(self) -> Schedule:
        schedule = Schedule(
            *(dataset(self._file, f"{layout.SCHEDULE}/{name}")[()] for name in Schedule._fields)
        )
        steps = len(schedule.timestep)
        if schedule.sigma.shape != (steps + 1,) or schedule.expert.shape != (steps,):
            raise ValueError("the lengths of its schedule do not fit together")
        return schedule

    def _site_names(self) -> list[str]:
        return sorted(group(self._file, layout.ACTIVATIONS)) if layout.ACTIVATIONS in self._file else []

    def _site(self, name: str) -> _Site:
        slabs = self._slabs(f"{layout.ACTIVATIONS}/{name}", indices=3)
        scales = group(self._file, f"{layout.SCALES}/{name}")
        steps, layers = (tuple(dataset(scales, axis)[()].tolist()) for axis in ("step", "layer"))
        branches = tuple(text.decode("ascii") for text in dataset(scales, "branch")[()])
        if slabs.index_shape != (len(steps), len(layers), len(branches)):
            raise ValueError(f"site {name} and its scales do not fit together")
        frame, row, col, channels = slabs.slab_shape
        return _Site(SiteInfo(layers, steps, branches, (frame, row, col), channels, slabs.dtype), slabs)

    def _slabs(self, path: str, indices: int) -> SlabReader:
        return SlabReader(
            dataset(self._file, path), dataset(self._file, f"{layout.CHECKSUMS}/{path}"), indices
        )

    def _find(self, site: str) -> _Site:
        try:
            return self._sites[site]
        except KeyError:
            known = ", ".join(self._sites) or "no sites"
            raise StoreError(f"site {site!r}: {self.path} has {known}") from None

    def _index(
        self, site: str, info: SiteInfo, step: int, layer: int, branch: str | None
    ) -> tuple[int, int, int]:
        (step,) = selection.select(step, info.steps, "steps", f"site {site} of this run")
        (layer,) = selection.select(layer, info.layers, "layers", f"site {site} of this run")
        if branch is None:
            branch = default_branch(info.branches)
        if branch not in info.branches:
            raise StoreError(f"branch {branch!r}: site {site} of this run has {', '.join(info.branches)}")
        return info.steps.index(step), info.layers.index(layer), info.branches.index(branch)

    def _read_slab(self, site: _Site, index: tuple[int, int, int]) -> Array:
        with Reading(self.path):
            return site.slabs.read(index)

    def _latent(self, path: str, index: int, count: int) -> Float32:
        if path not in self._file:
            raise StoreError(f"{self.path}: this run was stored without its latents")
        (index,) = selection.select(index, range(count), "steps", "this run")
        with Reading(self.path):
            if path not in self._latents:
                self._latents[path] = self._slabs(path, indices=1)
            return self._latents[path].read((index,))

    def _values(self, path: str) -> dict[str, Any]:
        if path not in self._file:
            return {}
        with Reading(self.path):
            values = group(self._file, path)
            return {str(name): read_value(dataset(values, str(name))) for name in values}

    def _condition(self, name: str) -> Any:
        path = f"{layout.CONDITION}/{name}"
        if path not in self._file:
            return None
        with Reading(self.path):
            return read_value(dataset(self._file, path))


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
