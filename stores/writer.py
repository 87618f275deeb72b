"""Writing a run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from stores import layout
from stores.claim import Claim
from stores.entries import RunEntry
from stores.errors import StoreError
from stores.files import fsync_folder
from stores.guarded_file import GuardedFile, refusals
from stores.reduction import FULL, parse_reduction
from stores.schedule import Schedule, flow_factors
from stores.seal import write_seal
from stores.site_writer import SitePlan, SiteWriter
from stores.slabs.layout import SlabLayout
from stores.slabs.writer import SlabWriter
from stores.values import write_attrs, write_value

Array = npt.NDArray[Any]

_RESERVED = frozenset(("format", "version", "sample", "seed", "variant", "finished", "json"))


class RunWriter:
    """Writes one run; a context manager.

    The run is written to a ``.partial`` file under an exclusive claim, and `finish` makes it a run of the
    store. Leaving the block without `finish`, by an exception or not, removes what was written.

    Any number of threads may call `write`, `write_noisy` and `write_prediction` at once, each for other
    places. Everything else is for one thread at a time, while none of these is under way.

    Args:
        store: the store's folder.
        sample, seed, variant: what names the run.
        dtype, compression: what activations are stored as, unless `add_site` says otherwise.
        record: called with the finished run, to catalogue it.

    Raises:
        StoreError: the run exists, another process is making it, its name cannot be, or the disk refuses.
    """

    def __init__(
        self,
        store: Path,
        sample: str,
        seed: int,
        variant: str,
        dtype: str,
        compression: str,
        record: Callable[[RunEntry], None],
    ) -> None:
        layout.check_run_name(sample, seed, variant)
        self.sample, self.seed, self.variant = sample, seed, variant
        self._store = store
        self._name = layout.run_file(sample, seed, variant)
        self._final = store / self._name
        self._partial = self._final.with_name(self._final.name + layout.PARTIAL)
        self._dtype = dtype
        self._compression = compression
        self._record = record
        self._num_steps: int | None = None
        self._sites: dict[str, SiteWriter] = {}
        self._slabs: dict[str, SlabWriter] = {}
        self._making_slabs = Lock()
        self._pid = os.getpid()
        with refusals(self._final):
            self._refuse_finished()
            self._final.parent.mkdir(parents=True, exist_ok=True)
            self._claim = Claim(self._partial, str(self._final))
        try:
            with refusals(self._final):
                self._refuse_finished()
                os.ftruncate(self._claim.fileno(), 0)
                self._guarded = GuardedFile(self._claim.fileno())
            with self._writing():
                self._file = _new_file(self._guarded)
        except BaseException:
            self._partial.unlink(missing_ok=True)
            self._claim.release()
            raise
        self._open = True

    def set_attrs(self, attrs: Mapping[str, Any]) -> None:
        """Adds to the run's attributes: text, numbers, None, and lists or dictionaries of these.

        ``prediction_type`` ("flow") says what the denoiser predicts.

        Raises:
            ValueError: a name that the store itself uses.
            TypeError: a value that cannot be stored.
        """
        taken = sorted(_RESERVED.intersection(attrs))
        if taken:
            raise ValueError(f"the store itself sets the attributes {', '.join(taken)}")
        with self._writing():
            write_attrs(self._file.attrs, attrs)

    def set_schedule(
        self,
        timestep: npt.ArrayLike,
        sigma: npt.ArrayLike,
        expert: npt.ArrayLike | None = None,
        clean: npt.ArrayLike | None = None,
    ) -> None:
        """Writes the schedule; once, and before the latents and sites.

        Args:
            timestep: (N,) one for each step.
            sigma: (N+1,) noise levels; the last is that of the final latent.
            expert: (N,) which transformer served each step; None is the first for all.
            clean: (N, 2) factors (a, b) of the clean estimate a x_t + b prediction_t; None are those of
                flow matching, (1, -sigma).

        Raises:
            ValueError: the lengths do not fit together.
        """
        timesteps = np.asarray(timestep, np.float64)
        sigmas = np.asarray(sigma, np.float64)
        experts = np.zeros(timesteps.shape, np.int64) if expert is None else np.asarray(expert, np.int64)
        steps = timesteps.size
        factors = flow_factors(sigmas) if clean is None else np.asarray(clean, np.float64)
        given = timesteps.shape, sigmas.shape, experts.shape, factors.shape
        if steps == 0 or given != ((steps,), (steps + 1,), (steps,), (steps, 2)):
            raise ValueError(
                "a schedule needs N timesteps, N + 1 sigmas, N experts and N pairs of factors, got "
                f"{given[0]}, {given[1]}, {given[2]} and {given[3]}"
            )
        with self._writing():
            group = self._file.create_group(layout.SCHEDULE)
            for name, values in zip(Schedule._fields, (timesteps, sigmas, experts, factors), strict=True):
                write_value(group, name, values)
        self._num_steps = steps

    def set_condition(self, prompt: str, image: Array | None = None, **more: Any) -> None:
        """Writes what the run is generated from: prompt, first image (row, col, rgb) uint8, and more."""
        values: dict[str, Any] = {"prompt": prompt, **more}
        if image is not None:
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                raise ValueError(f"an image is (row, col, rgb) of uint8, got {image.shape} of {image.dtype}")
            values["image"] = image
        self._write_values(layout.CONDITION, values)

    def set_truth(self, truth: Mapping[str, Any]) -> None:
        """Writes what is known of the sample: name to array (on the token grid), number or text."""
        self._write_values(layout.TRUTH, truth)

    def set_video(self, video: Array) -> None:
        """Writes the video, (frame, row, col, rgb) uint8."""
        if video.ndim != 4 or video.shape[3] != 3:
            raise ValueError(f"a video is (frame, row, col, rgb), got {video.shape}")
        with self._writing():
            slabs = self._new_slabs(layout.VIDEO, (), SlabLayout(video.shape, "uint8"), layout.VIDEO_AXES)
            slabs.write((), video)

    def set_pinned(self, latent: Array, mask: Array) -> None:
        """Writes the frames that the pipeline overwrites with its condition, at whatever step.

        Args:
            latent: (channel, frame, row, col) float32; only the masked frames matter.
            mask: (frame,) bool, true where the frame is pinned.
        """
        if latent.ndim != 4 or mask.shape != latent.shape[1:2] or mask.dtype != np.bool_:
            raise ValueError(
                f"expected a latent and a bool for each frame, got {latent.shape} and {mask.shape}"
            )
        with self._writing():
            group = self._file.require_group(layout.PINNED.rpartition("/")[0])
            write_value(group, layout.PINNED.rpartition("/")[2], latent.astype(np.float32, copy=False))
            write_value(group, layout.PINNED_MASK.rpartition("/")[2], mask)

    def add_site(
        self,
        site: str,
        layers: Sequence[int],
        steps: Sequence[int],
        branches: Sequence[str],
        grid: tuple[int, int, int],
        channels: int,
        reduction: str = FULL,
        dtype: str | None = None,
        compression: str | None = None,
        token_places: Array | None = None,
        projection: Array | None = None,
        projection_seed: int | None = None,
    ) -> None:
        """Announces the activations of a site; each (step, layer, branch) must then be written.

        A site may be announced several times, each time with another reduction.

        Args:
            site: ``resid``, ``self_attn``, ``mlp.raw`` and so on.
            layers, steps: numbers as in the model, ascending.
            branches: such as "cond" and "uncond".
            grid: the token grid (frame, row, col), before reduction.
            channels: of each token, before reduction.
            reduction: what is kept, as `stores.reduction` says.
            dtype: of `dtypes.DTYPES`; None is the store's.
            compression: "none", "lz4" or "zstd"; None is the store's.
            token_places: for ``tokens:K``, the (frame, row, col) of each token that is kept: (K, 3).
            projection: for ``project:K``, what tokens are multiplied by: (channel, component) float32.
            projection_seed: what the projection was made from.

        Raises:
            ValueError: a selection that is empty, not ascending or beyond the schedule; places or a
                projection that do not fit.
            SelectionError: the reduction means none, or asks for more than there is.
        """
        plan = SitePlan(
            site,
            parse_reduction(reduction),
            tuple(layers),
            tuple(steps),
            tuple(branches),
            grid,
            channels,
            None if token_places is None else np.asarray(token_places),
            projection,
            projection_seed,
        )
        if plan.steps[-1] >= self._steps():
            raise ValueError(f"{site}: step {plan.steps[-1]} is beyond the schedule of {self._steps()} steps")
        if plan.key in self._sites:
            raise ValueError(f"{plan.key} is announced already")
        slab = SlabLayout(plan.slab_shape, dtype or self._dtype, compression or self._compression)
        with self._writing():
            found = SiteWriter(self._file, self._guarded, plan, slab)
        self._slabs[found.path] = found.slabs
        self._sites[plan.key] = found

    def write(
        self,
        site: str,
        step: int,
        layer: int,
        branch: str,
        array: Array,
        reduction: str = FULL,
        factors: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Writes the activations of one (step, layer, branch); see the class about threads.

        Checksums and compression happen in the calling thread.

        Args:
            site, reduction: announced by `add_site`.
            array: of the shape that the reduction leaves of (frame, row, col, channel); the bits as uint16
                for bf16, the codes as uint8 for fp8, else float16 or float32. It is read before the call
                returns, and never kept.
            factors: for fp8, what the codes of each chunk are multiplied by, as `SlabLayout` has them:
                (groups,) float32, above 0, or NaN for a chunk that holds a NaN or infinity.

        Raises:
            KeyError: the site, step, layer or branch was not announced.
            TypeError, ValueError: ``array`` is of another type or shape, or the factors do not fit.
            StoreError: the disk refuses.
        """
        found = self._sites[layout.site_key(site, reduction)]
        index = found.index(step, layer, branch)
        with self._writing():
            found.slabs.write(index, array, factors)

    def write_noisy(self, index: int, latent: Array) -> None:
        """Writes the noisy latent before step ``index`` (N: the final one).

        Args:
            latent: (channel, frame, row, col) float32.
        """
        self._write_latent(layout.NOISY, self._steps() + 1, index, latent)

    def write_prediction(self, step: int, latent: Array) -> None:
        """Writes the guided prediction of a step, (channel, frame, row, col) float32."""
        self._write_latent(layout.PREDICTION, self._steps(), step, latent)

    def finish(self) -> RunEntry:
        """Completes the run and makes it part of the store.

        Everything is on the disk before the run gets its name, so whatever has the name is whole.

        Raises:
            ValueError: something that was announced was not written.
            StoreError: the disk refuses, or this is a forked child: the run is its parent's.
        """
        if os.getpid() != self._pid:
            raise StoreError(f"{self._final}: only the process that began this run can finish it")
        num_steps = self._steps()
        finished = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for path, slabs in self._slabs.items():
            missing = slabs.missing()
            if missing:
                raise ValueError(
                    f"{self._name}: {len(missing)} slabs of {path} were not written, first {missing[0]}"
                )
        with self._writing():
            for slabs in self._slabs.values():
                slabs.finish()
            write_attrs(
                self._file.attrs,
                {
                    "format": layout.RUN_FORMAT,
                    "version": layout.VERSION,
                    "sample": self.sample,
                    "seed": self.seed,
                    "variant": self.variant,
                    "finished": finished,
                },
            )
            places = [place for slabs in self._slabs.values() for place in slabs.places()]
            self._file.close()
            self._guarded.check()
            write_seal(self._claim.fileno(), places)
            os.fsync(self._claim.fileno())
            entry = RunEntry(
                sample=self.sample,
                seed=self.seed,
                variant=self.variant,
                num_steps=num_steps,
                sites=tuple(sorted(self._sites)),
                size=self._partial.stat().st_size,
                finished=finished,
                file=self._name,
            )
            os.rename(self._partial, self._final)
            self._open = False
            try:
                # HDF5 locks what it reads, and would be refused while this writer holds the file.
                self._guarded.retire(self._claim.release)
                # So that the names survive a power cut.
                for folder in (self._final.parent, self._final.parent.parent, self._store):
                    fsync_folder(folder)
            finally:
                # Ctrl-C must not lose the line of a run that is there.
                self._record(entry)
        return entry

    def discard(self) -> None:
        """Removes what was written and gives the claim up; after `finish` it does nothing.

        Nor does it in a forked child: the run is its parent's.
        """
        if os.getpid() != self._pid:
            return
        if self._open:
            self._open = False
            self._guarded.give_up()
            self._file.close()
            self._partial.unlink(missing_ok=True)
        self._guarded.retire(self._claim.release)

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _steps(self) -> int:
        if self._num_steps is None:
            raise ValueError(f"{self._name}: the schedule must be set first")
        return self._num_steps

    def _write_values(self, group: str, values: Mapping[str, Any]) -> None:
        with self._writing():
            place = self._file.require_group(group)
            for name, value in values.items():
                write_value(place, name, value)

    def _write_latent(self, path: str, count: int, index: int, latent: Array) -> None:
        if latent.ndim != 4:
            raise ValueError(f"{path}: a latent is (channel, frame, row, col), got {latent.shape}")
        with self._writing():
            with self._making_slabs:
                slabs = self._slabs.get(path)
                if slabs is None:
                    slab = SlabLayout(latent.shape, "fp32")
                    slabs = self._new_slabs(path, (count,), slab, layout.LATENT_AXES)
            if not 0 <= index < count:
                raise IndexError(f"{path}: {index} is beyond the {count} of this schedule")
            slabs.write((index,), latent)

    def _new_slabs(
        self, path: str, index_shape: tuple[int, ...], slab: SlabLayout, axes: tuple[str, ...]
    ) -> SlabWriter:
        slabs = SlabWriter(self._file, self._guarded, path, index_shape, slab, axes)
        self._slabs[path] = slabs
        return slabs

    def _refuse_finished(self) -> None:
        if self._final.exists():
            raise StoreError(
                f"{self._final}: this run exists; skip it with --resume, or delete it to make it anew"
            )

    def _writing(self) -> contextlib.AbstractContextManager[None]:
        return refusals(self._final, self._guarded)


def _new_file(guarded: GuardedFile) -> h5py.File:
    # Large chunks begin at pages of the file, which are quicker to copy; small ones lie side by side.
    return h5py.File(guarded, "w", alignment_threshold=layout.PIECE, alignment_interval=4096)
