"""SkyReels-V2: Wan's blocks with a transformer and pipelines of their own."""

from __future__ import annotations

from typing import Any

from diffusers import (
    SkyReelsV2ImageToVideoPipeline,
    SkyReelsV2Pipeline,
    SkyReelsV2Transformer3DModel,
    UniPCMultistepScheduler,
)
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from tests.families.row import FamilyRow, Hook
from tests.tiny import components as parts

_BLOCKS = ("blocks",)


def pipeline(cls: type, *, image: bool = False) -> Any:
    transformer = SkyReelsV2Transformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=2 * parts.LATENT_CHANNELS + parts.TEMPORAL_SCALE if image else parts.LATENT_CHANNELS,
        out_channels=parts.LATENT_CHANNELS,
        text_dim=parts.TEXT_DIM,
        freq_dim=16,
        ffn_dim=32,
        num_layers=2,
        image_dim=parts.IMAGE_DIM if image else None,
        added_kv_proj_dim=24 if image else None,
        rope_max_seq_len=32,
    ).eval()
    encoders: dict[str, Any] = {}
    if image:
        config = CLIPVisionConfig(
            hidden_size=parts.IMAGE_DIM,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=16,
            projection_dim=8,
        )
        encoders["image_encoder"] = CLIPVisionModelWithProjection(config).eval()
        encoders["image_processor"] = parts.tiny_image_processor()
    return cls(
        tokenizer=parts.tiny_tokenizer(),
        text_encoder=parts.tiny_text_encoder(),
        vae=parts.tiny_vae(),
        transformer=transformer,
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0 if image else 8.0
        ),
        **encoders,
    )


def _row(name: str, build: Any, **more: Any) -> FamilyRow:
    return FamilyRow(
        name=name,
        build=build,
        hooks={
            "resid": Hook(_BLOCKS),
            "self_attn.raw": Hook(_BLOCKS, "attn1"),
            "cross_attn.raw": Hook(_BLOCKS, "attn2"),
            "mlp.raw": Hook(_BLOCKS, "ffn"),
        },
        calls=(("cond",), ("uncond",)),
        size={"height": 32, "width": 48, "num_frames": 5},
        grids={"resid": (3, 4, 6)},
        **more,
    )


ROWS = [
    _row(
        "SkyReels-V2 T2V",
        lambda: pipeline(SkyReelsV2Pipeline),
        settings={"max_sequence_length": 8},
    ),
    _row(
        "SkyReels-V2 I2V",
        lambda: pipeline(SkyReelsV2ImageToVideoPipeline, image=True),
        image=True,
    ),
]
