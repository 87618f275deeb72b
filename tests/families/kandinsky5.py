"""Kandinsky 5: channels last, calls without labels, sparse attention in squares, the first frame held."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKLHunyuanVideo,
    FlowMatchEulerDiscreteScheduler,
    Kandinsky5I2VPipeline,
    Kandinsky5T2VPipeline,
    Kandinsky5Transformer3DModel,
)
from transformers import CLIPTextConfig, CLIPTextModel

from tests.families.row import FamilyRow, Hook
from tests.tiny.components import tiny_tokenizer
from tests.tiny.qwen import tiny_qwen

_BLOCKS = ("visual_transformer_blocks",)
_SPARSE: dict[str, Any] = {
    "attention_type": "nabla",
    "attention_P": 0.5,
    "attention_wT": 1,
    "attention_wH": 1,
    "attention_wW": 1,
    "attention_add_sta": True,
    "attention_method": "topcdf",
}


def pipeline(cls: type, **config: Any) -> Any:
    transformer = Kandinsky5Transformer3DModel(
        in_visual_dim=4,
        out_visual_dim=4,
        in_text_dim=16,
        in_text_dim2=16,
        time_dim=16,
        model_dim=32,
        ff_dim=32,
        num_text_blocks=1,
        num_visual_blocks=2,
        axes_dims=(4, 6, 6),
        visual_cond=True,
        **config,
    ).eval()
    for name, module in transformer.named_modules():
        # Zero at the beginning of training, which would hide every sublayer.
        if name.endswith("modulation"):
            torch.nn.init.normal_(module.out_layer.weight, std=0.3)
    clip = CLIPTextConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=0,
        eos_token_id=1,
    )
    return cls(
        transformer=transformer,
        vae=_vae(),
        text_encoder=tiny_qwen(),
        tokenizer=tiny_tokenizer(),
        text_encoder_2=CLIPTextModel(clip).eval(),
        tokenizer_2=tiny_tokenizer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),
    )


def _vae() -> AutoencoderKLHunyuanVideo:
    return AutoencoderKLHunyuanVideo(
        latent_channels=4,
        block_out_channels=(4, 4, 4, 4),
        layers_per_block=1,
        norm_num_groups=2,
        mid_block_add_attention=False,
    ).eval()


def _from_squares(tokens: torch.Tensor) -> torch.Tensor:
    """Of 2 frames of 1 x 2 squares: 8 rows of 16 columns of tokens."""
    frames = []
    for frame in tokens.unflatten(1, (2, 2, 8, 8)).unbind(1):
        left, right = frame.unbind(1)
        frames.append(torch.cat([left, right], dim=2))
    return torch.stack(frames, dim=1).flatten(1, 3)


def _row(
    name: str, build: Any, size: tuple[int, int, int], grid: tuple[int, int, int], **more: Any
) -> FamilyRow:
    height, width, num_frames = size
    return FamilyRow(
        name=name,
        build=build,
        hooks={
            "resid": Hook(_BLOCKS),
            "self_attn.raw": Hook(_BLOCKS, "self_attention"),
            "cross_attn.raw": Hook(_BLOCKS, "cross_attention"),
            "mlp.raw": Hook(_BLOCKS, "feed_forward"),
        },
        entering={"resid": "visual_embed"},
        calls=(("cond",), ("uncond",)),
        size={"height": height, "width": width, "num_frames": num_frames},
        euler=True,
        grids={"resid": grid},
        **more,
    )


ROWS = [
    _row(
        "Kandinsky 5 T2V",
        lambda: pipeline(Kandinsky5T2VPipeline, attention_type="regular"),
        (32, 48, 9),
        (3, 2, 3),
    ),
    _row(
        "Kandinsky 5 T2V, sparse attention",
        lambda: pipeline(Kandinsky5T2VPipeline, **_SPARSE),
        (128, 256, 5),
        (2, 8, 16),
        in_grid_order=_from_squares,
    ),
    _row(
        "Kandinsky 5 I2V",
        lambda: pipeline(Kandinsky5I2VPipeline, attention_type="regular"),
        (32, 48, 17),
        (5, 2, 3),
        image=True,
    ),
]
