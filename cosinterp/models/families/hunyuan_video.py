"""HunyuanVideo (text, and both image-to-video checkpoints) and SkyReels-V1.

Double-stream blocks, in which video and text have weights of their own and are joined for attention, come
before single-stream blocks, whose attention and feed-forward layer enter through one projection
(`HunyuanVideoTransformerBlock` and `HunyuanVideoSingleTransformerBlock` in diffusers). Distilled denoisers
take ``guidance_scale`` as an input; ``true_cfg_scale`` switches classifier-free guidance on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from cosinterp.errors import ModelError
from cosinterp.models.anatomy import FROM_PIPELINE, Anatomy, Pinned, nothing_pinned
from cosinterp.models.arguments import image_for_each_row
from cosinterp.models.blocks import RESID, TEXT, BlockCall, Stack, Stream, Sublayer
from cosinterp.models.families.shared import known_pipeline, norm_gate
from cosinterp.models.geometry import Geometry, Size
from cosinterp.models.guidance import classifier_free
from cosinterp.models.portions import Element, Joined
from cosinterp.models.vae import decode_scaled
from cosinterp.noise_levels import FLOW, check_predicts

_T2V, _I2V = "HunyuanVideoPipeline", "HunyuanVideoImageToVideoPipeline"
_SKYREELS = "HunyuanSkyreelsImageToVideoPipeline"
_EMBEDDED = "guidance_scale"
_CONCAT, _REPLACE = "latent_concat", "token_replace"

# The pipelines refuse other sizes, whatever VAE and patches are.
_MULTIPLE = 16
_IMAGE_TOKENS = 576
_IMAGE_TOKENS_KEPT = {_CONCAT: _IMAGE_TOKENS // 2, _REPLACE: _IMAGE_TOKENS // 4}
_ASSISTANT_TOKENS = 4
"""Of the prompt template, which the image-to-video pipeline cuts out."""
_FRAMES_OF_IMAGE = 4
"""Which a latent_concat pipeline takes from the beginning of the video."""
_WHY_NOT = {"HunyuanVideoFramepackPipeline": "makes a video in sections, each by a denoising loop of its own"}


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of a HunyuanVideo pipeline.

    Raises:
        ModelError: a class of pipeline, or a scheduler or transformer in it, that is not understood.
    """
    condition = _condition(pipeline, name)
    transformer = pipeline.transformer
    config = transformer.config
    spatial, patch = pipeline.vae_scale_factor_spatial, config.patch_size
    multiple = int(np.lcm(_MULTIPLE, spatial * patch))
    takes_image = type(pipeline).__name__ != _T2V
    return Anatomy(
        family="hunyuan-video",
        stacks=_stacks(transformer, condition),
        geometry=Geometry(
            patch_size=(config.patch_size_t, patch, patch),
            latent_channels=config.out_channels,
            spatial_scale=spatial,
            temporal_scale=pipeline.vae_scale_factor_temporal,
            size_multiple=(multiple, multiple),
            least_frames=1 if condition is None else _FRAMES_OF_IMAGE + 1,
        ),
        guidance=classifier_free(
            "sequential", "true_cfg_scale", embedded=_EMBEDDED if config.guidance_embeds else None
        ),
        prediction_type=check_predicts(pipeline.scheduler, FLOW, name),
        decode=_decode_after_image if condition == _CONCAT else decode_scaled,
        image="required" if takes_image else "none",
        image_hint="give a first image"
        if takes_image
        else "it is a text-to-video model: leave the image out",
        settings={"true_cfg_scale": FROM_PIPELINE},
        ignored=() if config.guidance_embeds else (_EMBEDDED,),
        arguments=image_for_each_row if condition is None else _image_arguments,
        pinned=_pinned if condition == _REPLACE else nothing_pinned,
    )


def _condition(pipeline: Any, name: str) -> str | None:
    """How the transformer takes the first image, where that is not the pipeline's affair alone."""
    config = pipeline.transformer.config
    channels = config.out_channels
    known = {
        (_T2V, None, channels),
        (_I2V, _CONCAT, 2 * channels + 1),
        (_I2V, _REPLACE, channels),
        (_SKYREELS, None, 2 * channels),
    }
    kind = known_pipeline(pipeline, sorted({one for one, _, _ in known}), name, _WHY_NOT)
    condition, taken = config.image_condition_type, config.in_channels
    if (kind, condition, taken) not in known:
        fits = next((one for one in known if one[1:] == (condition, taken)), None)
        raise ModelError(
            f"{name}: {kind} cannot run a transformer of in_channels {taken} and image_condition_type "
            f"{condition}; {f'load it as {fits[0]}' if fits else 'no known pipeline can'}"
        )
    return condition


def _stacks(transformer: Any, condition: str | None) -> tuple[Stack, ...]:
    config = transformer.config
    channels = config.num_attention_heads * config.attention_head_dim
    streams = (
        Stream(RESID, channels, "hidden_states", output=0),
        Stream(TEXT, channels, "encoder_hidden_states", output=1, grid=_text_grid(condition)),
    )
    gate = _gate_beside_image if condition == _REPLACE else _gate
    return (
        Stack(
            blocks="transformer_blocks",
            count=len(transformer.transformer_blocks),
            streams=streams,
            sublayers=(
                Sublayer("self_attn", "attn", gate=gate("norm1", 1, 5), video=Element(0), reads=("norm1",)),
                Sublayer("mlp", "ff", gate=gate("norm1", 4, 8), reads=("norm1",)),
            ),
        ),
        Stack(
            blocks="single_transformer_blocks",
            count=len(transformer.single_transformer_blocks),
            streams=streams,
            sublayers=(
                Sublayer(
                    "parallel",
                    "proj_out",
                    gate=gate("norm", 1, 2),
                    video=Joined(text_first=False),
                    reads=("norm",),
                ),
            ),
        ),
    )


def _text_grid(condition: str | None) -> Callable[[Size, dict[str, Any]], tuple[int, int, int]]:
    def grid(size: Size, settings: dict[str, Any]) -> tuple[int, int, int]:
        text = settings["max_sequence_length"]
        if condition is not None:
            text += _IMAGE_TOKENS_KEPT[condition] - _ASSISTANT_TOKENS
        return 1, 1, text

    return grid


def _gate(norm: str, index: int, _: int) -> Callable[[BlockCall], torch.Tensor]:
    return norm_gate(norm, index)


def _gate_beside_image(norm: str, index: int, of_image: int) -> Callable[[BlockCall], torch.Tensor]:
    """The tokens of the first frame, which is the image, have a gate of their own."""

    def gate(call: BlockCall) -> torch.Tensor:
        outputs, first = call.outputs[norm], call.argument("num_tokens")
        others = call.argument("hidden_states").shape[1] - first
        gates = (outputs[of_image].unsqueeze(1), first), (outputs[index].unsqueeze(1), others)
        return torch.cat([one.expand(-1, tokens, -1) for one, tokens in gates], dim=1)

    return gate


def _pinned(prepared: Any, size: Size) -> Pinned:
    """The pipeline has (latents, the latent of the image) and puts the latter in front before each call."""
    latents, image = prepared
    return Pinned.first_frame(torch.cat([image, latents[:, :, 1:]], dim=2))


def _decode_after_image(pipeline: Any, latents: torch.Tensor, num_frames: int) -> np.ndarray:
    return decode_scaled(pipeline, latents, num_frames)[:, _FRAMES_OF_IMAGE:]


def _image_arguments(pipeline: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Gives the pipeline the embeddings of the negative prompt.

    By itself it would encode that for one row only, and for a `token_replace` transformer with another number
    of image tokens than the prompt, so that the text streams of the branches differ in length. For one row of
    `latent_concat` the embeddings are the ones that it computes.
    """
    arguments = image_for_each_row(pipeline, arguments)
    if arguments["true_cfg_scale"] <= 1:
        return arguments
    black = Image.new("RGB", (arguments["width"], arguments["height"]))
    kept = _IMAGE_TOKENS_KEPT[pipeline.transformer.config.image_condition_type]
    with torch.no_grad():
        tokens, pooled, mask = pipeline.encode_prompt(
            image=[black] * len(arguments["generator"]),
            prompt=arguments["negative_prompt"],
            max_sequence_length=arguments["max_sequence_length"],
            image_embed_interleave=_IMAGE_TOKENS // kept,
        )
    return {
        **arguments,
        "negative_prompt": None,
        "negative_prompt_embeds": tokens,
        "negative_pooled_prompt_embeds": pooled,
        "negative_prompt_attention_mask": mask,
    }
