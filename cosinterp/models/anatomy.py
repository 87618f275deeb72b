"""What a family's denoiser is made of, and how its pipeline runs it, as data.

Tracing, patching and checking read an `Anatomy` and know no family by name. A family is one module with one
function that describes a loaded pipeline, and one row in `cosinterp.models.families.FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from cosinterp.errors import ModelError, SelectionError
from cosinterp.models.blocks import RAW, RESID, Stack, Stream
from cosinterp.models.geometry import Geometry, Size
from cosinterp.models.guidance import Guidance

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class Pinned:
    """Latent frames that the pipeline holds at its condition, before each call and at the end.

    The denoiser's prediction for these frames is discarded, so a clean estimate must take ``latents`` there.
    ``latents``: (batch, channel, frame, row, col), zero elsewhere; ``frames``: bool (frame,).
    """

    latents: torch.Tensor
    frames: torch.Tensor

    @classmethod
    def first_frame(cls, latents: torch.Tensor) -> Pinned:
        """The first frame, held at what it is in ``latents`` (batch, channel, frame, row, col)."""
        held = latents.new_zeros(latents.shape)
        held[:, :, 0] = latents[:, :, 0]
        frames = latents.new_zeros(latents.shape[2]).bool()
        frames[0] = True
        return cls(latents=held, frames=frames)


def _first_expert(pipeline: Any, timestep: torch.Tensor) -> int:
    return 0


def nothing_pinned(prepared: Any, size: Size) -> Pinned | None:
    """For pipelines that denoise all frames."""
    return None


def _nothing_to_prepare(pipeline: Any) -> None:
    pass


def nothing_refused(settings: Mapping[str, Any]) -> str | None:
    """For pipelines that take all settings."""
    return None


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """What a pipeline's denoiser is made of, and how the pipeline runs it.

    Layer 0 of a stream enters the first block; layer k leaves block k, counted through all stacks. Sublayer
    sites at layer k are those of block k, so layer 0 has streams only.
    """

    family: str
    stacks: tuple[Stack, ...]
    """The blocks, in the order in which they run."""
    geometry: Geometry
    guidance: Guidance
    prediction_type: str
    """What the scheduler is given: see `cosinterp.noise_levels`."""
    decode: Callable[[Any, torch.Tensor, int], np.ndarray]
    """Decodes the pipeline's latents (batch, channel, frame, row, col) of a video of so many frames to
    float32 (batch, frame, row, col, rgb) in [0, 1], as the pipeline does."""
    vae_in_model_dtype: bool = False
    """Whether the pipeline decodes latents in the denoiser's dtype, so that its VAE has to have it too; else
    the VAE is in float32."""
    experts: tuple[str, ...] = ("transformer",)
    """Pipeline components that denoise, in the order in which the schedule uses them."""
    expert_at: Callable[[Any, torch.Tensor], int] = _first_expert
    """Which expert serves a timestep, by the pipeline's own configuration."""
    classes: Mapping[str, int] | None = None
    """Class-conditional models: what a sample's prompt may be, and the number of the class that it means."""
    image: Literal["required", "optional", "none"] = "none"
    """Whether the pipeline takes a first image."""
    image_hint: str = "leave the image out"
    """What to do when a sample and ``image`` do not agree."""
    size_of_image: Callable[[int, int], tuple[int, int]] | None = None
    """Where the pipeline's call takes no size: the (height, width) that it makes of a first image of a height
    and width."""
    videos: Mapping[str, Literal["required", "optional"]] = field(default_factory=dict)
    """Videos of the sample that the pipeline takes besides, by the names of its arguments; see
    `cosinterp.samples.videos`."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Sampling settings of this family besides the common ones, and their defaults; `FROM_PIPELINE`: the
    default of the pipeline's call."""
    ignored: tuple[str, ...] = ()
    """Common settings that the pipeline's call takes and does nothing with: the model does not have them."""
    missing_packages: tuple[str, ...] = ()
    """Packages that the pipeline needs to run, and not to be described, and that are not installed."""
    prepare: Callable[[Any], None] = _nothing_to_prepare
    """Switches on what the pipeline does not run without, when it is loaded."""
    arguments: Callable[[Any, dict[str, Any]], dict[str, Any]] | None = None
    """Changes the arguments of the pipeline's call, where the family needs others; the last to see them."""
    refusal: Callable[[Mapping[str, Any]], str | None] = nothing_refused
    """What is wrong with complete sampling settings, where the pipeline would fail on them with a traceback,
    or take them for something else."""
    one_at_a_time: bool = False
    """Whether the pipeline makes one video a call: its prompt and its generator are no lists."""
    output: str = "frames"
    """Where the pipeline's output has the video, or the image."""
    two_guidance_scales: bool = False
    """Whether the second expert has a guidance scale of its own, ``guidance_scale_2``."""
    fixed_text_length: int | None = None
    """The only text length that the attention takes, where it is hard-coded."""
    unpack: Callable[[torch.Tensor, Size], torch.Tensor] | None = None
    """Brings what the scheduler sees to (batch, channel, frame, row, col); None: it is so already."""
    pinned: Callable[[Any, Size], Pinned | None] = nothing_pinned
    """Reads the pinned frames from what the pipeline's ``prepare_latents`` returned."""
    steps_pass_latents_only: bool = True
    """Whether a step gets nothing from the step before but the latents of the video. Else a replay computes
    all steps, since a store does not have what else there is."""
    step_argument: str | None = None
    """What only those calls of ``scheduler.step`` are given that make a step, where there are others."""

    @property
    def num_layers(self) -> int:
        """Number of blocks; a stream has one layer more."""
        return sum(stack.count for stack in self.stacks)

    @property
    def layers(self) -> range:
        """Layers of the residual stream."""
        return range(self.num_layers + 1)

    @property
    def channels(self) -> int:
        """Channels of the residual stream."""
        return self.stream(RESID).channels

    @cached_property
    def sites(self) -> tuple[str, ...]:
        """All sites: streams, then sublayers, the gated form before the raw one."""
        streams = dict.fromkeys(stream.site for stack in self.stacks for stream in stack.streams)
        names = dict.fromkeys(part.site for stack in self.stacks for part in stack.sublayers)
        return (*streams, *names, *(name + RAW for name in names))

    def stream(self, site: str) -> Stream:
        """A residual stream, as the first stack that has it says."""
        return next(stream for stack in self.stacks if (stream := stack.stream(site)) is not None)

    def is_stream(self, site: str) -> bool:
        """Whether a site is a residual stream, which a layer passes on."""
        return any(stack.stream(site) is not None for stack in self.stacks)

    def stack_of(self, layer: int) -> tuple[Stack, int]:
        """The stack that has block ``layer`` (from 1), and the block's index in its ModuleList."""
        index = layer - 1
        for stack in self.stacks:
            if index < stack.count:
                return stack, stack.places[index]
            index -= stack.count
        raise IndexError(f"there is no block {layer} in {self.num_layers}")

    def layers_of(self, site: str, layers: tuple[int, ...]) -> tuple[int, ...]:
        """Those of ``layers`` that ``site`` has."""
        return tuple(layer for layer in layers if self._has(site, layer))

    def _has(self, site: str, layer: int) -> bool:
        if layer == 0:
            return self.stacks[0].stream(site) is not None
        stack, _ = self.stack_of(layer)
        name = site.removesuffix(RAW)
        return stack.stream(site) is not None or any(part.site == name for part in stack.sublayers)

    def stream_grid(self, site: str, size: Size, settings: dict[str, Any]) -> tuple[int, int, int]:
        """The grid (frame, row, col) of a stream's tokens."""
        own = self.stream(site).grid
        return self.geometry.grid(size) if own is None else own(size, settings)

    def token_order(self, size: Size, device: torch.device) -> torch.Tensor | None:
        """Where in the residual stream the tokens of the grid lie, (token,); None: in its own order."""
        geometry = self.geometry
        return None if geometry.token_order is None else geometry.token_order(geometry.grid(size)).to(device)

    def packed_like(self, latents: torch.Tensor, seen: torch.Tensor, size: Size) -> torch.Tensor:
        """The inverse of `unpack`: latents (batch, channel, frame, row, col) as the scheduler sees them.

        They get the shape, the dtype and the device of ``seen``, which is what it saw of as many rows. First
        frames that it is not shown are left out.

        Raises:
            ModelError: `unpack` is no rearrangement, so that it has no inverse.
            ValueError: the latents have another shape.
        """
        import torch

        index = torch.arange(seen.numel(), device=seen.device).view(seen.shape)
        places = index if self.unpack is None else self.unpack(index, size)
        if not torch.equal(places.flatten().sort().values, index.flatten()):
            raise ModelError(
                f"latents cannot be put where the scheduler sees {tuple(seen.shape)}: in this model "
                f"({self.family}) those are not the latents of {size.height}x{size.width} in another order"
            )
        shown = latents[:, :, latents.shape[2] - places.shape[2] :]
        if shown.shape != places.shape:
            raise ValueError(f"latents {tuple(latents.shape)} cannot be packed as {tuple(places.shape)}")
        packed = torch.empty_like(seen, memory_format=torch.contiguous_format)
        packed.view(-1)[places.flatten()] = shown.to(seen).flatten()
        return packed

    def on_token_grid(self, site: str) -> bool:
        """Whether a site's tokens are those of the video, and in the order of `token_order`."""
        return not self.is_stream(site) or self.stream(site).grid is None

    def select_sites(self, names: tuple[str, ...] | list[str] | str) -> tuple[str, ...]:
        """The sites that ``names`` ("resid,self_attn" or a sequence) asks for, in the anatomy's order.

        Raises:
            SelectionError: a site that this model does not have, or none.
        """
        asked = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
        if asked == ["all"]:
            return self.sites
        unknown = [name for name in asked if name not in self.sites]
        if unknown or not asked:
            what = f'unknown site "{unknown[0]}"' if unknown else "no site is selected"
            raise SelectionError(f"{what}; this model has sites {', '.join(self.sites)}")
        return tuple(site for site in self.sites if site in asked)

    def select_branches(
        self, names: tuple[str, ...] | list[str] | str, settings: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """The branches that ``names`` ("all", "cond", "cond,uncond") asks for, of a run with these settings.

        Raises:
            SelectionError: an unknown branch, or one that such a run does not compute.
        """
        available = self.guidance.computed(settings)
        asked = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
        if asked == ["all"]:
            return available
        if not asked:
            raise SelectionError(f"no branch is selected; this run has branches {', '.join(available)}")
        for name in asked:
            branch = next((branch for branch in self.guidance.branches if branch.name == name), None)
            if branch is None:
                known = ", ".join(self.guidance.names)
                raise SelectionError(f'unknown branch "{name}"; this model has {known}')
            if name not in available:
                needed = " or ".join(f"{setting} above {value:g}" for setting, value in branch.when.items())
                raise SelectionError(f"branch {name} is not computed by this run; it needs {needed}")
        return tuple(name for name in available if name in asked)


class FromPipeline:
    """The default of a setting is that of the pipeline's call."""


FROM_PIPELINE = FromPipeline()
