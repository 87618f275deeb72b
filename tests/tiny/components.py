"""The parts that every tiny Wan is made of: tokenizer, text encoder, image encoder, VAE."""

from __future__ import annotations

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    PreTrainedTokenizerFast,
    UMT5Config,
    UMT5EncoderModel,
)

TEXT_DIM = 16
IMAGE_DIM = 16
LATENT_CHANNELS = 4
TEMPORAL_SCALE = 2
SPATIAL_SCALE = 4

WORDS = ("go", "to", "the", "red", "blue", "goal", "find", "path", "a", "maze", "solve", "it")


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A word tokenizer that ends each text with `</s>`, as UMT5's does."""
    vocabulary = {token: index for index, token in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", vocabulary["</s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def tiny_text_encoder() -> UMT5EncoderModel:
    config = UMT5Config(
        vocab_size=32, d_model=TEXT_DIM, d_kv=8, d_ff=32, num_layers=1, num_heads=2, dropout_rate=0.0
    )
    return UMT5EncoderModel(config).eval()


def tiny_image_encoder() -> CLIPVisionModel:
    config = CLIPVisionConfig(
        hidden_size=IMAGE_DIM,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
    )
    return CLIPVisionModel(config).eval()


def tiny_image_processor() -> CLIPImageProcessor:
    return CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def tiny_vae(temporal_scale: int = TEMPORAL_SCALE) -> AutoencoderKLWan:
    """Latents are 4 channels, 1/4 of each side and 1/2 (or 1/4) of the frames after the first."""
    return AutoencoderKLWan(
        base_dim=4,
        z_dim=LATENT_CHANNELS,
        dim_mult=[1, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[temporal_scale == 4, True],
        scale_factor_spatial=SPATIAL_SCALE,
        scale_factor_temporal=temporal_scale,
        latents_mean=torch.linspace(-0.2, 0.2, LATENT_CHANNELS).tolist(),
        latents_std=torch.linspace(0.8, 1.2, LATENT_CHANNELS).tolist(),
    ).eval()
