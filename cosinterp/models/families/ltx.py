"""LTX-Video 0.9.0 and from 0.9.5 on, from text and from an image.

Self-attention and the feed-forward layer are gated by the timestep, which from an image each token has for
itself; cross-attention has no gate (`LTXVideoTransformerBlock.forward` in diffusers). The decoder of the VAE
takes a timestep too; it stays at the pipelines' default, 0, where decoding adds no noise to the latents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch

from cosinterp.errors import ModelError
from cosinterp.models.anatomy import FROM_PIPELINE, Anatomy, Pinned, nothing_pinned
from cosinterp.models.arguments import image_for_each_row
from cosinterp.models.blocks import BlockCall, Sublayer
from cosinterp.models.families.shared import known_pipeline, one_stack
from cosinterp.models.geometry import Geometry, Size, multiples
from cosinterp.models.guidance import classifier_free
from cosinterp.models.vae import decoded, on_vae
from cosinterp.noise_levels import FLOW, REVERSED_FLOW, check_predicts

_TEXT, _IMAGE, _CONDITION = "LTXPipeline", "LTXImageToVideoPipeline", "LTXConditionPipeline"
_KNOWN: dict[str, Literal["required", "optional", "none"]] = {
    _TEXT: "none",
    _IMAGE: "required",
    _CONDITION: "optional",
}
_WHY_NOT = {"LTXI2VLongMultiPromptPipeline": "denoises one window of the video after another"}
_SELF_ATTENTION_GATE = 2
_FEED_FORWARD_GATE = 5
# What the pipelines themselves refuse to take other multiples than of.
_MULTIPLE = 32


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of an LTX-Video pipeline.

    Raises:
        ModelError: a class of pipeline, a VAE or a scheduler that is not understood.
    """
    kind = known_pipeline(pipeline, _KNOWN, name, _WHY_NOT)
    _check(pipeline, kind, name)
    geometry = geometry_of(pipeline)
    predicts = check_predicts(pipeline.scheduler, FLOW, name)
    settings: dict[str, Any] = {"frame_rate": FROM_PIPELINE, "guidance_rescale": FROM_PIPELINE}
    if kind == _CONDITION:
        # Not the pipeline's 0.15: see `_refusal`.
        settings["image_cond_noise_scale"] = 0.0
    return Anatomy(
        family="ltx",
        stacks=one_stack(
            pipeline.transformer,
            Sublayer("self_attn", "attn1", gate=timestep_gate(_SELF_ATTENTION_GATE)),
            Sublayer("cross_attn", "attn2"),
            Sublayer("mlp", "ff", gate=timestep_gate(_FEED_FORWARD_GATE)),
        ),
        geometry=geometry,
        guidance=classifier_free("doubled"),
        prediction_type=REVERSED_FLOW if kind == _CONDITION else predicts,
        decode=_decode,
        # From text the pipeline casts latents to the VAE's dtype.
        vae_in_model_dtype=kind != _TEXT,
        image=_KNOWN[kind],
        image_hint=_image_hint(pipeline, kind),
        settings=settings,
        arguments=_nested_image if kind == _CONDITION else image_for_each_row,
        refusal=_refusal,
        unpack=unpacked(geometry),
        pinned=nothing_pinned if kind == _TEXT else pinned_first(geometry),
    )


def geometry_of(pipeline: Any, default_size: Size | None = None) -> Geometry:
    """The geometry of an LTX pipeline, 1 or 2."""
    config = pipeline.transformer.config
    spatial = pipeline.vae_spatial_compression_ratio
    patch = (config.patch_size_t, config.patch_size, config.patch_size)
    return Geometry(
        patch_size=patch,
        latent_channels=config.in_channels,
        spatial_scale=spatial,
        temporal_scale=pipeline.vae_temporal_compression_ratio,
        size_multiple=multiples(_MULTIPLE, spatial, patch),
        default_size=default_size,
    )


def timestep_gate(row: int) -> Callable[[BlockCall], torch.Tensor]:
    """One of the modulation vectors of a block, for all tokens or for each, as its forward computes it."""

    def gate(call: BlockCall) -> torch.Tensor:
        table: torch.Tensor = call.block.scale_shift_table  # type: ignore[assignment]
        temb = call.argument("temb")
        return table[row].to(temb.device) + temb.unflatten(2, (len(table), -1))[:, :, row]

    return gate


def unpacked(geometry: Geometry) -> Callable[[torch.Tensor, Size], torch.Tensor]:
    """The scheduler sees (batch, token, channel); from an image, what is 5D already."""

    def unpack(latents: torch.Tensor, size: Size) -> torch.Tensor:
        if latents.ndim == 5:
            return latents
        return latents.unflatten(1, geometry.latent_shape(size)[1:]).movedim(-1, 1)

    return unpack


def pinned_first(geometry: Geometry) -> Callable[[Any, Size], Pinned | None]:
    """The first frame, held at the image that (latents, mask of the image's tokens, ...) have there."""
    unpack = unpacked(geometry)

    def pinned(prepared: Any, size: Size) -> Pinned | None:
        latents, mask, *_ = prepared
        return None if mask is None else Pinned.first_frame(unpack(latents, size))

    return pinned


def denormalised(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Latents on the VAE's own scale, in the dtype that they have."""
    mean, std = (part.view(1, -1, 1, 1, 1).to(latents) for part in (vae.latents_mean, vae.latents_std))
    return latents * std / vae.config.scaling_factor + mean


def decode_at_zero(pipeline: Any, latents: torch.Tensor) -> np.ndarray:
    """Decode latents on the VAE's own scale at timestep 0, if its decoder takes one."""
    latents = on_vae(pipeline, latents)
    timestep = latents.new_zeros(len(latents)) if pipeline.vae.config.timestep_conditioning else None
    return decoded(pipeline, latents, temb=timestep)


def check_decoder(vae: Any, name: str) -> None:
    """Refuse a VAE whose decoder draws noise from no generator that a pipeline gives it.

    Raises:
        ModelError: it does.
    """
    if np.any(vae.config.decoder_inject_noise):
        raise ModelError(
            f"{name}: its VAE adds noise as it decodes, which no seed determines (decoder_inject_noise, as "
            "in LTX-Video 0.9.1); use another version of the model"
        )


def above_zero(settings: Mapping[str, Any], *names: str) -> str | None:
    """What is wrong with the first of these settings that is not above 0."""
    wrong = next((name for name in names if not settings[name] > 0), None)
    return None if wrong is None else f"{wrong} has to be above 0, not {settings[wrong]}"


def _check(pipeline: Any, kind: str, name: str) -> None:
    check_decoder(pipeline.vae, name)
    if kind == _IMAGE and pipeline.vae.config.timestep_conditioning:
        raise ModelError(
            f"{name}: {kind} cannot decode with this VAE from a generator for each video; "
            f"load it as {_CONDITION}"
        )
    config = pipeline.scheduler.config
    shifts = config.get("use_dynamic_shifting") or config.get("shift_terminal") or config.get("shift", 1) != 1
    if kind == _CONDITION and shifts:
        raise ModelError(
            f"{name}: {kind} sets noise levels of its own, which this scheduler would shift; load it as "
            f"{_TEXT} or {_IMAGE}"
        )


def _image_hint(pipeline: Any, kind: str) -> str:
    if kind == _IMAGE:
        return "give a first image"
    starting = _CONDITION if pipeline.vae.config.timestep_conditioning else _IMAGE
    return f"load it as {starting} to start from an image"


def _refusal(settings: Mapping[str, Any]) -> str | None:
    if settings.get("image_cond_noise_scale"):
        return (
            "image_cond_noise_scale has to be 0: with other noise on the first frame at each step "
            "its clean estimate is not known"
        )
    return above_zero(settings, "frame_rate")


def _nested_image(pipeline: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """One condition, whose image there is once for each row of the batch."""
    image = image_for_each_row(pipeline, arguments)["image"]
    return {**arguments, "image": None if image is None else [image]}


def _decode(pipeline: Any, latents: torch.Tensor, num_frames: int) -> np.ndarray:
    # The pipelines round to the dtype of their text embeddings in between.
    return decode_at_zero(pipeline, denormalised(pipeline.vae, latents).to(pipeline.text_encoder.dtype))
