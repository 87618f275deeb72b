"""What tiny LTX-Videos and LTX-2s are made of, beside what all tiny pipelines share."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKLLTX2Audio,
    AutoencoderKLLTX2Video,
    AutoencoderKLLTXVideo,
    LTX2VideoTransformer3DModel,
    LTXVideoTransformer3DModel,
)
from diffusers.pipelines.ltx2 import LTX2TextConnectors
from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    SiglipVisionConfig,
)

LATENT_CHANNELS = 6
TEXT_DIM = 16
_HEADS = 2


def tiny_ltx_transformer() -> LTXVideoTransformer3DModel:
    return LTXVideoTransformer3DModel(
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        num_attention_heads=_HEADS,
        attention_head_dim=12,
        cross_attention_dim=24,
        num_layers=3,
        caption_channels=TEXT_DIM,
    ).eval()


def tiny_ltx_vae(*, timestep: bool = False, noise: bool = False) -> AutoencoderKLLTXVideo:
    """Latents are 1/16 of each side and 1/4 of the frames after the first.

    ``timestep``: the decoder takes one, as from LTX-Video 0.9.1 on. ``noise``: it adds noise, as in 0.9.1.
    """
    vae = AutoencoderKLLTXVideo(
        latent_channels=LATENT_CHANNELS,
        block_out_channels=(8, 8),
        down_block_types=("LTXVideoDownBlock3D",) * 2,
        decoder_block_out_channels=(8, 8),
        layers_per_block=(1, 1, 1),
        decoder_layers_per_block=(1, 1, 1),
        spatio_temporal_scaling=(True, True),
        decoder_spatio_temporal_scaling=(True, True),
        decoder_inject_noise=(noise, False, False),
        downsample_type=("conv", "conv"),
        upsample_residual=(False, False),
        upsample_factor=(1, 1),
        timestep_conditioning=timestep,
    )
    _standardise(vae)
    return vae.eval()


def tiny_ltx2_transformer(**version: Any) -> LTX2VideoTransformer3DModel:
    """``version``: what differs between LTX-2, LTX-2.3 and LTX-2.5."""
    return LTX2VideoTransformer3DModel(
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        num_attention_heads=_HEADS,
        attention_head_dim=12,
        cross_attention_dim=24,
        vae_scale_factors=(2, 16, 16),
        audio_in_channels=8,
        audio_out_channels=8,
        audio_num_attention_heads=_HEADS,
        audio_attention_head_dim=8,
        audio_cross_attention_dim=16,
        num_layers=3,
        caption_channels=TEXT_DIM,
        rope_type="split",
        **version,
    ).eval()


def tiny_gemma_3() -> Gemma3ForConditionalGeneration:
    """Of one layer; what it sees of images is not used."""
    text = Gemma3TextConfig(
        vocab_size=32,
        hidden_size=TEXT_DIM,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
    )
    vision = SiglipVisionConfig(
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
    )
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    return Gemma3ForConditionalGeneration(config).eval()


def tiny_ltx2_connectors(registers: int, *, per_modality: bool) -> LTX2TextConnectors:
    """Text of one layer and its embeddings to text for the video and for the audio.

    ``registers``: what the length of the text has to be a multiple of. ``per_modality``: as from LTX-2.3 on,
    where they project text to the channels of each stream.
    """
    return LTX2TextConnectors(
        caption_channels=TEXT_DIM,
        text_proj_in_factor=2,
        video_connector_num_attention_heads=_HEADS,
        video_connector_attention_head_dim=12 if per_modality else TEXT_DIM // _HEADS,
        video_connector_num_layers=1,
        video_connector_num_learnable_registers=registers,
        video_gated_attn=per_modality,
        audio_connector_num_attention_heads=_HEADS,
        audio_connector_attention_head_dim=8,
        audio_connector_num_layers=1,
        audio_connector_num_learnable_registers=registers,
        audio_gated_attn=per_modality,
        rope_type="split",
        per_modality_projections=per_modality,
        video_hidden_dim=24,
        audio_hidden_dim=16,
        proj_bias=per_modality,
    ).eval()


def tiny_ltx2_vae() -> AutoencoderKLLTX2Video:
    """Latents are 1/16 of each side and 1/2 of the frames after the first."""
    vae = AutoencoderKLLTX2Video(
        latent_channels=LATENT_CHANNELS,
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
        upsample_residual=(True,),
        upsample_factor=(1,),
        patch_size=8,
        decoder_causal=False,
    )
    _standardise(vae)
    return vae.eval()


def tiny_ltx2_audio_vae() -> AutoencoderKLLTX2Audio:
    """Latents of 2 channels and 4 bins, 25 a second."""
    return AutoencoderKLLTX2Audio(
        base_channels=8,
        ch_mult=(1, 1, 1),
        num_res_blocks=1,
        resolution=16,
        latent_channels=2,
        mid_block_add_attention=False,
        mel_bins=16,
    ).eval()


def tiny_ltx2_vocoder() -> LTX2Vocoder:
    return LTX2Vocoder(
        in_channels=32,
        hidden_channels=8,
        upsample_kernel_sizes=[4, 4],
        upsample_factors=[2, 2],
        resnet_kernel_sizes=[3],
        resnet_dilations=[[1, 3, 5]],
    ).eval()


def _standardise(vae: AutoencoderKLLTXVideo | AutoencoderKLLTX2Video) -> None:
    """Give a VAE statistics of its latents that are not those of a new one, 0 and 1."""
    statistics = {
        "latents_mean": torch.linspace(-0.2, 0.2, LATENT_CHANNELS),
        "latents_std": torch.linspace(0.8, 1.2, LATENT_CHANNELS),
    }
    vae.load_state_dict(statistics, strict=False)
