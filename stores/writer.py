"""Writing a run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from stores import layout
from stores.claim import Claim
from stores.entries import RunEntry
from stores.errors import StoreError
from stores.hdf5 import dataset
from stores.seal import write_seal
from stores.sink import Sink
from stores.slabs import SlabWriter
from stores.values import write_attrs, write_value

Array = npt.NDArray[Any]

_RESERVED = frozenset(("format", "version", "sample", "seed", "variant", "finished", "json"))


class RunWriter:
    """Writes one run; a context manager.

    The run is written to a ``.partial`` file under an exclusive claim, and `finish` makes it a run of the
    store. Leaving the block without `finish`, by an exception or not, removes what was written. One thread
    at a time may use a writer.

    Args:
        store: the store's folder.
        sample, seed, variant: what names the run.
        dtype: what activations are stored as, unless `add_site` says otherwise.
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
        record: Callable[[RunEntry], None],
    ) -> None:
        layout.check_run_name(sample, seed, variant)
        self.sample, self.seed, self.variant = sample, seed, variant
        self._store = store
        self._name = layout.run_file(sample, seed, variant)
        self._final = store / self._name
        self._partial = self._final.with_name(self._final.name + layout.PARTIAL)
        self._dtype = dtype
        self._record = record
        self._num_steps: int | None = None
        self._sites: dict[str, _SiteWriter] = {}
        self._slabs: dict[str, SlabWriter] = {}
        self._sink: Sink | None = None
        with self._writing():
            self._refuse_finished()
            self._final.parent.mkdir(parents=True, exist_ok=True)
            self._claim = Claim(self._partial, str(self._final))
        try:
            with self._writing():
                self._refuse_finished()
                os.ftruncate(self._claim.fileno(), 0)
                self._sink = Sink(self._claim.fileno())
                self._file = h5py.File(self._sink, "w")
        except BaseException:
            self._partial.unlink(missing_ok=True)
            self._claim.release()
            raise
        self._open = True

    def set_attrs(self, attrs: Mapping[str, Any]) -> None:
        """Adds to the run's attributes: text, numbers, None, and lists or dictionaries of these.

        ``prediction_type`` ("flow") is needed for clean estimates.

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
        self, timestep: npt.ArrayLike, sigma: npt.ArrayLike, expert: npt.ArrayLike | None = None
    ) -> None:
        """Writes the schedule; once, and before the latents and sites.

        Args:
            timestep: (N,) one for each step.
            sigma: (N+1,) noise levels; the last is that of the final latent.
            expert: (N,) which transformer served each step; None is the first for all.

        Raises:
            ValueError: the lengths do not fit together.
        """
        timesteps = np.asarray(timestep, np.float64)
        sigmas = np.asarray(sigma, np.float64)
        experts = np.zeros(timesteps.shape, np.int64) if expert is None else np.asarray(expert, np.int64)
        steps = timesteps.size
        if (
            steps == 0
            or timesteps.shape != (steps,)
            or sigmas.shape != (steps + 1,)
            or experts.shape != (steps,)
        ):
            raise ValueError(
                f"a schedule needs N timesteps, N + 1 sigmas and N experts, got {timesteps.shape}, "
                f"{sigmas.shape} and {experts.shape}"
            )
        with self._writing():
            group = self._file.create_group(layout.SCHEDULE)
            write_value(group, "timestep", timesteps)
            write_value(group, "sigma", sigmas)
            write_value(group, "expert", experts)
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
            slabs = SlabWriter(self._file, layout.VIDEO, (), video.shape, "uint8", layout.VIDEO_AXES)
            slabs.write((), video)
        self._slabs[layout.VIDEO] = slabs

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
        dtype: str | None = None,
    ) -> None:
        """Announces the activations of a site; each (step, layer, branch) must then be written.

        Args:
            site: ``resid``, ``self_attn``, ``mlp.raw`` and so on.
            layers, steps: numbers as in the model, ascending.
            branches: of "cond" and "uncond".
            grid: the token grid (frame, row, col).
            channels: of each token.
            dtype: "bf16", "fp16" or "fp32"; None is the store's.

        Raises:
            ValueError: a selection that is empty, not ascending or beyond the schedule.
        """
        layout.check_site_name(site)
        for what, numbers in (("layers", layers), ("steps", steps)):
            if not len(numbers) or numbers[0] < 0 or list(numbers) != sorted(set(numbers)):
                raise ValueError(f"{site}: {what} must ascend from 0 or more, got {list(numbers)}")
        if steps[-1] >= self._steps():
            raise ValueError(f"{site}: step {steps[-1]} is beyond the schedule of {self._steps()} steps")
        if not branches or len(set(branches)) != len(branches) or not set(branches) <= set(layout.BRANCHES):
            raise ValueError(f"{site}: branches must be of {layout.BRANCHES}, got {list(branches)}")
        path = f"{layout.ACTIVATIONS}/{site}"
        shape = (len(steps), len(layers), len(branches))
        with self._writing():
            slabs = SlabWriter(
                self._file, path, shape, (*grid, channels), dtype or self._dtype, layout.SITE_AXES
            )
            _add_scales(self._file, site, steps, layers, branches)
        self._slabs[path] = slabs
        self._sites[site] = _SiteWriter(slabs, steps, layers, branches)

    def write(self, site: str, step: int, layer: int, branch: str, tokens: Array) -> None:
        """Writes the activations of one (step, layer, branch).

        Args:
            site: announced by `add_site`.
            tokens: (frame, row, col, channel); the bits as uint16 for bf16, else float16 or float32. It is
                read before the call returns, and never kept.

        Raises:
            KeyError: the site, step, layer or branch was not announced.
            TypeError, ValueError: ``tokens`` is of another type or shape.
        """
        found = self._sites[site]
        index = found.steps[step], found.layers[layer], found.branches[branch]
        with self._writing():
            found.slabs.write(index, tokens)

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
            StoreError: the disk refuses.
        """
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
            self._raise_refusal()
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
                self._claim.release()
                _fsync_folders(self._final.parent, self._store)
            finally:
                # Ctrl-C must not lose the line of a run that is there.
                self._record(entry)
        return entry

    def discard(self) -> None:
        """Removes what was written and gives the claim up; after `finish` it does nothing."""
        if self._open:
            self._open = False
            self._file.close()
            self._partial.unlink(missing_ok=True)
        self._claim.release()

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
            if path not in self._slabs:
                self._slabs[path] = SlabWriter(
                    self._file, path, (count,), latent.shape, "fp32", layout.LATENT_AXES
                )
            if not 0 <= index < count:
                raise IndexError(f"{path}: {index} is beyond the {count} of this schedule")
            self._slabs[path].write((index,), latent)

    def _refuse_finished(self) -> None:
        if self._final.exists():
            raise StoreError(
                f"{self._final}: this run exists; skip it with --resume, or delete it to make it anew"
            )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns what the disk refuses into a StoreError."""
        try:
            yield
            self._raise_refusal()
        except Exception as error:
            refusal = self._sink.error if self._sink is not None else None
            if refusal is None and isinstance(error, OSError):
                refusal = error
            if refusal is None:
                raise
            raise StoreError(f"{self._final}: cannot be written: {refusal.strerror or refusal}") from error

    def _raise_refusal(self) -> None:
        if self._sink is not None and self._sink.error is not None:
            raise self._sink.error


class _SiteWriter:
    def __init__(
        self, slabs: SlabWriter, steps: Sequence[int], layers: Sequence[int], branches: Sequence[str]
    ) -> None:
        self.slabs = slabs
        self.steps = {number: index for index, number in enumerate(steps)}
        self.layers = {number: index for index, number in enumerate(layers)}
        self.branches = {name: index for index, name in enumerate(branches)}


def _add_scales(
    file: h5py.File, site: str, steps: Sequence[int], layers: Sequence[int], branches: Sequence[str]
) -> None:
    scales = file.create_group(f"{layout.SCALES}/{site}")
    activations = dataset(file, f"{layout.ACTIVATIONS}/{site}")
    values = (np.asarray(steps, "<i8"), np.asarray(layers, "<i8"), np.asarray(branches, "S"))
    for axis, (name, numbers) in enumerate(zip(("step", "layer", "branch"), values, strict=True)):
        scale = scales.create_dataset(name, data=numbers)
        scale.make_scale(name)
        activations.dims[axis].attach_scale(scale)


def _fsync_folders(folder: Path, store: Path) -> None:
    """Makes the names in ``folder`` and the folders above it, up to ``store``, survive a power cut."""
    for place in (folder, folder.parent, store):
        fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
