"""LTX-Video: packed latents, a first frame that is held, and a pipeline that turns the velocity around."""

from __future__ import annotations

from typing import Any

from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    LTXConditionPipeline,
    LTXImageToVideoPipeline,
    LTXPipeline,
)
from transformers import T5Config, T5EncoderModel

from tests.families.row import FamilyRow, Hook
from tests.tiny.components import tiny_tokenizer
from tests.tiny.ltx import TEXT_DIM, tiny_ltx_transformer, tiny_ltx_vae

_BLOCKS = ("transformer_blocks",)


def shifting_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """That of LTX-Video 0.9.0 and of LTX-2."""
    return FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True,
        base_shift=0.95,
        max_shift=2.05,
        base_image_seq_len=1024,
        max_image_seq_len=4096,
        shift_terminal=0.1,
    )


def pipeline(cls: type, scheduler: Any, **vae: bool) -> Any:
    text = T5Config(
        vocab_size=32, d_model=TEXT_DIM, d_kv=8, d_ff=32, num_layers=1, num_heads=2, dropout_rate=0.0
    )
    return cls(
        scheduler=scheduler,
        vae=tiny_ltx_vae(**vae),
        text_encoder=T5EncoderModel(text).eval(),
        tokenizer=tiny_tokenizer(),
        transformer=tiny_ltx_transformer(),
    )


def _row(name: str, build: Any, **more: Any) -> FamilyRow:
    settings = {"max_sequence_length": 7, **more.pop("settings", {})}
    return FamilyRow(
        name=name,
        build=build,
        hooks={
            "resid": Hook(_BLOCKS),
            "self_attn.raw": Hook(_BLOCKS, "attn1"),
            "cross_attn.raw": Hook(_BLOCKS, "attn2"),
            "mlp.raw": Hook(_BLOCKS, "ff"),
        },
        calls=(("uncond", "cond"),),
        size={"height": 32, "width": 64, "num_frames": 9},
        settings=settings,
        grids={"resid": (3, 2, 4)},
        **more,
    )


ROWS = [
    _row("LTX-Video 0.9.0", lambda: pipeline(LTXPipeline, shifting_scheduler())),
    _row(
        "LTX-Video from 0.9.5 on",
        lambda: pipeline(LTXPipeline, FlowMatchEulerDiscreteScheduler(), timestep=True),
        settings={"guidance_rescale": 0.7, "frame_rate": 30},
    ),
    _row(
        "LTX-Video 0.9.0 I2V",
        lambda: pipeline(LTXImageToVideoPipeline, shifting_scheduler()),
        image=True,
    ),
    _row(
        "LTX-Video from 0.9.5 on, from a condition: an image",
        lambda: pipeline(LTXConditionPipeline, FlowMatchEulerDiscreteScheduler(), timestep=True),
        image=True,
    ),
    _row(
        "LTX-Video from 0.9.5 on, from a condition: none",
        lambda: pipeline(LTXConditionPipeline, FlowMatchEulerDiscreteScheduler(), timestep=True),
    ),
]
