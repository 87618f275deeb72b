"""Sana-Video: feed-forward layers that see the grid, batch-doubled guidance without labels."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKLLTX2Video,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    SanaImageToVideoPipeline,
    SanaVideoPipeline,
    SanaVideoTransformer3DModel,
)

from tests.families.row import FamilyRow, Hook
from tests.tiny.components import LATENT_CHANNELS, tiny_tokenizer, tiny_vae
from tests.tiny.gemma import tiny_gemma

_BLOCKS = ("transformer_blocks",)


def _pipeline(
    cls: type, scheduler: Any, vae: Any = None, channels: int = LATENT_CHANNELS, patch: int = 2
) -> Any:
    transformer = SanaVideoTransformer3DModel(
        in_channels=channels,
        out_channels=channels,
        num_attention_heads=2,
        attention_head_dim=12,
        num_layers=2,
        num_cross_attention_heads=2,
        cross_attention_head_dim=12,
        cross_attention_dim=24,
        caption_channels=16,
        patch_size=(1, patch, patch),
        sample_size=30 if patch == 2 else 22,
    ).eval()
    return cls(
        tokenizer=tiny_tokenizer(),
        text_encoder=tiny_gemma(),
        vae=tiny_vae() if vae is None else vae,
        transformer=transformer,
        scheduler=scheduler,
    )


def _deep_vae() -> AutoencoderKLLTX2Video:
    """That of 720p, standardised by its buffers: 1/8 of each side, 1/2 of the frames after the first."""
    vae = AutoencoderKLLTX2Video(
        latent_channels=4,
        block_out_channels=(8,),
        down_block_types=("LTX2VideoDownBlock3D",),
        decoder_block_out_channels=(8,),
        layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        spatio_temporal_scaling=(True,),
        decoder_spatio_temporal_scaling=(True,),
        decoder_inject_noise=(False, False),
        downsample_type=("spatiotemporal",),
        upsample_type=("spatiotemporal",),
        upsample_residual=(False,),
        upsample_factor=(1,),
        patch_size=4,
        spatial_compression_ratio=8,
        temporal_compression_ratio=2,
    ).eval()
    vae.latents_mean.copy_(torch.linspace(-0.2, 0.2, 4))
    vae.latents_std.copy_(torch.linspace(0.8, 1.2, 4))
    return vae


def _multistep() -> DPMSolverMultistepScheduler:
    return DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=8.0
    )


def _flattened(output: torch.Tensor) -> torch.Tensor:
    assert output.ndim == 5
    return output.flatten(1, 3)


def _row(name: str, build: Any, grid: tuple[int, int, int], **more: Any) -> FamilyRow:
    return FamilyRow(
        name=name,
        build=build,
        hooks={
            "resid": Hook(_BLOCKS),
            "self_attn.raw": Hook(_BLOCKS, "attn1"),
            "cross_attn.raw": Hook(_BLOCKS, "attn2"),
            "mlp.raw": Hook(_BLOCKS, "ff", _flattened),
        },
        calls=(("uncond", "cond"),),
        size={"height": 32, "width": 64, "num_frames": 5},
        settings={"max_sequence_length": 8},
        grids={"resid": grid},
        **more,
    )


ROWS = [
    _row("Sana-Video 480p", lambda: _pipeline(SanaVideoPipeline, _multistep()), (3, 4, 8)),
    _row(
        "Sana-Video 720p",
        lambda: _pipeline(SanaVideoPipeline, _multistep(), _deep_vae(), patch=1),
        (3, 4, 8),
    ),
    _row(
        "Sana-Video I2V 480p",
        lambda: _pipeline(SanaImageToVideoPipeline, FlowMatchEulerDiscreteScheduler(shift=8.0)),
        (3, 4, 8),
        image=True,
        euler=True,
    ),
]
