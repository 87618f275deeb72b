"""The parts that tiny image models share: VAE, CLIP and T5 text encoders, and their tokenizers."""

from __future__ import annotations

from typing import Any

from diffusers import AutoencoderKL
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from tests.tiny.components import tiny_tokenizer

CLIP_LENGTH = 77
"""Tokens that each text has for CLIP."""
CLIP_DIM = 16
T5_DIM = 32


def tiny_image_vae(latent_channels: int = 4, **more: Any) -> AutoencoderKL:
    """Latents are 1/4 of each side."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(4, 4, 4),
        layers_per_block=1,
        norm_num_groups=2,
        latent_channels=latent_channels,
        **more,
    ).eval()


def tiny_clip(*, projection: bool) -> CLIPTextModel | CLIPTextModelWithProjection:
    config = CLIPTextConfig(
        vocab_size=32,
        hidden_size=CLIP_DIM,
        intermediate_size=32,
        projection_dim=CLIP_DIM,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CLIP_LENGTH,
        bos_token_id=0,
        eos_token_id=1,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def tiny_clip_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = tiny_tokenizer()
    tokenizer.model_max_length = CLIP_LENGTH
    return tokenizer


def tiny_t5() -> T5EncoderModel:
    config = T5Config(
        vocab_size=32, d_model=T5_DIM, d_kv=8, d_ff=32, num_layers=1, num_heads=2, dropout_rate=0.0
    )
    return T5EncoderModel(config).eval()
