"""What is not listed: an anatomy found from the module tree and from what pipelines have in common.

The blocks are the longest ModuleList of like blocks, the residual stream their first argument, its tokens in
the order of the grid. It knows no sublayers, since how a block gates them is not to be seen from outside.
`cosinterp verify` tells whether what was found is right.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch

from cosinterp.errors import ModelError
from cosinterp.models.anatomy import FROM_PIPELINE, Anatomy
from cosinterp.models.blocks import LIKE_ENTERING, RESID, Stack, Stream
from cosinterp.models.geometry import Geometry, Size, multiples, three
from cosinterp.models.guidance import COND, UNCOND, Branch, Guidance
from cosinterp.models.vae import decode_image, decoded, on_vae
from cosinterp.noise_levels import prediction_type_of

FAMILY = "generic"
_SPATIAL = ("vae_scale_factor_spatial", "vae_spatial_compression_ratio", "vae_scale_factor")
_TEMPORAL = ("vae_scale_factor_temporal", "vae_temporal_compression_ratio")
_CHANNELS = ("z_dim", "latent_channels")
_FRAMES = "num_frames"
_TRUE_GUIDANCE = "true_cfg_scale"


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of a pipeline of no known family, as far as it can be found.

    Raises:
        ModelError: something that cannot be guessed is not there; says what.
    """
    parameters = inspect.signature(type(pipeline).__call__).parameters
    if getattr(pipeline, "transformer_2", None) is not None:
        raise ModelError(
            f"{name}: {type(pipeline).__name__} is made for two transformers, and of an unknown family it "
            "cannot be told which of them serves a step"
        )
    denoiser = pipeline.transformer
    path, blocks = find_blocks(denoiser, name)
    is_image = _is_image(parameters, f"{name}: {type(pipeline).__name__}")
    geometry = _geometry(pipeline, is_image, name)
    return Anatomy(
        family=FAMILY,
        stacks=(
            Stack(
                blocks=path,
                count=len(blocks),
                streams=(Stream(RESID, _channels(blocks[0]), _first_argument(blocks[0]), LIKE_ENTERING),),
            ),
        ),
        geometry=geometry,
        guidance=_guidance(parameters, denoiser),
        prediction_type=prediction_type_of(pipeline.scheduler, name),
        decode=decode_image if is_image else _decode,
        image=_image(parameters.get("image")),
        settings={_TRUE_GUIDANCE: FROM_PIPELINE} if _TRUE_GUIDANCE in parameters else {},
        output="images" if is_image else "frames",
        unpack=_unpack_for(geometry.latent_channels),
    )


def _is_image(parameters: Mapping[str, inspect.Parameter], what: str) -> bool:
    """Whether a call makes images: it is told no number of frames, and nothing else of a video.

    Raises:
        ModelError: it is told of frames by another name.
    """
    if _FRAMES in parameters:
        return False
    others = [parameter for parameter in parameters if any(part in parameter for part in ("video", "frame"))]
    if others:
        raise ModelError(
            f"{what} has no argument {_FRAMES} but {', '.join(others)}, so it cannot be told how many frames "
            "it makes"
        )
    return True


def find_blocks(denoiser: torch.nn.Module, name: str) -> tuple[str, torch.nn.ModuleList]:
    """The path and the ModuleList of a denoiser's blocks: the longest one of like blocks.

    Of several that are as long, the one with most parameters.

    Raises:
        ModelError: there is none.
    """
    found: list[tuple[str, torch.nn.ModuleList]] = []
    for path, module in denoiser.named_modules():
        inside = any(path.startswith(f"{outer}.") for outer, _ in found)
        if isinstance(module, torch.nn.ModuleList) and len(module) and not inside:
            kinds = Counter(type(block) for block in module)
            if len(kinds) == 1 and _is_block(module[0]):
                found.append((path, module))
    if not found:
        raise ModelError(
            f"{name}: no blocks were found in {type(denoiser).__name__}: it has no ModuleList of like blocks"
        )
    return max(found, key=lambda one: (len(one[1]), sum(part.numel() for part in one[1].parameters())))


def _is_block(module: torch.nn.Module) -> bool:
    """Whether a module has parts of its own, as a block of attention and MLP has."""
    return sum(isinstance(part, torch.nn.Linear) for part in module.modules()) >= 2


def _first_argument(block: torch.nn.Module) -> str:
    # The one after self.
    return list(inspect.signature(type(block).forward).parameters)[1]


def _channels(block: torch.nn.Module) -> int:
    """The width that most of a block's linear layers read or write."""
    widths = Counter(
        width
        for part in block.modules()
        if isinstance(part, torch.nn.Linear)
        for width in (part.in_features, part.out_features)
    )
    return widths.most_common(1)[0][0]


def _geometry(pipeline: Any, is_image: bool, name: str) -> Geometry:
    config = pipeline.transformer.config
    patch = config.get("patch_size")
    if patch is None:
        raise ModelError(f"{name}: {type(pipeline.transformer).__name__} says no patch_size in its config")
    frames = config.get("patch_size_t") or 1
    frame, row, col = (frames, patch, patch) if isinstance(patch, int) else three(patch)
    spatial = _first(pipeline, _SPATIAL, name, "how much its VAE scales space")
    temporal = 1 if is_image else _first(pipeline, _TEMPORAL, name, "how much its VAE scales time")
    return Geometry(
        patch_size=(frame, row, col),
        latent_channels=_first(pipeline.vae.config, _CHANNELS, name, "the channels of its latents"),
        spatial_scale=spatial,
        temporal_scale=temporal,
        size_multiple=multiples(16, spatial, (frame, row, col)),
        latent_frame_multiple=frame,
        is_image=is_image,
    )


def _first(owner: Any, names: tuple[str, ...], name: str, what: str) -> int:
    for attribute in names:
        value = getattr(owner, attribute, None)
        if value is not None:
            return int(value)
    raise ModelError(f"{name}: the pipeline does not say {what} (none of {', '.join(names)})")


def _guidance(parameters: Mapping[str, inspect.Parameter], denoiser: Any) -> Guidance:
    """Guidance by the usual setting; whether it doubles the batch is seen when it runs."""
    embedded = "guidance_scale" if denoiser.config.get("guidance_embeds") else None
    setting = _TRUE_GUIDANCE if _TRUE_GUIDANCE in parameters else "guidance_scale"
    if setting not in parameters or setting == embedded:
        return Guidance(kind="none", branches=(Branch(COND),), embedded=embedded)
    return Guidance(
        kind="observed",
        branches=(Branch(COND), Branch(UNCOND, {setting: 1.0})),
        embedded=embedded,
        on={setting: 3.0},
        off={setting: 1.0},
    )


def _image(parameter: inspect.Parameter | None) -> Literal["required", "optional", "none"]:
    if parameter is None:
        return "none"
    return "required" if parameter.default is inspect.Parameter.empty else "optional"


def _unpack_for(channels: int) -> Callable[[torch.Tensor, Size], torch.Tensor]:
    """Tells by its shape how a latent lies."""

    def unpack(latents: torch.Tensor, size: Size) -> torch.Tensor:
        if latents.ndim == 4:
            return latents.unsqueeze(2)
        if latents.ndim == 5 and latents.shape[1] != channels:
            if latents.shape[2] == channels:
                return latents.transpose(1, 2)
            if latents.shape[-1] == channels:
                return latents.movedim(-1, 1)
        return latents

    return unpack


def _decode(pipeline: Any, latents: torch.Tensor, num_frames: int) -> np.ndarray:
    """By what the VAE's config says of its latents: mean and deviation, or a factor and a shift."""
    config = pipeline.vae.config
    latents = on_vae(pipeline, latents)
    if config.get("latents_mean") is not None and config.get("latents_std") is not None:
        shape = (1, -1, 1, 1, 1)
        mean = torch.tensor(config["latents_mean"]).view(shape).to(latents)
        std = torch.tensor(config["latents_std"]).view(shape).to(latents)
        return decoded(pipeline, latents * std + mean)
    shifted = latents / config.get("scaling_factor", 1.0) + (config.get("shift_factor") or 0.0)
    return decoded(pipeline, shifted)
