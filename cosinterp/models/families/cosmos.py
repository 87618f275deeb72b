"""Cosmos 1 (Text2World, Video2World), Predict2 (Text2Image, Video2World) and Predict2.5.

All three sublayers of a block are gated by what their norms put out; blocks of Cosmos 1 add a position
embedding before them (`CosmosTransformerBlock` in diffusers). Cosmos 1 gives its scheduler the guided clean
estimate, Predict2 the noise (x_t - x̂0) / σ with σ up to 80, Predict2.5 a velocity. A first image takes the
place of its frame in what the denoiser is shown and in the clean estimates; the latents of that frame are
denoised like the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch

from cosinterp.errors import ModelError
from cosinterp.models.anatomy import FROM_PIPELINE, Anatomy
from cosinterp.models.arguments import at_most, image_for_each_row
from cosinterp.models.blocks import RESID, BlockCall, Stack, Stream, Sublayer
from cosinterp.models.families.cosmos_guardrail import decode, missing_packages, prepare
from cosinterp.models.families.shared import known_pipeline
from cosinterp.models.geometry import Geometry, multiples, three
from cosinterp.models.guidance import classifier_free
from cosinterp.noise_levels import EPSILON, FLOW, SAMPLE, check_predicts

# What the pipelines themselves refuse to take other multiples than of.
_MULTIPLE = 16


@dataclass(frozen=True)
class _Kind:
    """What differs between the pipelines; ``settings`` are those that only some of them have."""

    prediction_type: str
    image: Literal["required", "optional", "none"]
    settings: tuple[str, ...] = ()
    is_image: bool = False


_KINDS = {
    "CosmosTextToWorldPipeline": _Kind(SAMPLE, "none", ("fps",)),
    "CosmosVideoToWorldPipeline": _Kind(SAMPLE, "required", ("fps", "augment_sigma")),
    "Cosmos2TextToImagePipeline": _Kind(EPSILON, "none", is_image=True),
    "Cosmos2VideoToWorldPipeline": _Kind(EPSILON, "required", ("fps", "sigma_conditioning")),
    "Cosmos2_5_PredictBasePipeline": _Kind(FLOW, "optional", ("conditional_frame_timestep",)),
}
_IMAGE_HINTS = {
    "required": "give a first image",
    "optional": "leave the image out",
    "none": "load a Video2World model to start from an image",
}


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of a Cosmos pipeline.

    Raises:
        ModelError: a class of pipeline or a scheduler that is not understood, or no guardrail.
    """
    kind = _KINDS[known_pipeline(pipeline, _KINDS, name)]
    if pipeline.safety_checker is None:
        raise ModelError(
            f"{name}: its guardrail is switched off, and its pipeline does not run without; give it one"
        )
    config = pipeline.transformer.config
    patch = three(config.patch_size)
    spatial, temporal = pipeline.vae_scale_factor_spatial, pipeline.vae_scale_factor_temporal
    frames, rows, cols = config.max_size
    return Anatomy(
        family="cosmos",
        stacks=(_blocks(config, len(pipeline.transformer.transformer_blocks)),),
        geometry=Geometry(
            patch_size=patch,
            latent_channels=config.out_channels,
            spatial_scale=spatial,
            temporal_scale=1 if kind.is_image else temporal,
            size_multiple=multiples(_MULTIPLE, spatial, patch),
            is_image=kind.is_image,
        ),
        guidance=classifier_free("sequential"),
        prediction_type=_prediction_type(pipeline.scheduler, kind.prediction_type, name),
        decode=decode,
        image=kind.image,
        image_hint=_IMAGE_HINTS[kind.image],
        settings=dict.fromkeys(kind.settings, FROM_PIPELINE),
        # Predict2.5 could make several videos at a time, but for those of an image.
        one_at_a_time=kind.image == "optional",
        arguments=image_for_each_row if kind.image == "required" else None,
        refusal=at_most(
            height=rows * spatial,
            width=cols * spatial,
            num_frames=(frames - 1) * temporal + 1,
        ),
        output="images" if kind.is_image else "frames",
        step_argument="pred_original_sample" if kind.prediction_type == SAMPLE else None,
        missing_packages=missing_packages(pipeline),
        prepare=prepare,
    )


def _blocks(config: Any, count: int) -> Stack:
    return Stack(
        blocks="transformer_blocks",
        count=count,
        streams=(Stream(RESID, config.num_attention_heads * config.attention_head_dim, "hidden_states"),),
        sublayers=(
            Sublayer("self_attn", "attn1", gate=_gate("norm1"), reads=("norm1",)),
            Sublayer("cross_attn", "attn2", gate=_gate("norm2"), reads=("norm2",)),
            Sublayer("mlp", "ff", gate=_gate("norm3"), reads=("norm3",)),
        ),
        extra=_position if config.extra_pos_embed_type else None,
    )


def _gate(norm: str) -> Callable[[BlockCall], torch.Tensor]:
    def gate(call: BlockCall) -> torch.Tensor:
        # (normed, gate): one for all tokens, or one for each.
        return call.outputs[norm][1]

    return gate


def _position(call: BlockCall) -> torch.Tensor:
    return call.argument("extra_pos_emb")


def _prediction_type(scheduler: Any, wanted: str, name: str) -> str:
    """What the scheduler is given; only of the scheduler that the pipeline is written for.

    Raises:
        ModelError: it is another one, or set otherwise.
    """
    kind, config = type(scheduler).__name__, scheduler.config
    if wanted == FLOW:
        return check_predicts(scheduler, FLOW, name)
    if wanted == SAMPLE:
        fits, needed = kind == "EDMEulerScheduler", "an EDMEulerScheduler"
    else:
        fits = (
            kind == "FlowMatchEulerDiscreteScheduler"
            and config.use_karras_sigmas
            and not config.invert_sigmas
            and not config.stochastic_sampling
        )
        needed = "a FlowMatchEulerDiscreteScheduler with use_karras_sigmas"
    if not fits:
        raise ModelError(
            f"{name}: its pipeline steps as {needed} does, and not as this {kind}; use the one it came with"
        )
    return wanted
