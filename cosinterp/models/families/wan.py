"""The Wan family: Wan2.1 (T2V, I2V), Wan2.2 A14B (two experts) and Wan2.2 TI2V-5B (per-token timesteps).

In a block the outputs of ``attn1`` and ``ffn`` are gated by the timestep after the module and before they are
added; the output of ``attn2`` is added as it is (`WanTransformerBlock.forward` in diffusers).
"""

from __future__ import annotations

from typing import Any

import torch

from cosinterp.errors import ModelError
from cosinterp.models.anatomy import FROM_PIPELINE, Anatomy, Pinned
from cosinterp.models.blocks import RESID, BlockCall, Stack, Stream, Sublayer
from cosinterp.models.families.shared import known_pipeline
from cosinterp.models.geometry import Geometry, Size, multiples, three
from cosinterp.models.guidance import classifier_free
from cosinterp.models.vae import decode_standardised
from cosinterp.noise_levels import FLOW, check_predicts

_SELF_ATTENTION_GATE = 2
_FEED_FORWARD_GATE = 5
_ADDED_IMAGE_TEXT_LENGTH = 512
_FIRST, _SECOND = "transformer", "transformer_2"


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of a Wan pipeline.

    Raises:
        ModelError: a class of pipeline, a scheduler or a pair of experts that is not understood.
    """
    experts, depth = experts_of(pipeline, name)
    image = _takes_image(pipeline, name)
    config = getattr(pipeline, experts[0]).config
    patch = three(config.patch_size)
    spatial = pipeline.vae_scale_factor_spatial
    return Anatomy(
        family="wan",
        experts=experts,
        stacks=(blocks(config, depth),),
        geometry=Geometry(
            patch_size=patch,
            latent_channels=pipeline.vae.config.z_dim,
            spatial_scale=spatial,
            temporal_scale=pipeline.vae_scale_factor_temporal,
            # The pipeline itself refuses what is no multiple of 16, whatever its VAE and patches are.
            size_multiple=multiples(16, spatial, patch),
        ),
        guidance=classifier_free("sequential"),
        prediction_type=check_predicts(pipeline.scheduler, FLOW, name),
        decode=decode_standardised,
        image="required" if image else "none",
        image_hint=_image_hint(pipeline, image),
        settings={"guidance_scale_2": FROM_PIPELINE},
        two_guidance_scales=pipeline.config.boundary_ratio is not None,
        expert_at=expert_at,
        fixed_text_length=fixed_text_length(config),
        pinned=_pinned,
    )


def experts_of(pipeline: Any, name: str) -> tuple[tuple[str, ...], int]:
    """The components that denoise, and how many blocks each of them has.

    Raises:
        ModelError: they have not as many, or one of them is not there and there are steps that it serves.
    """
    _check_experts(pipeline, name)
    experts = tuple(part for part in (_FIRST, _SECOND) if getattr(pipeline, part) is not None)
    depths = {len(getattr(pipeline, part).blocks) for part in experts}
    if len(depths) > 1:
        raise ModelError(f"{name}: the two experts have different numbers of blocks: {sorted(depths)}")
    return experts, depths.pop()


def _check_experts(pipeline: Any, name: str) -> None:
    """Refuse a pipeline that would call an expert that it does not have."""
    ratio, scheduler = pipeline.config.boundary_ratio, pipeline.scheduler
    if getattr(pipeline, _FIRST) is None:
        steps = ratio is None or bool(
            scheduler.timesteps.max() >= ratio * scheduler.config.num_train_timesteps
        )
        missing = _FIRST if steps else None
    else:
        missing = _SECOND if ratio and getattr(pipeline, _SECOND) is None else None
    if missing is not None:
        raise ModelError(
            f"{name}: it has no {missing}, which serves some of its steps (boundary_ratio {ratio}); load "
            "both experts, or set a boundary_ratio with which the other one serves all steps"
        )


def blocks(config: Any, count: int) -> Stack:
    """The blocks of a Wan transformer."""
    channels = config.num_attention_heads * config.attention_head_dim
    return Stack(
        blocks="blocks",
        count=count,
        streams=(Stream(RESID, channels, "hidden_states"),),
        sublayers=(
            Sublayer("self_attn", "attn1", gate=_self_attention_gate),
            Sublayer("cross_attn", "attn2"),
            Sublayer("mlp", "ffn", gate=_feed_forward_gate),
        ),
    )


def fixed_text_length(config: Any) -> int | None:
    """The only text length that attention to an image beside the text takes; it splits the two there."""
    return None if config.added_kv_proj_dim is None else _ADDED_IMAGE_TEXT_LENGTH


def _takes_image(pipeline: Any, name: str) -> bool:
    kinds = {"WanPipeline": False, "WanImageToVideoPipeline": True}
    return kinds[known_pipeline(pipeline, kinds, name)]


def _image_hint(pipeline: Any, image: bool) -> str:
    if image:
        return "give a first image"
    if pipeline.config.expand_timesteps:
        return "load it as WanImageToVideoPipeline to start from an image"
    return "it is a text-to-video model: leave the image out"


def _modulation(call: BlockCall, index: int) -> torch.Tensor:
    """One of the six modulation vectors of a block, computed as its forward does: float32."""
    temb = call.argument("temb")
    table: torch.Tensor = call.block.scale_shift_table  # type: ignore[assignment]
    # Of all six, a video's tokens that have a timestep each would take six times the memory.
    if temb.ndim == 4:
        return table[:, index] + temb[:, :, index].float()
    return table[:, index : index + 1] + temb[:, index : index + 1].float()


def _self_attention_gate(call: BlockCall) -> torch.Tensor:
    return _modulation(call, _SELF_ATTENTION_GATE)


def _feed_forward_gate(call: BlockCall) -> torch.Tensor:
    return _modulation(call, _FEED_FORWARD_GATE)


def expert_at(pipeline: Any, timestep: torch.Tensor) -> int:
    """The first expert down to a share of the training timesteps, the second below it; the only one, if there
    is one.
    """
    ratio = pipeline.config.boundary_ratio
    if ratio is None or getattr(pipeline, _FIRST) is None:
        return 0
    return 0 if timestep >= ratio * pipeline.scheduler.config.num_train_timesteps else 1


def _pinned(prepared: Any, size: Size) -> Pinned | None:
    """TI2V from an image returns (latents, condition, mask), where the mask is 0 on the pinned frames."""
    if not isinstance(prepared, tuple) or len(prepared) != 3:
        return None
    latents, condition, mask = prepared
    frames = mask[0, 0].amax(dim=(-2, -1)) == 0
    pinned = torch.zeros_like(latents)
    pinned[:, :, frames] = condition.expand_as(latents)[:, :, frames]
    return Pinned(latents=pinned, frames=frames)
