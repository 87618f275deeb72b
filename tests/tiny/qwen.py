"""A tiny Qwen2.5-VL, of which pipelines take the hidden states of a text."""

from __future__ import annotations

from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration


def tiny_qwen(channels: int = 16) -> Qwen2_5_VLForConditionalGeneration:
    """Text of `tests.tiny.components.tiny_tokenizer` to ``channels``."""
    text = {
        "vocab_size": 32,
        "hidden_size": channels,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e6},
    }
    vision = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": channels,
    }
    special = {
        "image_token_id": 28,
        "video_token_id": 29,
        "vision_start_token_id": 30,
        "vision_end_token_id": 31,
    }
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, **special)
    return Qwen2_5_VLForConditionalGeneration(config).eval()
