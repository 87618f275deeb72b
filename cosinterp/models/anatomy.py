"""What a family's denoiser is made of, as data.

Tracing, patching and checking read an `Anatomy` and know no family by name. A family is one module with one
function that describes a loaded pipeline, and one row in `FAMILIES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cosinterp.errors import ModelError, SampleError, SelectionError

if TYPE_CHECKING:
    import numpy as np
    import torch

RESID = "resid"
RAW = ".raw"

BlockInputs = tuple[tuple[Any, ...], dict[str, Any]]
"""The positional and keyword arguments of one call of a block."""


@dataclass(frozen=True)
class Sublayer:
    """One sublayer of a block, whose output is added to the residual stream.

    ``gate`` computes what the block multiplies the module's output by before adding it, from the block and
    the inputs of its call: a float32 tensor that broadcasts to (batch, token, channel). None: added as it is.
    """

    site: str
    module: str
    gate: Callable[[torch.nn.Module, BlockInputs], torch.Tensor] | None = None


@dataclass(frozen=True)
class Pinned:
    """Latent frames that the pipeline overwrites with its condition, before each call and at the end.

    The denoiser's prediction for these frames is discarded, so a clean estimate must take ``latents`` there.
    ``latents``: float32 (batch, channel, frame, row, col), zero elsewhere; ``frames``: bool (frame,).
    """

    latents: torch.Tensor
    frames: torch.Tensor


@dataclass(frozen=True)
class Size:
    """The size of a video in pixels and frames."""

    height: int
    width: int
    num_frames: int


@dataclass(frozen=True)
class Anatomy:
    """What a pipeline's denoiser is made of.

    Layer 0 of the residual stream enters the first block; layer k leaves block k. Sublayer sites at layer k
    are those of block k, so layer 0 has `resid` only.
    """

    family: str
    experts: tuple[str, ...]
    """Pipeline components that denoise, in the order in which the schedule uses them."""
    blocks: str
    """Attribute of an expert: its ModuleList of blocks."""
    num_layers: int
    """Number of blocks; the residual stream has one layer more."""
    channels: int
    sublayers: tuple[Sublayer, ...]
    block_arguments: tuple[str, ...]
    """Names of a block's positional arguments; the first is the residual stream."""
    patch_size: tuple[int, int, int]
    latent_channels: int
    spatial_scale: int
    temporal_scale: int
    size_multiple: tuple[int, int]
    """What height and width have to be multiples of, in pixels."""
    image: Literal["required", "none"]
    """Whether the pipeline takes a first image."""
    image_hint: str
    """What to do when a sample and ``image`` do not agree."""
    guidance: Literal["sequential"]
    """`sequential`: one call for each branch, labelled by the denoiser's cache context."""
    prediction_type: Literal["flow"]
    two_guidance_scales: bool
    expert_at: Callable[[Any, torch.Tensor], int]
    """Which expert serves a timestep, by the pipeline's own configuration."""
    fixed_text_length: int | None
    """The only text length that the attention takes, where it is hard-coded."""
    pinned: Callable[[Any], Pinned | None]
    """Reads the pinned frames from what the pipeline's ``prepare_latents`` returned."""
    decode: Callable[[Any, torch.Tensor], np.ndarray]
    """Decodes normalised latents (batch, channel, frame, row, col) to float32 (batch, frame, row, col, rgb)
    in [0, 1], as the pipeline does."""

    @property
    def layers(self) -> range:
        """Layers of the residual stream."""
        return range(self.num_layers + 1)

    @property
    def sites(self) -> tuple[str, ...]:
        """All sites, the gated form of a sublayer before the raw one."""
        names = tuple(sublayer.site for sublayer in self.sublayers)
        return (RESID, *names, *(name + RAW for name in names))

    def layers_of(self, site: str, layers: tuple[int, ...]) -> tuple[int, ...]:
        """Those of ``layers`` that ``site`` has."""
        return layers if site == RESID else tuple(layer for layer in layers if layer > 0)

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

    def select_branches(self, names: tuple[str, ...] | list[str] | str, guided: bool) -> tuple[str, ...]:
        """The branches that ``names`` ("all", "cond", "cond,uncond") asks for.

        Raises:
            SelectionError: an unknown branch, or `uncond` when guidance is off.
        """
        available = self.branches(guided)
        asked = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
        if asked == ["all"]:
            return available
        if not asked:
            raise SelectionError(f"no branch is selected; this run has branches {', '.join(available)}")
        for name in asked:
            if name not in ("cond", "uncond"):
                raise SelectionError(f'unknown branch "{name}"; branches are cond and uncond')
            if name not in available:
                raise SelectionError(
                    "branch uncond is not computed without guidance; use a guidance scale above 1"
                )
        return tuple(name for name in available if name in asked)

    @staticmethod
    def branches(guided: bool) -> tuple[str, ...]:
        """Branches of a run with or without guidance."""
        return ("cond", "uncond") if guided else ("cond",)

    def latent_shape(self, size: Size) -> tuple[int, int, int, int]:
        """(channel, frame, row, col) of the latent video of a size."""
        return (
            self.latent_channels,
            (size.num_frames - 1) // self.temporal_scale + 1,
            size.height // self.spatial_scale,
            size.width // self.spatial_scale,
        )

    def grid(self, size: Size) -> tuple[int, int, int]:
        """The token grid (frame, row, col) of a size."""
        _, frames, rows, cols = self.latent_shape(size)
        patch = self.patch_size
        return frames // patch[0], rows // patch[1], cols // patch[2]

    def check_size(self, size: Size, where: str) -> None:
        """Refuse a size that the pipeline would round or reject.

        Raises:
            SampleError: says what the size has to be a multiple of.
        """
        rows, cols = self.size_multiple
        if size.height < rows or size.width < cols or size.height % rows or size.width % cols:
            raise SampleError(
                f"{where}: height {size.height} and width {size.width} have to be multiples of "
                f"{rows} and {cols} for this model"
            )
        scale = self.temporal_scale
        if size.num_frames < 1 or (size.num_frames - 1) % scale:
            below = max(1, (size.num_frames - 1) // scale * scale + 1)
            raise SampleError(
                f"{where}: num_frames {size.num_frames} has to be 1 more than a multiple of {scale} "
                f"for this model, such as {below} or {below + scale}"
            )


FAMILIES: dict[str, str] = {"WanTransformer3DModel": "cosinterp.models.wan"}
"""Class name of the denoiser -> the module whose ``describe(pipeline)`` makes its `Anatomy`."""


def anatomy_of(pipeline: Any, name: str) -> Anatomy:
    """Describe a loaded pipeline.

    Raises:
        ModelError: the pipeline has no transformer, or one of a family that is not known.
    """
    denoiser = getattr(pipeline, "transformer", None) or getattr(pipeline, "transformer_2", None)
    if denoiser is None:
        raise ModelError(f"{name}: {type(pipeline).__name__} has no transformer to trace")
    module = FAMILIES.get(type(denoiser).__name__)
    if module is None:
        raise ModelError(
            f"{name}: no anatomy is known for {type(denoiser).__name__}; known: {', '.join(FAMILIES)}"
        )
    return importlib.import_module(module).describe(pipeline, name)
