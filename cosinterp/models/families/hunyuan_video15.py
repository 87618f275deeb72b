"""HunyuanVideo-1.5, from text and from an image, distilled or not.

Double-stream blocks (`HunyuanVideo15TransformerBlock` in diffusers). The text stream holds the image, what
the prompt quotes, and the prompt; what there is of them comes before the padding. The guidance scale is that
of the guider, a component of the pipeline. From an image, the size of the video follows from the image's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from cosinterp.errors import ModelError
from cosinterp.models.anatomy import Anatomy
from cosinterp.models.blocks import RESID, TEXT, Stack, Stream, Sublayer
from cosinterp.models.families.shared import known_pipeline, norm_gate
from cosinterp.models.geometry import Geometry, Size
from cosinterp.models.guidance import COND, Branch, Guidance, classifier_free
from cosinterp.models.portions import Element
from cosinterp.models.vae import decode_scaled
from cosinterp.noise_levels import FLOW, check_predicts

_TAKES_IMAGE = {"HunyuanVideo15Pipeline": False, "HunyuanVideo15ImageToVideoPipeline": True}
_NO_GUIDANCE = 1.0
_WIDESCREEN = (9, 16)


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of a HunyuanVideo-1.5 pipeline.

    Raises:
        ModelError: a class of pipeline, a scheduler or a guider that is not understood.
    """
    image = _TAKES_IMAGE[known_pipeline(pipeline, _TAKES_IMAGE, name)]
    guided = _is_guided(pipeline.guider, name)
    config = pipeline.transformer.config
    spatial, patch = pipeline.vae_scale_factor_spatial, config.patch_size
    frames = inspect.signature(type(pipeline).__call__).parameters["num_frames"].default
    size_of_image = _size_of_image(pipeline)
    return Anatomy(
        family="hunyuan-video-1.5",
        stacks=(_blocks(pipeline),),
        geometry=Geometry(
            patch_size=(config.patch_size_t, patch, patch),
            latent_channels=config.out_channels,
            spatial_scale=spatial,
            temporal_scale=pipeline.vae_scale_factor_temporal,
            size_multiple=(spatial * patch, spatial * patch),
            default_size=Size(*size_of_image(*_WIDESCREEN), frames),
        ),
        guidance=classifier_free("sequential") if guided else Guidance("none", (Branch(COND),)),
        prediction_type=check_predicts(pipeline.scheduler, FLOW, name),
        decode=decode_scaled,
        image="required" if image else "none",
        image_hint="give a first image" if image else "it is a text-to-video model: leave the image out",
        size_of_image=size_of_image if image else None,
        settings={"guidance_scale": pipeline.guider.guidance_scale} if guided else {},
        prepare=_decode_row_by_row,
        arguments=_set_guider if guided else None,
        refusal=_refusal,
    )


def _is_guided(guider: Any, name: str) -> bool:
    config, kind = guider.config, type(guider).__name__
    if not config.enabled:
        return False
    if kind != "ClassifierFreeGuidance" or config.use_original_formulation:
        raise ModelError(
            f"{name}: its guider ({kind}) is not known; known is ClassifierFreeGuidance, without "
            "use_original_formulation"
        )
    if (config.start, config.stop) != (0, 1):
        raise ModelError(
            f"{name}: its guider leaves steps out (it guides from {config.start:g} to {config.stop:g} of the "
            "schedule), so that they differ in their branches; set start to 0 and stop to 1 in its config"
        )
    return True


def _blocks(pipeline: Any) -> Stack:
    transformer = pipeline.transformer
    config = transformer.config
    channels = config.num_attention_heads * config.attention_head_dim
    tokens = (
        pipeline.tokenizer_max_length + pipeline.tokenizer_2_max_length + pipeline.vision_num_semantic_tokens
    )
    return Stack(
        blocks="transformer_blocks",
        count=len(transformer.transformer_blocks),
        streams=(
            Stream(RESID, channels, "hidden_states", output=0),
            Stream(
                TEXT, channels, "encoder_hidden_states", output=1, grid=lambda size, settings: (1, 1, tokens)
            ),
        ),
        sublayers=(
            Sublayer("self_attn", "attn", gate=norm_gate("norm1", 1), video=Element(0), reads=("norm1",)),
            Sublayer("mlp", "ff", gate=norm_gate("norm1", 4), reads=("norm1",)),
        ),
    )


def _size_of_image(pipeline: Any) -> Callable[[int, int], tuple[int, int]]:
    def size(height: int, width: int) -> tuple[int, int]:
        return pipeline.video_processor.calculate_default_height_width(height, width, pipeline.target_size)

    return size


def _refusal(settings: Mapping[str, Any]) -> str | None:
    # The guider guides below 1 too, away from the prompt.
    if settings.get("guidance_scale", _NO_GUIDANCE) < _NO_GUIDANCE:
        return "guidance_scale has to be 1, which is no guidance, or more for this model"
    return None


def _decode_row_by_row(pipeline: Any) -> None:
    # The VAE's attention takes one video only.
    pipeline.vae.enable_slicing()


def _set_guider(pipeline: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    pipeline.guider.guidance_scale = arguments["guidance_scale"]
    return arguments
