"""What is known of a model, for people and for scripts: what ``cosinterp anatomy`` shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from cosinterp.capture.conversion import stored_dtype
from cosinterp.models.blocks import RAW, RESID
from stores import dtypes

if TYPE_CHECKING:
    from cosinterp.models.anatomy import Anatomy
    from cosinterp.models.geometry import Size
    from cosinterp.models.model import Model


@dataclass(frozen=True)
class SiteReport:
    """One site of some layers: where it is, and what one layer of it takes at one step and branch.

    ``module`` is the module whose output it is, "" for a stream; ``gated`` whether it is multiplied before it
    is added. ``grid`` is (frame, row, col); ``layer_bytes`` are those of a slab in the model's dtype.
    """

    site: str
    layers: tuple[int, ...]
    module: str
    gated: bool
    grid: tuple[int, int, int]
    channels: int
    layer_bytes: int


@dataclass(frozen=True)
class StackReport:
    """Blocks of one kind: their layers, class, and the parameters of each."""

    blocks: str
    kind: str
    layers: tuple[int, ...]
    parameters_each: int
    sites: tuple[SiteReport, ...]


@dataclass(frozen=True)
class ExpertReport:
    """A transformer of the pipeline."""

    name: str
    kind: str
    parameters: int


@dataclass(frozen=True)
class ModelReport:
    """All that is known of a model, at a size.

    ``settings`` are the sampling settings that the bytes of a run are counted with; ``run_bytes`` those of
    `resid` at all layers, steps and branches.
    """

    name: str
    pipeline: str
    family: str
    experts: tuple[ExpertReport, ...]
    entering: tuple[SiteReport, ...]
    stacks: tuple[StackReport, ...]
    size: Size
    latents: tuple[int, int, int, int]
    grid: tuple[int, int, int]
    dtype: str
    guidance: str
    branches: dict[str, dict[str, float]]
    embedded: str | None
    prediction_type: str
    scheduler: str
    image: str
    settings: dict[str, Any]
    run_bytes: int

    def as_data(self) -> dict[str, Any]:
        """The report as JSON takes it."""
        return asdict(self)


def report_of(model: Model, size: Size, settings: dict[str, Any]) -> ModelReport:
    """Report on a model at a size, with complete sampling settings. Weights are not looked at."""
    anatomy = model.anatomy
    grid = anatomy.geometry.grid(size)
    branches = anatomy.guidance.computed(settings)
    itemsize = _itemsize(model)
    layer = prod(grid) * anatomy.channels * itemsize
    entering = anatomy.stacks[0].streams
    return ModelReport(
        name=model.name,
        pipeline=type(model.pipeline).__name__,
        family=anatomy.family,
        experts=tuple(
            ExpertReport(name, type(part).__name__, _parameters(part))
            for name in anatomy.experts
            if (part := getattr(model.pipeline, name)) is not None
        ),
        entering=tuple(_stream(anatomy, stream.site, (0,), size, settings, itemsize) for stream in entering),
        stacks=tuple(_stacks(model, size, settings, itemsize)),
        size=size,
        latents=anatomy.geometry.latent_shape(size),
        grid=grid,
        dtype=stored_dtype(model.dtype),
        guidance=anatomy.guidance.kind,
        branches={branch.name: dict(branch.when) for branch in anatomy.guidance.branches},
        embedded=anatomy.guidance.embedded,
        prediction_type=anatomy.prediction_type,
        scheduler=type(model.pipeline.scheduler).__name__,
        image=anatomy.image,
        settings=settings,
        run_bytes=layer * len(anatomy.layers) * settings["num_steps"] * len(branches),
    )


def settings_at(model: Model, asked: dict[str, Any]) -> dict[str, Any]:
    """Complete sampling settings of a model at a size, without a sample.

    What is neither asked for nor known is that of the smallest size.

    Raises:
        SampleError: the size does not fit the model.
    """
    smallest = model.anatomy.geometry.smallest()
    given = {name: value for name, value in asked.items() if value is not None}
    settings = {**model.sampling_defaults, **given}
    for name in ("height", "width", "num_frames"):
        if settings.get(name) is None:
            settings[name] = getattr(smallest, name)
    model.anatomy.geometry.check(model.size(settings), "this size")
    return settings


def _stacks(model: Model, size: Size, settings: dict[str, Any], itemsize: int) -> list[StackReport]:
    anatomy = model.anatomy
    denoiser = getattr(model.pipeline, anatomy.experts[0])
    reports, first = [], 1
    for stack in anatomy.stacks:
        layers = tuple(range(first, first + stack.count))
        first += stack.count
        block = denoiser.get_submodule(stack.blocks)[stack.first]
        streams = [
            _stream(anatomy, stream.site, layers, size, settings, itemsize) for stream in stack.streams
        ]
        grid, channels = anatomy.geometry.grid(size), anatomy.channels
        parts = [
            SiteReport(
                site=part.site + form,
                layers=layers,
                module=part.module,
                gated=form != RAW and (part.gate is not None or part.added is not None),
                grid=grid,
                channels=channels,
                layer_bytes=prod(grid) * channels * itemsize,
            )
            for form in ("", RAW)
            for part in stack.sublayers
        ]
        reports.append(
            StackReport(stack.blocks, type(block).__name__, layers, _parameters(block), (*streams, *parts))
        )
    return reports


def _stream(
    anatomy: Anatomy,
    site: str,
    layers: tuple[int, ...],
    size: Size,
    settings: dict[str, Any],
    itemsize: int,
) -> SiteReport:
    grid = anatomy.geometry.grid(size) if site == RESID else anatomy.stream_grid(site, size, settings)
    channels = anatomy.stream(site).channels
    return SiteReport(site, layers, "", False, grid, channels, prod(grid) * channels * itemsize)


def _itemsize(model: Model) -> int:
    return dtypes.memory_type(stored_dtype(model.dtype)).itemsize


def _parameters(module: Any) -> int:
    return sum(part.numel() for part in module.parameters())
