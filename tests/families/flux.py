"""FLUX.1: packed latents, double- and single-stream blocks, distilled and true guidance."""

from __future__ import annotations

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

from tests.families.row import FamilyRow, Hook, item
from tests.tiny.components import tiny_tokenizer
from tests.tiny.images import CLIP_DIM, T5_DIM, tiny_clip, tiny_clip_tokenizer, tiny_image_vae, tiny_t5

_TEXT = 7
_DOUBLE, _SINGLE = "transformer_blocks", "single_transformer_blocks"


def _pipeline(guidance: bool, scheduler: FlowMatchEulerDiscreteScheduler) -> FluxPipeline:
    transformer = FluxTransformer2DModel(
        in_channels=16,
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=T5_DIM,
        pooled_projection_dim=CLIP_DIM,
        guidance_embeds=guidance,
        axes_dims_rope=(4, 4, 8),
    ).eval()
    return FluxPipeline(
        scheduler=scheduler,
        vae=tiny_image_vae(scaling_factor=0.3611, shift_factor=0.1159),
        text_encoder=tiny_clip(projection=False),
        tokenizer=tiny_clip_tokenizer(),
        text_encoder_2=tiny_t5(),
        tokenizer_2=tiny_tokenizer(),
        transformer=transformer,
    )


def _after_text(output: torch.Tensor) -> torch.Tensor:
    return output[:, _TEXT:]


def _row(name: str, guidance: bool, scheduler: FlowMatchEulerDiscreteScheduler) -> FamilyRow:
    return FamilyRow(
        name=name,
        build=lambda: _pipeline(guidance, scheduler),
        hooks={
            "resid": Hook((_DOUBLE, _SINGLE), take=item(1)),
            "text": Hook((_DOUBLE, _SINGLE), take=item(0)),
            "self_attn.raw": Hook((_DOUBLE,), "attn", item(0)),
            "mlp.raw": Hook((_DOUBLE,), "ff"),
            "parallel.raw": Hook((_SINGLE,), "proj_out", _after_text),
        },
        entering={"resid": "hidden_states", "text": "encoder_hidden_states"},
        calls=(("cond",), ("uncond",)),
        guided={"true_cfg_scale": 3.0},
        unguided={"true_cfg_scale": 1.0},
        size={"height": 32, "width": 48},
        settings={"max_sequence_length": _TEXT},
        euler=True,
        grids={"resid": (1, 4, 6), "text": (1, 1, _TEXT)},
    )


ROWS = [
    _row(
        "FLUX.1 dev",
        guidance=True,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    ),
    _row("FLUX.1 schnell", guidance=False, scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0)),
]
