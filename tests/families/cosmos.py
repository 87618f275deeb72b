"""Cosmos: EDM, noise at levels up to 80, and flow; frames of an image that stay what they are."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKLCosmos,
    Cosmos2_5_PredictBasePipeline,
    Cosmos2TextToImagePipeline,
    Cosmos2VideoToWorldPipeline,
    CosmosTextToWorldPipeline,
    CosmosTransformer3DModel,
    CosmosVideoToWorldPipeline,
    EDMEulerScheduler,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
)

from tests.families.row import FamilyRow, Hook
from tests.tiny.components import LATENT_CHANNELS, tiny_tokenizer, tiny_vae
from tests.tiny.cosmos import TinyChecker, installed
from tests.tiny.images import T5_DIM, tiny_t5
from tests.tiny.qwen import tiny_qwen

_BLOCKS = ("transformer_blocks",)


def _transformer(*, image: bool, **more: Any) -> CosmosTransformer3DModel:
    return CosmosTransformer3DModel(
        in_channels=LATENT_CHANNELS + image,
        out_channels=LATENT_CHANNELS,
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=2,
        mlp_ratio=2,
        text_embed_dim=T5_DIM,
        adaln_lora_dim=4,
        max_size=(4, 32, 32),
        **more,
    ).eval()


def _pipeline(cls: Any, **parts: Any) -> Any:
    pipeline = cls(**parts, safety_checker=TinyChecker())
    # As published: the pipeline makes its own where its folder names none.
    pipeline.register_modules(safety_checker=None)
    return pipeline


def first(*, image: bool) -> Any:
    """Cosmos 1."""
    transformer = _transformer(image=image, extra_pos_embed_type="learnable")
    assert transformer.learnable_pos_embed is not None
    for table in transformer.learnable_pos_embed.parameters():
        # Zero at the beginning of training.
        torch.nn.init.normal_(table)
    vae = AutoencoderKLCosmos(
        latent_channels=LATENT_CHANNELS,
        encoder_block_out_channels=(4, 4, 4, 4),
        decode_block_out_channels=(4, 4, 4, 4),
        attention_resolutions=(8,),
        resolution=64,
        num_layers=1,
        spatial_compression_ratio=4,
        temporal_compression_ratio=4,
        # One for each channel and frame.
        latents_mean=torch.linspace(-0.2, 0.2, 4 * LATENT_CHANNELS).tolist(),
        latents_std=torch.linspace(0.8, 1.2, 4 * LATENT_CHANNELS).tolist(),
    ).eval()
    return _pipeline(
        CosmosVideoToWorldPipeline if image else CosmosTextToWorldPipeline,
        text_encoder=tiny_t5(),
        tokenizer=tiny_tokenizer(),
        transformer=transformer,
        vae=vae,
        scheduler=EDMEulerScheduler(final_sigmas_type="sigma_min"),
    )


def second(*, image: bool) -> Any:
    """Cosmos Predict2."""
    return _pipeline(
        Cosmos2VideoToWorldPipeline if image else Cosmos2TextToImagePipeline,
        text_encoder=tiny_t5(),
        tokenizer=tiny_tokenizer(),
        transformer=_transformer(image=image, extra_pos_embed_type=None),
        vae=tiny_vae(),
        scheduler=FlowMatchEulerDiscreteScheduler(use_karras_sigmas=True),
    )


def predict() -> Any:
    """Cosmos Predict2.5."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% for message in messages %}{{ message.content[0].text }} {% endfor %}"
    return _pipeline(
        Cosmos2_5_PredictBasePipeline,
        text_encoder=tiny_qwen(),
        tokenizer=tokenizer,
        transformer=_transformer(
            image=True,
            extra_pos_embed_type=None,
            use_crossattn_projection=True,
            # The states of both layers of the text encoder.
            crossattn_proj_in_channels=2 * 16,
            encoder_hidden_states_channels=T5_DIM,
        ),
        vae=tiny_vae(),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction",
            use_flow_sigmas=True,
            use_karras_sigmas=True,
            sigma_max=200.0,
            sigma_min=0.01,
        ),
    )


def _row(name: str, build: Any, num_frames: int | None = None, **more: Any) -> FamilyRow:
    return FamilyRow(
        name=name,
        build=build,
        hooks={
            "resid": Hook(_BLOCKS),
            "self_attn.raw": Hook(_BLOCKS, "attn1"),
            "cross_attn.raw": Hook(_BLOCKS, "attn2"),
            "mlp.raw": Hook(_BLOCKS, "ff"),
        },
        calls=(("cond",), ("uncond",)),
        size={"height": 32, "width": 48, **({} if num_frames is None else {"num_frames": num_frames})},
        settings={"max_sequence_length": 7},
        grids={"resid": (1 if num_frames is None else 3, 4, 6)},
        installed=installed,
        **more,
    )


ROWS = [
    _row("Cosmos 1 Text2World", lambda: first(image=False), 9, euler=True),
    _row("Cosmos 1 Video2World", lambda: first(image=True), 9, image=True, euler=True),
    _row("Cosmos Predict2 Text2Image", lambda: second(image=False), euler=True),
    _row("Cosmos Predict2 Video2World", lambda: second(image=True), 5, image=True, euler=True),
    _row("Cosmos Predict2.5, from text", predict, 5, batches=(1,)),
    _row("Cosmos Predict2.5, from an image", predict, 5, image=True, batches=(1,)),
]
