"""Wan VACE: hints between the blocks, one video a call."""

from __future__ import annotations

from typing import Any

from diffusers import UniPCMultistepScheduler, WanVACEPipeline, WanVACETransformer3DModel

from tests.families.row import FamilyRow, Hook
from tests.tiny import components as parts

_BLOCKS = ("blocks",)


def _transformer() -> WanVACETransformer3DModel:
    return WanVACETransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=parts.LATENT_CHANNELS,
        out_channels=parts.LATENT_CHANNELS,
        text_dim=parts.TEXT_DIM,
        freq_dim=16,
        ffn_dim=32,
        num_layers=3,
        rope_max_seq_len=32,
        vace_layers=[0, 2],
        vace_in_channels=2 * parts.LATENT_CHANNELS + parts.SPATIAL_SCALE**2,
    ).eval()


def pipeline(experts: int = 1) -> Any:
    return WanVACEPipeline(
        tokenizer=parts.tiny_tokenizer(),
        text_encoder=parts.tiny_text_encoder(),
        vae=parts.tiny_vae(),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        transformer=_transformer(),
        transformer_2=_transformer() if experts == 2 else None,
        boundary_ratio=0.875 if experts == 2 else None,
    )


def _row(name: str, experts: int = 1, **more: Any) -> FamilyRow:
    return FamilyRow(
        name=name,
        build=lambda: pipeline(experts),
        hooks={
            "resid": Hook(_BLOCKS),
            "self_attn.raw": Hook(_BLOCKS, "attn1"),
            "cross_attn.raw": Hook(_BLOCKS, "attn2"),
            "mlp.raw": Hook(_BLOCKS, "ffn"),
        },
        calls=(("cond",), ("uncond",)),
        size={"height": 32, "width": 48, "num_frames": 5},
        settings={"max_sequence_length": 8},
        grids={"resid": (3, 4, 6)},
        batches=(1,),
        experts=("transformer", "transformer_2")[:experts],
        num_steps=4,
        **more,
    )


ROWS = [
    _row("Wan2.1 VACE"),
    _row("Wan2.2 VACE, from an image and a control video", 2, image=True, videos=("control_video",)),
]
