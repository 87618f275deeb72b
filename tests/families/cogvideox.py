"""CogVideoX: text joined in each block, batch-doubled guidance, epsilon and v predictions, and positions that
are turned, added from a table, or both.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
)
from transformers import T5Config, T5EncoderModel

from tests.families.row import FamilyRow, Hook, item
from tests.tiny.components import tiny_tokenizer

_TEXT = 7
_BLOCKS = ("transformer_blocks",)


def _pipeline(
    cls: type,
    scheduler: Any,
    patch_frames: int | None = None,
    image: bool = False,
    rotary: bool = True,
    learned: bool = False,
) -> Any:
    vae = AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(4, 4, 4, 4),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
        sample_height=32,
        sample_width=32,
    ).eval()
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=8 if image else 4,
        out_channels=4,
        time_embed_dim=8,
        text_embed_dim=16,
        num_layers=2,
        sample_width=6,
        sample_height=4,
        sample_frames=9,
        patch_size=2,
        patch_size_t=patch_frames,
        patch_bias=patch_frames is None,
        temporal_compression_ratio=4,
        max_text_seq_length=_TEXT,
        use_rotary_positional_embeddings=rotary,
        use_learned_positional_embeddings=learned,
    ).eval()
    text = T5Config(vocab_size=32, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, dropout_rate=0.0)
    return cls(
        tokenizer=tiny_tokenizer(),
        text_encoder=T5EncoderModel(text).eval(),
        vae=vae,
        transformer=transformer,
        scheduler=scheduler,
    )


def _after_text(output: torch.Tensor) -> torch.Tensor:
    return output[:, _TEXT:]


def _row(name: str, build: Any, frames: int, **more: Any) -> FamilyRow:
    return FamilyRow(
        name=name,
        build=build,
        hooks={
            "resid": Hook(_BLOCKS, take=item(0)),
            "text": Hook(_BLOCKS, take=item(1)),
            "self_attn.raw": Hook(_BLOCKS, "attn1", item(0)),
            "mlp.raw": Hook(_BLOCKS, "ff", _after_text),
        },
        entering={"resid": "hidden_states", "text": "encoder_hidden_states"},
        calls=(("uncond", "cond"),),
        size={"height": 32, "width": 48, "num_frames": 9},
        settings={"max_sequence_length": _TEXT},
        grids={"resid": (frames, 2, 3), "text": (1, 1, _TEXT)},
        **more,
    )


_TRAINED = {"beta_schedule": "scaled_linear", "snr_shift_scale": 1.0, "rescale_betas_zero_snr": True}

ROWS = [
    _row(
        "CogVideoX 1.0 (2B): DDIM, v",
        lambda: _pipeline(
            CogVideoXPipeline,
            CogVideoXDDIMScheduler(prediction_type="v_prediction", timestep_spacing="trailing", **_TRAINED),
            rotary=False,
        ),
        frames=3,
    ),
    _row(
        "CogVideoX: DDIM, epsilon",
        lambda: _pipeline(CogVideoXPipeline, CogVideoXDDIMScheduler(prediction_type="epsilon")),
        frames=3,
    ),
    _row(
        "CogVideoX 1.0 I2V (5B): DPM, v",
        lambda: _pipeline(
            CogVideoXImageToVideoPipeline,
            CogVideoXDPMScheduler(prediction_type="v_prediction", timestep_spacing="trailing", **_TRAINED),
            image=True,
            learned=True,
        ),
        frames=3,
        image=True,
    ),
    _row(
        "CogVideoX 1.5: DPM, v",
        lambda: _pipeline(
            CogVideoXPipeline,
            CogVideoXDPMScheduler(prediction_type="v_prediction", timestep_spacing="trailing", **_TRAINED),
            patch_frames=2,
        ),
        frames=2,
    ),
    _row(
        "CogVideoX 1.5 I2V: DPM, v",
        lambda: _pipeline(
            CogVideoXImageToVideoPipeline,
            CogVideoXDPMScheduler(prediction_type="v_prediction", timestep_spacing="trailing", **_TRAINED),
            patch_frames=2,
            image=True,
        ),
        frames=2,
        image=True,
    ),
]
