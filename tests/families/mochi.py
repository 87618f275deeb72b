"""Mochi: streams of two widths, norms with the gate inside, noise levels that rise."""

from __future__ import annotations

import torch
from diffusers import (
    AutoencoderKLMochi,
    FlowMatchEulerDiscreteScheduler,
    MochiPipeline,
    MochiTransformer3DModel,
)
from transformers import T5Config, T5EncoderModel

from tests.families.row import FamilyRow, Hook, item
from tests.tiny.components import tiny_tokenizer

_TEXT = 7
_BLOCKS = ("transformer_blocks",)


def _pipeline() -> MochiPipeline:
    vae = AutoencoderKLMochi(
        encoder_block_out_channels=(32, 32, 32, 32),
        decoder_block_out_channels=(32, 32, 32, 32),
        layers_per_block=(1, 1, 1, 1, 1),
        add_attention_block=(False, False, False, False, False),
    ).eval()
    transformer = MochiTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        num_layers=3,
        pooled_projection_dim=16,
        in_channels=12,
        text_embed_dim=16,
        time_embed_dim=8,
        max_sequence_length=_TEXT,
    ).eval()
    torch.nn.init.normal_(transformer.pos_frequencies)
    text = T5Config(vocab_size=32, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, dropout_rate=0.0)
    return MochiPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(invert_sigmas=True),
        vae=vae,
        text_encoder=T5EncoderModel(text).eval(),
        tokenizer=tiny_tokenizer(),
        transformer=transformer,
        force_zeros_for_empty_prompt=True,
    )


ROWS = [
    FamilyRow(
        name="Mochi 1",
        build=_pipeline,
        hooks={
            "resid": Hook(_BLOCKS, take=item(0)),
            "text": Hook(_BLOCKS, take=item(1)),
            "self_attn.raw": Hook(_BLOCKS, "attn1", item(0)),
            "mlp.raw": Hook(_BLOCKS, "ff"),
        },
        entering={"resid": "hidden_states", "text": "encoder_hidden_states"},
        calls=(("uncond", "cond"),),
        size={"height": 32, "width": 48, "num_frames": 13},
        settings={"max_sequence_length": _TEXT},
        grids={"resid": (3, 2, 3), "text": (1, 1, _TEXT)},
    )
]
