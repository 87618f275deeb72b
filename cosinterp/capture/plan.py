"""The plan of a trace: every choice resolved and checked, and its cost, before anything is written."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from cosinterp.capture.conversion import ITEM_BYTES, stored_dtype
from cosinterp.errors import SelectionError, TraceError
from cosinterp.models.anatomy import RESID, Size
from cosinterp.models.model import Model
from cosinterp.samples import Sample
from stores.layout import BASE, check_run_name
from stores.selection import Selection, parse_seeds, select
from stores.settings import StoreSettings
from stores.units import size_text

_FILE_OVERHEAD = 256 * 1024
_PER_CHUNK_OVERHEAD = 64


@dataclass(frozen=True)
class PlannedSample:
    """A sample with complete sampling settings, and what one run of it takes on disk."""

    sample: Sample
    settings: dict[str, Any]
    size: Size
    grid: tuple[int, int, int]
    latent_shape: tuple[int, int, int, int]
    run_bytes: int


@dataclass(frozen=True)
class TracePlan:
    """Every choice of a trace, resolved.

    ``layers`` maps each site to the layers that are captured of it; ``dtype`` is the store's.
    """

    samples: tuple[PlannedSample, ...]
    seeds: tuple[int, ...]
    num_steps: int
    sites: tuple[str, ...]
    layers: dict[str, tuple[int, ...]]
    steps: tuple[int, ...]
    branches: tuple[str, ...]
    run_branches: tuple[str, ...]
    dtype: str
    save_video: bool
    batch: int
    settings: StoreSettings

    @property
    def num_runs(self) -> int:
        """Runs of the whole plan, those included that a store may have already."""
        return len(self.samples) * len(self.seeds)

    def bytes_of(self, runs: Iterable[tuple[str, int]]) -> int:
        """Bytes on disk of (sample name, seed) runs."""
        sizes = {planned.sample.name: planned.run_bytes for planned in self.samples}
        return sum(sizes[name] for name, _ in runs)

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
) -> TracePlan:
    """Resolve and check the choices of a trace against a model. Touches no disk.

    Raises:
        UserError: of the kind that fits: a selection, a sample, or a setting that cannot be.
    """
    if not samples:
        raise TraceError("there is no sample to trace")
    if batch < 1:
        raise TraceError(f"batch has to be 1 or more, not {batch}")
    _check_names(samples)
    anatomy = model.anatomy
    resolved = [model.sampling(sample, sampling) for sample in samples]
    num_steps = resolved[0]["num_steps"]
    guided = _guided(resolved[0])
    chosen_layers = select(layers, anatomy.layers, "layers", "this model")
    chosen_sites = anatomy.select_sites(sites if isinstance(sites, str) else list(sites))
    by_site = {site: anatomy.layers_of(site, chosen_layers) for site in chosen_sites}
    for site, kept in by_site.items():
        if not kept:
            raise SelectionError(f"layer 0 has the site {RESID} only, so {site} needs a layer from 1 on")
    steps = select(save_steps, range(num_steps), "steps", "this run")
    kept_branches = anatomy.select_branches(branches if isinstance(branches, str) else list(branches), guided)
    stored = _store_dtype(model, dtype)
    planned = tuple(
        _plan_sample(model, sample, settings, by_site, steps, kept_branches, stored, save_video)
        for sample, settings in zip(samples, resolved, strict=True)
    )
    _check_memory(planned, anatomy.channels * ITEM_BYTES[stored], host_memory)
    return TracePlan(
        samples=planned,
        seeds=_seeds(seeds),
        num_steps=num_steps,
        sites=chosen_sites,
        layers=by_site,
        steps=steps,
        branches=kept_branches,
        run_branches=anatomy.branches(guided),
        dtype=stored,
        save_video=save_video,
        batch=batch,
        settings=StoreSettings(
            model=model_settings(model),
            capture={
                "sites": list(chosen_sites),
                "layers": list(chosen_layers),
                "steps": list(steps),
                "branches": list(kept_branches),
                "dtype": stored,
                "reduction": "full",
                "video": save_video,
            },
            sampling=_sampling_settings(model, resolved[0], sampling),
        ),
    )


def free_space(path: Path) -> tuple[Path, int]:
    """The nearest folder to ``path`` that exists, and the bytes that are free there."""
    place = path.resolve()
    while not place.exists():
        place = place.parent
    return place, shutil.disk_usage(place).free


def check_space(path: Path, needed: int) -> None:
    """Compare the bytes that a trace needs with what is free where the store is, or will be.

    Raises:
        TraceError: too little is free; says both numbers.
    """
    place, free = free_space(path)
    if needed > free:
        raise TraceError(
            f"no space: this trace needs {needed:,} bytes ({size_text(needed)}), {place} has {free:,} free "
            f"({size_text(free)}); keep fewer layers, steps, sites or branches, or use another disk"
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
        "lora": list(model.lora),
        "weights_sha256": model.weights_sha256,
    }


def _plan_sample(
    model: Model,
    sample: Sample,
    settings: dict[str, Any],
    layers: dict[str, tuple[int, ...]],
    steps: tuple[int, ...],
    branches: tuple[str, ...],
    dtype: str,
    save_video: bool,
) -> PlannedSample:
    anatomy = model.anatomy
    size = model.size(settings)
    grid = anatomy.grid(size)
    latent_shape = anatomy.latent_shape(size)
    chunks = sum(len(kept) for kept in layers.values()) * len(steps) * len(branches)
    activations = chunks * (prod(grid) * anatomy.channels * ITEM_BYTES[dtype] + _PER_CHUNK_OVERHEAD)
    latents = (2 * settings["num_steps"] + 2) * prod(latent_shape) * 4
    video = size.num_frames * size.height * size.width * 3 if save_video else 0
    image = 0 if sample.image is None else prod(sample.image.size) * 3
    return PlannedSample(
        sample, settings, size, grid, latent_shape, activations + latents + video + image + _FILE_OVERHEAD
    )


def _guided(settings: dict[str, Any]) -> bool:
    return settings["guidance_scale"] > 1


def _seeds(seeds: Selection) -> tuple[int, ...]:
    if isinstance(seeds, str):
        return parse_seeds(seeds)
    if isinstance(seeds, slice):
        raise SelectionError("seeds: a slice has no meaning here; give numbers, or a text such as 0-7")
    numbers = [seeds] if isinstance(seeds, int) else list(seeds)
    if not numbers:
        raise SelectionError("seeds: nothing is selected")
    return parse_seeds(",".join(str(number) for number in numbers))


def _store_dtype(model: Model, dtype: str) -> str:
    if dtype == "auto":
        return stored_dtype(model.dtype)
    if dtype not in ITEM_BYTES:
        raise TraceError(f'unknown store dtype "{dtype}"; use auto, {", ".join(ITEM_BYTES)}')
    return dtype


def _check_names(samples: Sequence[Sample]) -> None:
    seen: set[str] = set()
    for sample in samples:
        check_run_name(sample.name, 0, BASE)
        if sample.name in seen:
            raise TraceError(f"two samples are called {sample.name}; each needs a name of its own")
        seen.add(sample.name)


def _check_memory(planned: tuple[PlannedSample, ...], token_bytes: int, host_memory: int) -> None:
    largest = max(max(prod(p.grid) * token_bytes, prod(p.latent_shape) * 4) for p in planned)
    if largest > host_memory:
        raise TraceError(
            f"host memory of {size_text(host_memory)} does not hold one layer ({size_text(largest)}); "
            "give at least that"
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
