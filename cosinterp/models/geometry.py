"""The size of a video, and how it becomes latents and tokens."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cosinterp.errors import SampleError

if TYPE_CHECKING:
    import torch


_AXES = ("num_frames", "height", "width")


@dataclass(frozen=True)
class Size:
    """The size of a video in pixels and frames; an image has one frame."""

    height: int
    width: int
    num_frames: int = 1


@dataclass(frozen=True)
class Tiles:
    """The tiles of a VAE that decodes whole ones only: what is left over would be black.

    Frames and pixels (frame, row, col) of a tile, and how far behind it the next one begins.
    """

    size: tuple[int, int, int]
    stride: tuple[int, int, int]

    def check(self, size: Size, where: str) -> None:
        """Refuse a size that tiles do not fill.

        Raises:
            SampleError: says which sizes they fill.
        """
        asked = (size.num_frames, size.height, size.width)
        for name, value, tile, stride in zip(_AXES, asked, self.size, self.stride, strict=True):
            if value == tile or (stride > 0 and value > tile and (value - tile) % stride == 0):
                continue
            further = f", {tile + stride}, {tile + 2 * stride} and so on" if stride > 0 else ""
            raise SampleError(
                f"{where}: {name} {value}, but the VAE of this model decodes whole tiles, so it has to be "
                f"{tile}{further}"
            )


@dataclass(frozen=True)
class Geometry:
    """How a video of some size becomes latents, and latents become the token grid.

    Latents have ``(num_frames - 1) // temporal_scale + 1`` frames, and `extra_latent_frames` more.
    """

    patch_size: tuple[int, int, int]
    """Latent cells of one token: (frame, row, col)."""
    latent_channels: int
    spatial_scale: int
    temporal_scale: int = 1
    size_multiple: tuple[int, int] = (1, 1)
    """What height and width have to be multiples of, in pixels."""
    frame_multiple: int | None = None
    """What the number of frames has to be 1 more than a multiple of; None: ``temporal_scale``."""
    least_frames: int = 1
    """The fewest frames that the pipeline makes a video of."""
    latent_frame_multiple: int = 1
    """The pipeline adds latent frames until they are a multiple of this, and drops them at the end."""
    extra_latent_frames: int = 0
    """Latent frames of a condition that the pipeline denoises together with those of the video."""
    tiles: Tiles | None = None
    """What the VAE decodes by, if it makes nothing of a smaller part; this says then all of what a size has
    to be.
    """
    fixed_size: Size | None = None
    """The only size that the model takes."""
    fixed_sides: tuple[int, int] | None = None
    """The only height and width that the model takes, of any number of frames."""
    default_size: Size | None = None
    """The size of a model where the defaults of the pipeline's call are none, or another model's."""
    is_image: bool = False
    """An image model: one frame, and no number of frames to ask for."""
    token_order: Callable[[tuple[int, int, int]], torch.Tensor] | None = None
    """For a grid (frame, row, col): where in the residual stream its tokens lie, int64 (token,). None: in the
    order of the grid, col running fastest."""

    def latent_shape(self, size: Size) -> tuple[int, int, int, int]:
        """(channel, frame, row, col) of the latents of a size."""
        frames = (size.num_frames - 1) // self.temporal_scale + 1
        multiple = self.latent_frame_multiple
        return (
            self.latent_channels,
            -(-frames // multiple) * multiple + self.extra_latent_frames,
            size.height // self.spatial_scale,
            size.width // self.spatial_scale,
        )

    def grid(self, size: Size) -> tuple[int, int, int]:
        """The token grid (frame, row, col) of a size."""
        _, frames, rows, cols = self.latent_shape(size)
        patch = self.patch_size
        return frames // patch[0], rows // patch[1], cols // patch[2]

    def smallest(self) -> Size:
        """A small size that the model takes, with several tokens along each axis where it can have them."""
        if self.fixed_size is not None:
            return self.fixed_size
        if self.tiles is not None:
            frames, height, width = self.tiles.size
            return Size(height, width, frames)
        sides = zip(self.patch_size[1:], self.size_multiple, strict=True)
        height, width = (
            _at_least(max(32, 2 * self.spatial_scale * patch), multiple) for patch, multiple in sides
        )
        height, width = self.fixed_sides or (height, width)
        frames = 1 if self.is_image else 2 * (self.frame_multiple or self.temporal_scale) + 1
        return Size(height, width, max(frames, self.least_frames))

    def check(self, size: Size, where: str) -> None:
        """Refuse a size that the pipeline would round or reject.

        Raises:
            SampleError: says what the size has to be.
        """
        if self.fixed_size is not None and size != self.fixed_size:
            fixed = self.fixed_size
            frames = "" if self.is_image else f" and {fixed.num_frames} frames"
            raise SampleError(f"{where}: this model takes {fixed.height}x{fixed.width} pixels{frames} only")
        if self.fixed_sides is not None and (size.height, size.width) != self.fixed_sides:
            height, width = self.fixed_sides
            raise SampleError(f"{where}: this model takes {height}x{width} pixels only")
        if self.tiles is not None:
            self.tiles.check(size, where)
            return
        rows, cols = self.size_multiple
        if size.height < rows or size.width < cols or size.height % rows or size.width % cols:
            raise SampleError(
                f"{where}: height {size.height} and width {size.width} have to be multiples of "
                f"{rows} and {cols} for this model"
            )
        if self.is_image and size.num_frames != 1:
            raise SampleError(f"{where}: num_frames {size.num_frames}, but this model makes images")
        if size.num_frames < self.least_frames:
            raise SampleError(
                f"{where}: num_frames {size.num_frames}, but this model makes at least {self.least_frames}"
            )
        scale = self.frame_multiple or self.temporal_scale
        if size.num_frames < 1 or (size.num_frames - 1) % scale:
            below = max(1, (size.num_frames - 1) // scale * scale + 1)
            raise SampleError(
                f"{where}: num_frames {size.num_frames} has to be 1 more than a multiple of {scale} "
                f"for this model, such as {below} or {below + scale}"
            )


def three(patch: Any) -> tuple[int, int, int]:
    """A patch size of a config, one number or three, as (frame, row, col); one number is spatial."""
    if isinstance(patch, int):
        return 1, patch, patch
    frame, row, col = patch
    return int(frame), int(row), int(col)


def multiples(demanded: int, scale: int, patch: tuple[int, int, int]) -> tuple[int, int]:
    """What height and width have to be multiples of (`Geometry.size_multiple`), in pixels.

    The pipeline itself takes multiples of ``demanded`` only, and tokens are patches of latent cells of
    ``scale`` pixels.
    """
    _, row, col = patch
    return math.lcm(demanded, scale * row), math.lcm(demanded, scale * col)


def one_frame(latents: torch.Tensor, size: Size) -> torch.Tensor:
    """Latents of images (batch, channel, row, col) as those of videos of one frame."""
    return latents.unsqueeze(2)


def _at_least(least: int, multiple: int) -> int:
    return -(-least // multiple) * multiple
