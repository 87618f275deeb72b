"""Export into zarr 3: float32 arrays over all runs, labelled as xarray reads them.

    OUT/                 present (sample, seed)
    OUT/schedule/        timestep, expert (sample, seed, step), sigma (sample, seed, level),
                         clean (sample, seed, step, factor)
    OUT/KEY/             of a site: (sample, seed, step, layer, branch, ...), and of tokens:K and project:K
                         token_frame, token_row, token_col (token), and projection (channel, component)
    OUT/latents/         noisy (sample, seed, level, channel, frame, row, col), prediction (..., step, ...),
                         pinned, pinned_mask
    OUT/video/           video (sample, seed, frame, row, col, rgb), uint8
    OUT/samples/SAMPLE/  condition and truth, and the attributes of the sample's runs

Each group has the coordinates of its axes, and together they are a tree as `xarray.open_datatree` wants it.
Where a sample lacks a seed that another has there is NaN (in the video zero), which takes no space, and
``present`` is false.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt

from stores import dtypes, layout
from stores.errors import StoreError
from stores.export.choice import ChosenRun, ChosenSite, Copied
from stores.export.header import FORMAT, header
from stores.export.zarr_tree import Division, ZarrTree, are_equal
from stores.hdf5 import Reading
from stores.json_value import json_value
from stores.reader import Run
from stores.slabs.reader import SlabReader
from stores.store import Store
from stores.tools.contents import contents_of

Array = npt.NDArray[Any]
Count = Callable[[int], None]

# What a number takes: a bfloat16 widened to float32 is half zeros, which compress to nearly nothing.
_BYTES = {"bf16": 2.1, "fp16": 2.7, "fp32": 4.1, "fp8": 4.1}
_SLABS = {layout.NOISY: ("level",), layout.PREDICTION: ("step",), layout.VIDEO: ()}
_LATENTS = "latents"
_SAMPLES = "samples"


class ZarrExport:
    """As a zarr group.

    Raises:
        StoreError: the package zarr is not installed.
    """

    def __init__(self) -> None:
        try:
            import zarr  # noqa: F401
        except ImportError:
            raise StoreError("the format zarr needs a package: pip install cosinterp[zarr]") from None

    def needed_bytes(self, runs: Sequence[ChosenRun]) -> int:
        """About what the arrays will take, at most. Raises StoreError if there are several variants."""
        variants = sorted({run.entry.variant for run in runs})
        if len(variants) > 1:
            raise StoreError(
                f"a zarr export has one run for each sample and seed; say which by --variant: "
                f"{', '.join(variants)}"
            )
        sites = [site for run in runs for site in run.sites]
        widened = sum(_size_in_float32(site) for site in sites)
        return ceil(widened + sum(run.raw_bytes for run in runs) - sum(site.size for site in sites))

    def is_replaceable(self, path: Path) -> bool:
        """Whether such an export may replace ``path``: a folder that is one."""
        import zarr

        try:
            return zarr.open_group(path, mode="r", zarr_format=3).attrs.get("format") == FORMAT
        except (OSError, ValueError):
            return False

    def write(self, store: Store, runs: Sequence[ChosenRun], out: Path, copied: Copied) -> None:
        """Writes the folder ``out``, which is made; one shard is in memory at a time.

        Raises:
            StoreError: a run is damaged, or runs do not fit into one array.
            OSError: the disk refuses.
        """
        ended = Event()

        def counted(file: str, size: int) -> None:
            if ended.is_set():
                raise CancelledError
            copied(file, size)

        # A thread, because Ctrl-C must not strike within zarr: its own threads would go on writing.
        with ThreadPoolExecutor(1) as thread:
            writing = thread.submit(lambda: _Writing(store, runs, out, counted).write())
            try:
                writing.result()
            finally:
                ended.set()


def _size_in_float32(site: ChosenSite) -> float:
    return site.size / dtypes.memory_type(site.info.dtype).itemsize * _BYTES[site.info.dtype]


@dataclass
class _Sample:
    """What the runs of a sample have in common, and their attributes by seed."""

    name: str
    first: int
    values: dict[str, Any]
    attributes: dict[str, Any]


class _Writing:
    def __init__(self, store: Store, runs: Sequence[ChosenRun], out: Path, copied: Copied) -> None:
        self._store = store
        self._runs = runs
        self._copied = copied
        self._tree = ZarrTree(
            out, sorted({run.entry.sample for run in runs}), sorted({run.entry.seed for run in runs})
        )
        self._sample: _Sample | None = None

    def write(self) -> None:
        variant = self._runs[0].entry.variant
        self._tree.set_attrs("", json_value(header(self._store)) | {"variant": variant})
        for chosen in self._runs:
            with self._store.run(*chosen.entry.key) as run:
                self._write_run(run, chosen)
        self._end_sample()
        self._tree.finish()

    def _write_run(self, run: Run, chosen: ChosenRun) -> None:
        count = partial(self._copied, chosen.entry.file)
        values = {path: value for path, value in contents_of(run).values.items() if chosen.takes(path)}
        self._write_schedule(run)
        self._note_sample(run, values)
        for name in ("pinned", "pinned_mask"):
            if f"{_LATENTS}/{name}" in values:
                array = np.asarray(values[f"{_LATENTS}/{name}"])
                axes = ("frame",) if name == "pinned_mask" else layout.LATENT_AXES[1:]
                division = Division.of((), array.shape, array.dtype)
                cube = self._tree.cube(run, _LATENTS, name, axes, division, array.dtype)
                cube.fill(run, lambda _, array=array: array)
        for path, slabs in run.slabs():
            if path in chosen.slabs:
                self._write_slabs(run, path, slabs, count)
        for site in chosen.sites:
            self._write_site(run, site, values, count)

    def _write_schedule(self, run: Run) -> None:
        group = layout.SCHEDULE
        self._tree.share(run, group, "step", ("step",), np.arange(run.num_steps))
        for name, axes in (
            ("timestep", ("step",)),
            ("sigma", ("level",)),
            ("expert", ("step",)),
            ("clean", ("step", "factor")),
        ):
            self._tree.collect(run, group, name, axes, getattr(run.schedule, name))
        self._tree.collect(run, "", "present", (), np.array(True))

    def _note_sample(self, run: Run, values: dict[str, Any]) -> None:
        """Keeps what is said of a sample, which is to be the same in all its runs."""
        said = {
            path: value
            for path, value in values.items()
            if path.partition("/")[0] in (layout.CONDITION, layout.TRUTH)
        }
        if self._sample is None or self._sample.name != run.sample:
            self._end_sample()
            self._sample = _Sample(run.sample, run.seed, said, {})
        kept = self._sample
        for path in sorted(kept.values.keys() | said.keys()):
            if path not in kept.values or path not in said or not are_equal(kept.values[path], said[path]):
                raise StoreError(
                    f"{run.path}: its {path} is not that of seed {kept.first}, and zarr has one for each "
                    "sample; export into hdf5, or these seeds alone"
                )
        kept.attributes[str(run.seed)] = json_value(run.attrs)

    def _end_sample(self) -> None:
        sample, self._sample = self._sample, None
        if sample is None:
            return
        place = f"{_SAMPLES}/{sample.name}"
        said: dict[str, dict[str, Any]] = {layout.CONDITION: {}, layout.TRUTH: {}}
        for path, value in sample.values.items():
            group, _, name = path.partition("/")
            array = np.asarray(value)
            if array.ndim == 0 or array.dtype.kind == "U":
                said[group][name] = json_value(array.tolist())
            else:
                axes = tuple(f"{name}_{axis}" for axis in range(array.ndim))
                self._tree.put(f"{place}/{group}", name, axes, array)
        for group, attributes in said.items():
            self._tree.set_attrs(f"{place}/{group}", attributes)
        self._tree.set_attrs(place, {"runs": sample.attributes})

    def _write_slabs(self, run: Run, path: str, slabs: SlabReader, count: Count) -> None:
        parent, _, name = path.rpartition("/")
        group, dtype = parent or name, slabs.layout.memory_type
        index_axes = _SLABS[path]
        axes = layout.LATENT_AXES[1:] if index_axes else layout.VIDEO_AXES
        for axis, length in zip(index_axes, slabs.index_shape, strict=True):
            self._tree.share(run, group, axis, (axis,), np.arange(length))
        division = Division.of(slabs.index_shape, slabs.slab_shape, dtype)
        cube = self._tree.cube(run, group, name, (*index_axes, *axes), division, dtype)

        def read(index: tuple[int, ...]) -> Array:
            with Reading(run.path):
                slab = slabs.read(index)
            count(slab.nbytes)
            return slab

        cube.fill(run, read)

    def _write_site(self, run: Run, site: ChosenSite, values: dict[str, Any], count: Count) -> None:
        info, key = site.info, site.info.key
        for axis, numbers in zip(layout.INDEX_AXES, (site.steps, site.layers, site.branches), strict=True):
            self._tree.share(run, key, axis, (axis,), np.asarray(numbers))
        places = values.get(f"{layout.SCALES}/{key}/{layout.PLACES}")
        if places is not None:
            for column, axis in enumerate(("frame", "row", "col")):
                self._tree.share(run, key, f"token_{axis}", ("token",), places[:, column])
        projection = values.get(f"{layout.PROJECTIONS}/{key}")
        if projection is not None:
            self._tree.share(run, key, "projection", ("channel", "component"), projection)
        division = Division.of(site.index_shape, info.shape, np.dtype(np.float32))
        axes = (*layout.INDEX_AXES, *info.axes)
        cube = self._tree.cube(run, key, info.site, axes, division, np.dtype(np.float32))

        def read(index: tuple[int, ...]) -> Array:
            at_step, at_layer, at_branch = index
            slab = run.read(key, site.steps[at_step], site.layers[at_layer], site.branches[at_branch])
            count(info.slab_bytes)
            return slab

        cube.fill(run, read)
