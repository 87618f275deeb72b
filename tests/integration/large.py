"""A large model's folder without its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def a14b(folder: Path) -> Path:
    """The configs of Wan2.2-I2V-A14B, two experts of 14 billion parameters, and no weights at all."""
    transformer = {
        "_class_name": "WanTransformer3DModel",
        "attention_head_dim": 128,
        "ffn_dim": 13824,
        "in_channels": 36,
        "num_attention_heads": 40,
        "num_layers": 40,
        "out_channels": 16,
        "text_dim": 4096,
    }
    configs: dict[str, dict[str, Any]] = {
        "transformer/config.json": transformer,
        "transformer_2/config.json": transformer,
        "vae/config.json": {"_class_name": "AutoencoderKLWan", "base_dim": 96, "z_dim": 16},
        "text_encoder/config.json": {"model_type": "umt5", "d_model": 4096},
        "tokenizer/tokenizer_config.json": {},
        "scheduler/scheduler_config.json": {
            "_class_name": "UniPCMultistepScheduler",
            "prediction_type": "flow_prediction",
            "use_flow_sigmas": True,
            "flow_shift": 3.0,
        },
        "model_index.json": {
            "_class_name": "WanImageToVideoPipeline",
            "boundary_ratio": 0.9,
            "image_encoder": [None, None],
            "image_processor": [None, None],
            "scheduler": ["diffusers", "UniPCMultistepScheduler"],
            "text_encoder": ["transformers", "UMT5EncoderModel"],
            "tokenizer": ["transformers", "T5TokenizerFast"],
            "transformer": ["diffusers", "WanTransformer3DModel"],
            "transformer_2": ["diffusers", "WanTransformer3DModel"],
            "vae": ["diffusers", "AutoencoderKLWan"],
        },
    }
    for name, config in configs.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(config))
    return folder
