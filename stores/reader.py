"""Reading a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from stores import layout, selection
from stores.errors import StoreError
from stores.hdf5 import Reading, dataset, group, open_twice
from stores.schedule import FLOW, Schedule, flow_factors
from stores.sites import SiteInfo, SiteReader, find_site, slab_reader
from stores.slabs.reader import SlabReader
from stores.token_selection import TokenChoice, Tokens, TokenSelection
from stores.values import read_attrs, read_value

Array = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]


class Run:
    """One finished run, open for reading; a context manager.

    What is read is checked against the checksums in the file, so damage is an error and never data.

    Raises:
        NoRunError: the file is not there.
        UnreadableError: the system does not let us read it.
        VersionError: it is of another format version.
        StoreError: it is damaged.

    Attributes:
        path: of the file.
        size: of the file, in bytes.
        attrs: the run's attributes.
        sample, seed, variant: what names the run.
        schedule: its timesteps, noise levels and experts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file, self._descriptor = open_twice(path)
        self.size = self._descriptor.status().st_size
        try:
            with Reading(path):
                self.attrs: dict[str, Any] = read_attrs(self._file.attrs)
                self.sample: str = self.attrs["sample"]
                self.seed: int = self.attrs["seed"]
                self.variant: str = self.attrs["variant"]
                self.schedule = self._schedule()
                self._sites = {key: self._site(key) for key in self._site_keys()}
                self._latents: dict[str, SlabReader] = {}
        except BaseException:
            self.close()
            raise

    @property
    def num_steps(self) -> int:
        """Denoising steps of the run."""
        return len(self.schedule.timestep)

    @property
    def sites(self) -> dict[str, SiteInfo]:
        """What is stored of each site, by `layout.site_key`: "resid", "resid@project:64"."""
        return {key: site.info for key, site in self._sites.items()}

    def site(self, name: str, reduction: str | None = None) -> SiteInfo:
        """What is stored of one site, found as by `read`.

        Raises:
            StoreError: nothing is.
        """
        return self._find(name, reduction).info

    def read(
        self,
        site: str,
        step: int,
        layer: int,
        branch: str | None = None,
        *,
        reduction: str | None = None,
        raw: bool = False,
        frames: selection.Selection | None = None,
        rows: selection.Selection | None = None,
        cols: selection.Selection | None = None,
        tokens: Tokens | None = None,
    ) -> Array:
        """The activations of one (step, layer, branch): (frame, row, col, channel), float32.

        Of a selection of tokens only those parts of the file are read that they lie in.

        Args:
            site: a site, or a key of `sites`.
            step, layer: as numbered in the model, not as indices; negative ones count from the last stored.
            branch: such as "cond" or "uncond"; None is "cond" where that is stored, else the only one.
            reduction: which of those stored; None is "full" if that is, else the only one. The axes are then
                `SiteInfo.axes`.
            raw: give what is stored instead: float16 or float32, the bits as uint16 for bfloat16, the codes
                as uint8 for fp8 (see `factors`).
            frames, rows, cols: only these of the token grid, as "0-3", [0, 2] or a slice. The axes stay, with
                what is selected in the order of the grid.
            tokens: only these, in this order: flat indices into the token grid (frame by frame, row by row),
                or the (frame, row, col) of each. The result is (token, channel).

        Raises:
            StoreError: that is not stored, cannot be selected from what is, or the file is damaged.
            SelectionError: there is no such step, layer or token.
        """
        found = self._find(site, reduction)
        index = found.index(step, layer, branch)
        chosen = TokenChoice(frames, rows, cols, tokens).of(found.info)
        with Reading(self.path):
            return found.read(index, chosen, raw)

    def read_selected(
        self, key: str, step: int, layer: int, branch: str, tokens: TokenSelection | None
    ) -> Float32:
        """As `read`, for a key of `sites` and tokens that were selected before; None is all of them.

        For the package's own use.
        """
        found = self._find(key, None)
        index = found.index(step, layer, branch)
        with Reading(self.path):
            return found.read(index, tokens)

    def fill(self, out: Float32, key: str, step: int, layer: int, branch: str) -> None:
        """Reads all of one (step, layer, branch) into ``out``, of its shape and contiguous; as `read`.

        For the package's own use.
        """
        found = self._find(key, None)
        index = found.index(step, layer, branch)
        with Reading(self.path):
            found.slabs.read_float32(index, out)

    def factors(
        self, site: str, step: int, layer: int, branch: str | None = None, reduction: str | None = None
    ) -> Float32 | None:
        """What the fp8 codes of one (step, layer, branch) are multiplied by: (groups,), one for each chunk.

        The chunks divide the first axis evenly. None if the site is not stored as fp8. Arguments and errors
        are those of `read`.
        """
        found = self._find(site, reduction)
        return found.slabs.factors(found.index(step, layer, branch))

    def token_places(self, site: str, reduction: str | None = None) -> npt.NDArray[np.int64]:
        """Which tokens the reduction ``tokens:K`` kept: (frame, row, col) of each, (K, 3).

        Raises:
            StoreError: the site is not stored so.
        """
        found = self._find(site, reduction)
        if "token" not in found.info.axes:
            raise StoreError(f"site {found.info.key}: only the reduction tokens:K has token places")
        with Reading(self.path):
            return found.token_places()

    def projection(self, site: str, reduction: str | None = None) -> Float32:
        """What the reduction ``project:K`` multiplied tokens by: (channel, component).

        Raises:
            StoreError: the site is not stored so.
        """
        found = self._find(site, reduction)
        if "component" not in found.info.axes:
            raise StoreError(f"site {found.info.key}: only the reduction project:K has a projection")
        with Reading(self.path):
            return found.projection()

    def noisy(self, index: int) -> Float32:
        """The noisy latent before step ``index``, (channel, frame, row, col); index N is the final latent."""
        return self._latent(layout.NOISY, index, self.num_steps + 1)

    def prediction(self, step: int) -> Float32:
        """What the denoiser predicted at a step, guidance applied: (channel, frame, row, col)."""
        return self._latent(layout.PREDICTION, step, self.num_steps)

    def clean_estimate(self, step: int) -> Float32:
        """The clean estimate x̂0 at a step: (channel, frame, row, col).

        That is a x_t + b prediction_t with the factors of the schedule: x_t - sigma_t v for flow matching.
        Frames that the pipeline overwrites with its condition (as Wan2.2 TI2V does with the first) are taken
        from the condition.

        Raises:
            StoreError: the run has no latents, or does not say what its predictions are.
        """
        (step,) = selection.select(step, range(self.num_steps), "steps", "this run")
        if not self.says_clean_estimates:
            raise StoreError(
                f"{self.path}: this run does not say what its predictions are, so there is no clean estimate"
            )
        own, predicted = self.schedule.clean.astype(np.float32)[step]
        estimate = own * self.noisy(step) + predicted * self.prediction(step)
        held = list(self.pinned_frames)
        if held:
            with Reading(self.path):
                estimate[:, held] = dataset(self._file, layout.PINNED)[()][:, held]
        return estimate

    @property
    def pinned_frames(self) -> tuple[int, ...]:
        """The latent frames that the pipeline overwrote with its condition at every step."""
        if layout.PINNED_MASK not in self._file:
            return ()
        with Reading(self.path):
            return tuple(np.flatnonzero(dataset(self._file, layout.PINNED_MASK)[()]).tolist())

    @property
    def says_clean_estimates(self) -> bool:
        """Whether the factors of the clean estimate are stored, or are those of a flow."""
        return not np.isnan(self.schedule.clean).all()

    @property
    def has_latents(self) -> bool:
        """Whether the noisy latents and the predictions are stored."""
        return layout.NOISY in self._file and layout.PREDICTION in self._file

    @property
    def has_video(self) -> bool:
        """Whether the video is stored."""
        return layout.VIDEO in self._file

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
        self._descriptor.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Run {self.sample} seed {self.seed} {self.variant}, {self.num_steps} steps, {self.path}>"

    def slabs(self) -> Iterator[tuple[str, SlabReader]]:
        """Every large dataset of the file, with its path: activations, latents, the video.

        For the package's own use.
        """
        with Reading(self.path):
            for key, site in self._sites.items():
                yield f"{layout.ACTIVATIONS}/{key}", site.slabs
            for path, indices in ((layout.NOISY, 1), (layout.PREDICTION, 1), (layout.VIDEO, 0)):
                if path in self._file:
                    yield path, self._slabs(path, indices)

    def _schedule(self) -> Schedule:
        given = {
            name: dataset(self._file, path)[()]
            for name in Schedule._fields
            if (path := f"{layout.SCHEDULE}/{name}") in self._file
        }
        if "clean" not in given:
            factors = flow_factors(given["sigma"])
            is_flow = self.attrs.get("prediction_type") == FLOW
            given["clean"] = factors if is_flow else np.full_like(factors, np.nan)
        schedule = Schedule(**given)
        steps = len(schedule.timestep)
        shapes = schedule.sigma.shape, schedule.expert.shape, schedule.clean.shape
        if shapes != ((steps + 1,), (steps,), (steps, 2)):
            raise ValueError("the lengths of its schedule do not fit together")
        return schedule

    def _site_keys(self) -> list[str]:
        return sorted(group(self._file, layout.ACTIVATIONS)) if layout.ACTIVATIONS in self._file else []

    def _site(self, key: str) -> SiteReader:
        return SiteReader(self._file, self._descriptor, key)

    def _slabs(self, path: str, indices: int) -> SlabReader:
        return slab_reader(self._file, self._descriptor, path, indices)

    def _find(self, site: str, reduction: str | None) -> SiteReader:
        return self._sites[find_site(self._sites, site, reduction, self.path)]

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
