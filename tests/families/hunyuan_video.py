"""HunyuanVideo and SkyReels-V1: double- and single-stream blocks, embedded guidance beside sequential."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKLHunyuanVideo,
    FlowMatchEulerDiscreteScheduler,
    HunyuanSkyreelsImageToVideoPipeline,
    HunyuanVideoImageToVideoPipeline,
    HunyuanVideoPipeline,
    HunyuanVideoTransformer3DModel,
)

from tests.families.row import FamilyRow, Hook, item
from tests.tiny.chat import (
    CHAT_DIM,
    CLIP_DIM,
    tiny_chat_tokenizer,
    tiny_llama,
    tiny_llava,
    tiny_llava_images,
    tiny_pooling_clip,
)
from tests.tiny.components import tiny_tokenizer

_TEXT = 11
_CHANNELS = 4
_DOUBLE, _SINGLE = "transformer_blocks", "single_transformer_blocks"
_ALL = (_DOUBLE, _SINGLE)
_VIDEO_TOKENS = 18


def _transformer(in_channels: int, distilled: bool, condition: str | None) -> HunyuanVideoTransformer3DModel:
    return HunyuanVideoTransformer3DModel(
        in_channels=in_channels,
        out_channels=_CHANNELS,
        num_attention_heads=2,
        attention_head_dim=12,
        num_layers=2,
        num_single_layers=2,
        num_refiner_layers=1,
        mlp_ratio=2.0,
        guidance_embeds=distilled,
        text_embed_dim=CHAT_DIM,
        pooled_projection_dim=CLIP_DIM,
        rope_axes_dim=(4, 4, 4),
        image_condition_type=condition,
    ).eval()


def _pipeline(
    cls: type,
    in_channels: int = _CHANNELS,
    *,
    distilled: bool = True,
    condition: str | None = None,
    **components: Any,
) -> Any:
    vae = AutoencoderKLHunyuanVideo(
        latent_channels=_CHANNELS,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        norm_num_groups=4,
    ).eval()
    return cls(
        **{"text_encoder": tiny_llama(), "tokenizer": tiny_chat_tokenizer(), **components},
        transformer=_transformer(in_channels, distilled, condition),
        vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
        text_encoder_2=tiny_pooling_clip(),
        tokenizer_2=tiny_tokenizer(),
    )


def _from_image(in_channels: int, condition: str, distilled: bool) -> HunyuanVideoImageToVideoPipeline:
    return _pipeline(
        HunyuanVideoImageToVideoPipeline,
        in_channels,
        distilled=distilled,
        condition=condition,
        text_encoder=tiny_llava(),
        tokenizer=tiny_chat_tokenizer(),
        image_processor=tiny_llava_images(),
    )


def _first_tokens(output: torch.Tensor) -> torch.Tensor:
    return output[:, :_VIDEO_TOKENS]


def _row(name: str, build: Any, *, text: int = _TEXT, distilled: bool = True, **more: Any) -> FamilyRow:
    return FamilyRow(
        name=name,
        build=build,
        hooks={
            "resid": Hook(_ALL, take=item(0)),
            "text": Hook(_ALL, take=item(1)),
            "self_attn.raw": Hook((_DOUBLE,), "attn", item(0)),
            "mlp.raw": Hook((_DOUBLE,), "ff"),
            "parallel.raw": Hook((_SINGLE,), "proj_out", _first_tokens),
        },
        entering={"resid": "hidden_states", "text": "encoder_hidden_states"},
        positions={"resid": 0, "text": 1},
        calls=(("cond",), ("uncond",)),
        guided={"true_cfg_scale": 3.0},
        unguided={"true_cfg_scale": 1.0},
        size={"height": 32, "width": 48, "num_frames": 9},
        settings={"max_sequence_length": _TEXT, **({"guidance_scale": 6.0} if distilled else {})},
        grids={"resid": (3, 2, 3), "text": (1, 1, text)},
        **more,
    )


ROWS = [
    _row("HunyuanVideo", lambda: _pipeline(HunyuanVideoPipeline)),
    _row(
        "HunyuanVideo, not distilled",
        lambda: _pipeline(HunyuanVideoPipeline, distilled=False),
        distilled=False,
    ),
    _row(
        "HunyuanVideo I2V (latent concat)",
        lambda: _from_image(2 * _CHANNELS + 1, "latent_concat", distilled=False),
        text=288 + _TEXT - 4,
        distilled=False,
        image=True,
    ),
    _row(
        "HunyuanVideo I2V (token replace)",
        lambda: _from_image(_CHANNELS, "token_replace", distilled=True),
        text=144 + _TEXT - 4,
        image=True,
    ),
    _row(
        "SkyReels-V1 I2V",
        lambda: _pipeline(HunyuanSkyreelsImageToVideoPipeline, 2 * _CHANNELS),
        image=True,
    ),
]
