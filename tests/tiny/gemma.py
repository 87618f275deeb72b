"""A tiny Gemma 2, which is a text encoder in pipelines."""

from __future__ import annotations

from transformers import Gemma2Config, Gemma2Model


def tiny_gemma(channels: int = 16) -> Gemma2Model:
    """Text of `tests.tiny.components.tiny_tokenizer` to ``channels``."""
    config = Gemma2Config(
        vocab_size=32,
        hidden_size=channels,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
    )
    return Gemma2Model(config).eval()
