"""LTX-2, LTX-2.3 and LTX-2.5, from text and from an image: video and audio, denoised together.

Each block has two streams that attend to the text and to each other, `resid` of the video and `audio`, with
tokens and channels of their own (`LTX2VideoTransformerBlock.forward` in diffusers). Two more branches
guide. In `stg` self-attention is cut short in some blocks (LTX-2.0, without ``perturbed_attn``, computes
`cond` again); in `modality` video and audio do not attend to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.ltx2.utils import apply_image_conditioning_crf, resolve_default_image_crf
from diffusers.utils import is_av_available
from PIL import Image

from cosinterp.models.anatomy import FROM_PIPELINE, Anatomy, nothing_pinned
from cosinterp.models.arguments import image_for_each_row
from cosinterp.models.blocks import AUDIO, RESID, BlockCall, Stack, Stream, Sublayer
from cosinterp.models.families.ltx import (
    above_zero,
    check_decoder,
    decode_at_zero,
    denormalised,
    geometry_of,
    pinned_first,
    timestep_gate,
    unpacked,
)
from cosinterp.models.families.shared import known_pipeline
from cosinterp.models.geometry import Size
from cosinterp.models.guidance import COND, LABELS, UNCOND, Branch, Guidance
from cosinterp.noise_levels import FLOW, check_predicts

_TAKES_IMAGE = {"LTX2Pipeline": False, "LTX2ImageToVideoPipeline": True}
_IMAGE_HINT = "load it as LTX2ImageToVideoPipeline to start from an image"
_WHY_NOT = {
    "LTX2ConditionPipeline": "puts tokens of its conditions beside those of the video",
    "LTX2InContextPipeline": "puts tokens of its references beside those of the video",
    "LTX2HDRPipeline": "puts tokens of its references beside those of the video",
    "LTX2DFRPipeline": "puts tokens of keyframes beside those of the video",
    "LTX2DFRTemporalRefinePipeline": "denoises one window of the video after another",
}
_SELF_ATTENTION_GATE = 2
_FEED_FORWARD_GATE = 5
_CROSS_ATTENTION_GATE = 8
# After the scales and shifts of attention between the streams.
_AUDIO_GATE = 4
_STG, _MODALITY = "stg", "modality"
_SETTINGS = (
    "frame_rate",
    "motion_speed",
    "guidance_rescale",
    "audio_guidance_scale",
    "audio_guidance_rescale",
    "stg_scale",
    "audio_stg_scale",
    "spatio_temporal_guidance_blocks",
    "modality_scale",
    "audio_modality_scale",
    "use_cross_timestep",
)
# As many frames as the pipelines take without a number; that of LTX-2.5 would be the text's to decide.
_DEFAULT_SIZE = Size(512, 768, 121)


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of an LTX-2 pipeline.

    Raises:
        ModelError: a class of pipeline, a VAE or a scheduler that is not understood.
    """
    image = _TAKES_IMAGE[known_pipeline(pipeline, _TAKES_IMAGE, name, _WHY_NOT)]
    check_decoder(pipeline.vae, name)
    geometry = geometry_of(pipeline, _DEFAULT_SIZE)
    settings = _SETTINGS + (("image_crf",) if image else ())
    return Anatomy(
        family="ltx2",
        stacks=(_blocks(pipeline),),
        geometry=geometry,
        guidance=_GUIDANCE,
        prediction_type=check_predicts(pipeline.scheduler, FLOW, name),
        decode=_decode,
        # The VAE is given the image in the dtype of the text embeddings.
        vae_in_model_dtype=image,
        image="required" if image else "none",
        image_hint="give a first image" if image else _IMAGE_HINT,
        settings=dict.fromkeys(settings, FROM_PIPELINE),
        arguments=_arguments,
        refusal=_refusal(pipeline),
        unpack=unpacked(geometry),
        # The audio that is denoised beside it.
        steps_pass_latents_only=False,
        pinned=pinned_first(geometry) if image else nothing_pinned,
    )


_GUIDANCE = Guidance(
    kind="doubled",
    branches=(
        Branch(COND),
        Branch(UNCOND, {"guidance_scale": 1.0, "audio_guidance_scale": 1.0}),
        Branch(_STG, {"stg_scale": 0.0, "audio_stg_scale": 0.0}),
        Branch(_MODALITY, {"modality_scale": 1.0, "audio_modality_scale": 1.0}),
    ),
    labels={**LABELS, "uncond_stg": _STG, "uncond_modality": _MODALITY},
    on={"guidance_scale": 3.0, "stg_scale": 1.0, "modality_scale": 3.0},
    off={
        "guidance_scale": 1.0,
        "audio_guidance_scale": 1.0,
        "stg_scale": 0.0,
        "audio_stg_scale": 0.0,
        "modality_scale": 1.0,
        "audio_modality_scale": 1.0,
    },
)


def _blocks(pipeline: Any) -> Stack:
    config = pipeline.transformer.config
    channels = config.num_attention_heads * config.attention_head_dim
    audio_channels = config.audio_num_attention_heads * config.audio_attention_head_dim
    text_gate = timestep_gate(_CROSS_ATTENTION_GATE) if config.cross_attn_mod else None
    return Stack(
        blocks="transformer_blocks",
        count=len(pipeline.transformer.transformer_blocks),
        streams=(
            Stream(RESID, channels, "hidden_states", output=0),
            Stream(AUDIO, audio_channels, "audio_hidden_states", output=1, grid=_audio_grid(pipeline)),
        ),
        sublayers=(
            Sublayer("self_attn", "attn1", gate=timestep_gate(_SELF_ATTENTION_GATE)),
            Sublayer("cross_attn", "attn2", gate=text_gate),
            Sublayer("audio_cross_attn", "audio_to_video_attn", gate=_audio_gate, absent=(_MODALITY,)),
            Sublayer("mlp", "ff", gate=timestep_gate(_FEED_FORWARD_GATE)),
        ),
    )


def _audio_gate(call: BlockCall) -> torch.Tensor:
    table: torch.Tensor = call.block.video_a2v_cross_attn_scale_shift_table  # type: ignore[assignment]
    temb = call.argument("temb_ca_gate")
    return table[_AUDIO_GATE].to(temb.device) + temb


def _audio_grid(pipeline: Any) -> Callable[[Size, Mapping[str, Any]], tuple[int, int, int]]:
    """As many tokens as the audio has latents in the time of the video."""
    a_second = (
        pipeline.audio_sampling_rate
        / pipeline.audio_hop_length
        / float(pipeline.audio_vae_temporal_compression_ratio)
    )

    def grid(size: Size, settings: Mapping[str, Any]) -> tuple[int, int, int]:
        return 1, 1, round(size.num_frames / settings["frame_rate"] * a_second)

    return grid


def _refusal(pipeline: Any) -> Callable[[Mapping[str, Any]], str | None]:
    config = pipeline.connectors.config
    registers = (
        config.video_connector_num_learnable_registers,
        config.audio_connector_num_learnable_registers,
    )
    text_multiple = int(np.lcm.reduce([count or 1 for count in registers]))
    count = len(pipeline.transformer.transformer_blocks)
    audio_grid = _audio_grid(pipeline)

    def refusal(settings: Mapping[str, Any]) -> str | None:
        not_positive = above_zero(settings, "frame_rate", "motion_speed")
        if not_positive is not None:
            return not_positive
        frames = settings["num_frames"]
        if audio_grid(Size(1, 1, frames), settings)[-1] < 1:
            return f"{frames} frames at a frame_rate of {settings['frame_rate']} are too short for any audio"
        if settings["max_sequence_length"] % text_multiple:
            return f"max_sequence_length has to be a multiple of {text_multiple} for this model"
        if settings.get("image_crf", 0) != 0 and not is_av_available():
            return (
                "the first image is compressed as a video would be, which needs PyAV (pip install av); "
                "image_crf 0 takes it as it is"
            )
        if _STG in _GUIDANCE.computed(settings):
            return _wrong_blocks(settings["spatio_temporal_guidance_blocks"], count)
        return None

    return refusal


def _wrong_blocks(blocks: Any, count: int) -> str | None:
    """What is wrong with the blocks whose self-attention `stg` cuts short: none, or beyond the last."""
    setting = "spatio_temporal_guidance_blocks"
    if not isinstance(blocks, list | tuple) or not blocks:
        return f"{setting} has to name the blocks where {_STG} differs, or stg_scale and audio_stg_scale be 0"
    wrong = [block for block in blocks if not isinstance(block, int) or not 0 <= block < count]
    return f"{setting} has {wrong[0]}, but the blocks are 0 to {count - 1}" if wrong else None


def _arguments(pipeline: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """The image once for each row of the batch, compressed as the pipeline would compress one alone."""
    image = arguments.get("image")
    if image is None:
        return arguments
    crf = arguments.get("image_crf")
    crf = resolve_default_image_crf(pipeline.text_encoder) if crf is None else crf
    if crf:
        image = Image.fromarray(apply_image_conditioning_crf(np.array(image.convert("RGB")), crf))
    return image_for_each_row(pipeline, {**arguments, "image": image, "image_crf": 0})


def _decode(pipeline: Any, latents: torch.Tensor, num_frames: int) -> np.ndarray:
    # The pipelines round to the dtype of their text embeddings before all else.
    return decode_at_zero(pipeline, denormalised(pipeline.vae, latents.to(pipeline.text_encoder.dtype)))
