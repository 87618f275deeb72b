"""The plan of a trace: every choice resolved and checked, and its cost, before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from math import ceil
from typing import Any, SupportsIndex

import numpy as np

from cosinterp.capture.conversion import stored_dtype
from cosinterp.errors import SelectionError, TraceError
from cosinterp.models.blocks import RESID
from cosinterp.models.geometry import Size
from cosinterp.models.model import Model
from cosinterp.planning.estimate import Kept, RunShape, run_parts, slab_layout, total_bytes, waiting_items
from cosinterp.planning.reduce_option import Reduce, resolve_reduce
from cosinterp.planning.stored_as import AUTO, check_compression, check_store_dtype
from cosinterp.samples import Sample
from stores.layout import BASE, MAX_SEED, check_run_name
from stores.selection import Selection, parse_seeds, select
from stores.settings import StoreSettings
from stores.units import size_text

NO_SITES = "none"
"""Asked for as sites, it records no activations."""

_ROUNDING = 16 * 1024


@dataclass(frozen=True)
class PlannedSample:
    """A sample with complete sampling settings."""

    sample: Sample
    settings: dict[str, Any]
    size: Size
    shape: RunShape

    @property
    def grid(self) -> tuple[int, int, int]:
        """The token grid (frame, row, col)."""
        return self.shape.grid


@dataclass(frozen=True, kw_only=True)
class TracePlan(Kept):
    """Every choice of a trace, resolved.

    ``reduce_seed`` is that of random projections and of the choice of tokens; ``writers`` is the number of
    threads that write, None: as many as fit the machine.
    """

    samples: tuple[PlannedSample, ...]
    seeds: tuple[int, ...]
    num_steps: int
    run_branches: tuple[str, ...]
    reduce_seed: int
    batch: int
    writers: int | None
    settings: StoreSettings

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites that are captured."""
        return tuple(self.layers)

    @property
    def kept(self) -> Kept:
        """What is kept of each run, apart from which runs there are."""
        return Kept(**{field.name: getattr(self, field.name) for field in fields(Kept)})

    @property
    def num_runs(self) -> int:
        """Runs of the whole plan, those included that a store may have already."""
        return len(self.samples) * len(self.seeds)

    def run_bytes(self, planned: PlannedSample) -> int:
        """Bytes on disk of one run of a sample; compressed, at most."""
        return sum(run_parts(self, planned.shape).values())

    def shapes(self, runs: Iterable[tuple[str, int]]) -> Counter[RunShape]:
        """How many of the (sample name, seed) runs are of each shape."""
        shapes = {planned.sample.name: planned.shape for planned in self.samples}
        return Counter(shapes[sample] for sample, _ in runs)

    def bytes_of(self, runs: Iterable[tuple[str, int]]) -> int:
        """Bytes on disk of (sample name, seed) runs; compressed, at most."""
        return total_bytes(self, self.shapes(runs))

    def runs(self) -> list[tuple[str, int]]:
        """All (sample name, seed) runs, in the order in which they are made."""
        return [(planned.sample.name, seed) for planned in self.samples for seed in self.seeds]


def make_plan(
    model: Model,
    samples: Sequence[Sample],
    *,
    seeds: Selection,
    layers: Selection,
    sites: str | Sequence[str],
    save_steps: Selection,
    branches: str | Sequence[str],
    dtype: str,
    batch: int,
    save_video: bool,
    host_memory: int,
    sampling: dict[str, Any],
    reduce: Reduce = None,
    reduce_seed: int = 0,
    compression: str = "none",
    writers: int | None = None,
) -> TracePlan:
    """Resolve and check the choices of a trace against a model. Touches no disk.

    Raises:
        UserError: of the kind that fits: a selection, a sample, or a setting that cannot be.
    """
    if not samples:
        raise TraceError("there is no sample to trace")
    model.check_batch(batch)
    if writers is not None and writers < 1:
        raise TraceError(f"writers has to be 1 or more, not {writers}")
    if not 0 <= reduce_seed <= MAX_SEED:
        raise TraceError(f"reduce_seed has to be a whole number from 0 to 2**63 - 1, not {reduce_seed}")
    _check_names(samples)
    anatomy = model.anatomy
    resolved = [model.sampling(sample, sampling) for sample in samples]
    num_steps = resolved[0]["num_steps"]
    chosen_layers = select(layers, anatomy.layers, "layers", "this model")
    asked_sites = sites if isinstance(sites, str) else list(sites)
    chosen_sites = () if asked_sites == NO_SITES else anatomy.select_sites(asked_sites)
    by_site = {site: anatomy.layers_of(site, chosen_layers) for site in chosen_sites}
    for site, chosen in by_site.items():
        if not chosen:
            having = anatomy.layers_of(site, tuple(anatomy.layers))
            raise SelectionError(
                f"the site {site} is at layers {having[0]} to {having[-1]}, and none of them is selected"
            )
    steps = select(save_steps, range(num_steps), "steps", "this run")
    kept_branches = anatomy.select_branches(
        branches if isinstance(branches, str) else list(branches), resolved[0]
    )
    kept = Kept(
        layers=by_site,
        steps=steps,
        branches=kept_branches,
        reductions=resolve_reduce(reduce, chosen_sites, anatomy.sites),
        dtype=_store_dtype(model, dtype),
        compression=check_compression(compression),
        save_video=save_video,
    )
    planned = tuple(
        _plan_sample(model, sample, settings, chosen_sites)
        for sample, settings in zip(samples, resolved, strict=True)
    )
    _check_reductions(kept, planned)
    _check_memory(kept, planned, host_memory)
    return TracePlan(
        **vars(kept),
        samples=planned,
        seeds=_seeds(seeds),
        num_steps=num_steps,
        run_branches=anatomy.guidance.computed(resolved[0]),
        reduce_seed=reduce_seed,
        batch=batch,
        writers=writers,
        settings=StoreSettings(
            model=model_settings(model),
            capture={
                "sites": list(chosen_sites),
                "layers": list(chosen_layers),
                **_site_layers(by_site, chosen_layers),
                "steps": list(steps),
                "branches": list(kept_branches),
                "dtype": kept.dtype,
                "reductions": {site: list(texts) for site, texts in kept.reductions.items()},
                "reduction_seed": reduce_seed,
                "compression": kept.compression,
                "video": save_video,
            },
            sampling=_sampling_settings(model, resolved[0], sampling),
        ),
    )


def model_settings(model: Model) -> dict[str, Any]:
    """What tells one model from another in a store's settings."""
    return {
        "name": model.name,
        "revision": model.revision,
        "family": model.anatomy.family,
        "pipeline": type(model.pipeline).__name__,
        "num_layers": model.num_layers,
        "channels": model.anatomy.channels,
        "experts": list(model.anatomy.experts),
        "dtype": str(model.dtype).removeprefix("torch."),
        "lora": [asdict(lora) for lora in model.lora],
        "quantization": model.quantization,
        "weights_sha256": model.weights_sha256,
        **({} if model.untrained is None else {"untrained": model.untrained}),
    }


def _site_layers(by_site: dict[str, tuple[int, ...]], layers: tuple[int, ...]) -> dict[str, Any]:
    """The layers of those sites that not all blocks have, as a store's settings say them."""
    usual = {layers, tuple(layer for layer in layers if layer)}
    partial = {site: list(own) for site, own in by_site.items() if own not in usual}
    return {"site_layers": partial} if partial else {}


def _plan_sample(
    model: Model, sample: Sample, settings: dict[str, Any], sites: Sequence[str]
) -> PlannedSample:
    anatomy = model.anatomy
    size = model.size(settings)
    shape = RunShape(
        grid=anatomy.geometry.grid(size),
        channels=anatomy.channels,
        latent=anatomy.geometry.latent_shape(size),
        video=(size.num_frames, size.height, size.width, 3),
        condition=_condition_bytes(sample),
        num_steps=settings["num_steps"],
        streams=tuple(
            (site, anatomy.stream_grid(site, size, settings), anatomy.stream(site).channels)
            for site in sites
            if anatomy.is_stream(site) and site != RESID
        ),
    )
    return PlannedSample(sample, settings, size, shape)


def _condition_bytes(sample: Sample) -> int:
    """Bytes of a sample's image, texts and truth, rounded up, so that samples that are alike count alike."""
    width, height = sample.image_size or (0, 0)
    truth = sum(np.asarray(value).nbytes for value in sample.truth.values())
    # The metadata are kept as JSON.
    texts = 4 * len(sample.prompt) + len(str(sample.metadata))
    return -(-(3 * width * height + truth + texts) // _ROUNDING) * _ROUNDING


def _seeds(seeds: Selection) -> tuple[int, ...]:
    if isinstance(seeds, str):
        return parse_seeds(seeds)
    if isinstance(seeds, slice):
        raise SelectionError("seeds: a slice has no meaning here; give numbers, or a text such as 0-7")
    # An integer of any kind, such as numpy's from a table of runs.
    numbers = [seeds] if isinstance(seeds, SupportsIndex) else list(seeds)
    if not numbers:
        raise SelectionError("seeds: nothing is selected")
    return parse_seeds(",".join(str(number) for number in numbers))


def _store_dtype(model: Model, name: str) -> str:
    return stored_dtype(model.dtype) if check_store_dtype(name) == AUTO else name


def _check_names(samples: Sequence[Sample]) -> None:
    seen: set[str] = set()
    for sample in samples:
        check_run_name(sample.name, 0, BASE)
        if sample.name in seen:
            raise TraceError(f"two samples are called {sample.name}; each needs a name of its own")
        seen.add(sample.name)


def _check_reductions(kept: Kept, planned: tuple[PlannedSample, ...]) -> None:
    """Refuse to keep more tokens or channels than there are, before a model runs for hours."""
    for one in planned:
        for site, text in kept.keys.values():
            try:
                slab_layout(site, text, one.shape, kept)
            except SelectionError as error:
                raise SelectionError(f"sample {one.sample.name}, site {site}: {error}") from None


def _check_memory(kept: Kept, planned: tuple[PlannedSample, ...], host_memory: int) -> None:
    largest: dict[str, int] = {}
    for one in planned:
        for what, size in waiting_items(kept, one.shape).items():
            largest[what] = max(size, largest.get(what, 0))
    for what, size in largest.items():
        if size > host_memory:
            raise TraceError(
                f"host memory of {size_text(host_memory)} does not hold one {what} ({size_text(size)}); "
                f"give at least {ceil(max(largest.values()) / 2**30 * 100) / 100} GiB"
            )


def _sampling_settings(model: Model, resolved: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """A store's sampling settings: sizes only if asked for, since each sample may bring its own."""
    own = {name: asked.get(name) for name in ("height", "width", "num_frames")}
    scheduler = model.pipeline.scheduler
    return {
        **{name: value for name, value in resolved.items() if name not in own},
        **own,
        "scheduler": {"class": type(scheduler).__name__, "config": scheduler_config(scheduler)},
    }


def scheduler_config(scheduler: Any) -> dict[str, Any]:
    """The scheduler's configuration, JSON-able, without the bookkeeping of diffusers."""
    return {
        key: value if isinstance(value, str | int | float | bool | list | type(None)) else str(value)
        for key, value in dict(scheduler.config).items()
        if not key.startswith("_")
    }
