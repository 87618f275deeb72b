"""Wan Animate: face adapters between the blocks, a latent frame of the reference image, videos to follow."""

from __future__ import annotations

from typing import Any

from diffusers import UniPCMultistepScheduler, WanAnimatePipeline, WanAnimateTransformer3DModel

from tests.families.row import FamilyRow, Hook
from tests.tiny import components as parts

_BLOCKS = ("blocks",)


def pipeline() -> Any:
    transformer = WanAnimateTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=2 * parts.LATENT_CHANNELS + 4,
        latent_channels=parts.LATENT_CHANNELS,
        out_channels=parts.LATENT_CHANNELS,
        text_dim=parts.TEXT_DIM,
        freq_dim=16,
        ffn_dim=32,
        num_layers=4,
        image_dim=parts.IMAGE_DIM,
        added_kv_proj_dim=24,
        rope_max_seq_len=32,
        motion_encoder_channel_sizes={"4": 8, "8": 8, "16": 8},
        motion_encoder_size=16,
        motion_style_dim=8,
        motion_dim=4,
        motion_encoder_dim=16,
        face_encoder_hidden_dim=16,
        face_encoder_num_heads=2,
        inject_face_latents_blocks=2,
    ).eval()
    return WanAnimatePipeline(
        tokenizer=parts.tiny_tokenizer(),
        text_encoder=parts.tiny_text_encoder(),
        vae=parts.tiny_vae(temporal_scale=4),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
        ),
        image_processor=parts.tiny_image_processor(),
        image_encoder=parts.tiny_image_encoder(),
        transformer=transformer,
    )


ROWS = [
    FamilyRow(
        name="Wan2.2 Animate",
        build=pipeline,
        hooks={
            "resid": Hook(_BLOCKS),
            "self_attn.raw": Hook(_BLOCKS, "attn1"),
            "cross_attn.raw": Hook(_BLOCKS, "attn2"),
            "mlp.raw": Hook(_BLOCKS, "ffn"),
        },
        calls=(("cond",), ("uncond",)),
        size={"height": 32, "width": 48, "num_frames": 9},
        # Three latent frames of the video, and one of the reference image.
        grids={"resid": (4, 4, 6)},
        image=True,
        videos=("pose_video", "face_video"),
    ),
]
