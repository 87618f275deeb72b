"""LTX-2: video and audio in one block, and up to four branches, two of them in one batch."""

from __future__ import annotations

from typing import Any

from diffusers import LTX2ImageToVideoPipeline, LTX2Pipeline

from tests.families.ltx import shifting_scheduler
from tests.families.row import FamilyRow, Hook, item
from tests.tiny.components import tiny_tokenizer
from tests.tiny.ltx import (
    tiny_gemma_3,
    tiny_ltx2_audio_vae,
    tiny_ltx2_connectors,
    tiny_ltx2_transformer,
    tiny_ltx2_vae,
    tiny_ltx2_vocoder,
)

_BLOCKS = ("transformer_blocks",)
# What LTX-2.3 has and LTX-2.0 has not.
VERSION_2_3 = {
    "gated_attn": True,
    "cross_attn_mod": True,
    "audio_gated_attn": True,
    "audio_cross_attn_mod": True,
    "use_prompt_embeddings": False,
    "perturbed_attn": True,
}
VERSION_2_5 = {**VERSION_2_3, "ff_bias": False, "use_prompt_adaln_single": False}
OFF = {
    "guidance_scale": 1.0,
    "audio_guidance_scale": 1.0,
    "stg_scale": 0.0,
    "audio_stg_scale": 0.0,
    "modality_scale": 1.0,
    "audio_modality_scale": 1.0,
}
_DOUBLED, _STG, _MODALITY = ("uncond", "cond"), ("stg",), ("modality",)


def pipeline(cls: type, **version: Any) -> Any:
    return cls(
        scheduler=shifting_scheduler(),
        vae=tiny_ltx2_vae(),
        audio_vae=tiny_ltx2_audio_vae(),
        text_encoder=tiny_gemma_3(),
        tokenizer=tiny_tokenizer(),
        connectors=tiny_ltx2_connectors(4, per_modality=bool(version)),
        transformer=tiny_ltx2_transformer(**version),
        vocoder=tiny_ltx2_vocoder(),
    )


def _row(name: str, build: Any, **more: Any) -> FamilyRow:
    settings = {
        "max_sequence_length": 8,
        "frame_rate": 12.0,
        "spatio_temporal_guidance_blocks": [1],
        **more.pop("settings", {}),
    }
    return FamilyRow(
        name=name,
        build=build,
        hooks={
            "resid": Hook(_BLOCKS, take=item(0)),
            "audio": Hook(_BLOCKS, take=item(1)),
            "self_attn.raw": Hook(_BLOCKS, "attn1"),
            "cross_attn.raw": Hook(_BLOCKS, "attn2"),
            "audio_cross_attn.raw": Hook(_BLOCKS, "audio_to_video_attn"),
            "mlp.raw": Hook(_BLOCKS, "ff"),
        },
        entering={"resid": "hidden_states", "audio": "audio_hidden_states"},
        size={"height": 32, "width": 64, "num_frames": 5},
        unguided=OFF,
        settings=settings,
        idle={"audio_cross_attn": _MODALITY, "audio_cross_attn.raw": _MODALITY},
        grids={"resid": (3, 2, 4), "audio": (1, 1, 10)},
        **more,
    )


ROWS = [
    _row(
        "LTX-2",
        lambda: pipeline(LTX2Pipeline),
        guided={**OFF, "guidance_scale": 4.0},
        calls=(_DOUBLED,),
    ),
    _row(
        "LTX-2, guided by what the pipeline's defaults are",
        lambda: pipeline(LTX2Pipeline),
        guided={},
        calls=(_DOUBLED, _STG, _MODALITY),
    ),
    _row(
        "LTX-2, audio guidance alone",
        lambda: pipeline(LTX2Pipeline),
        guided={**OFF, "audio_guidance_scale": 7.0},
        calls=(_DOUBLED,),
    ),
    _row(
        "LTX-2 I2V",
        lambda: pipeline(LTX2ImageToVideoPipeline),
        guided={**OFF, "guidance_scale": 4.0},
        calls=(_DOUBLED,),
        settings={"image_crf": 0},
        image=True,
    ),
    _row(
        "LTX-2.3: STG and modality guidance",
        lambda: pipeline(LTX2Pipeline, **VERSION_2_3),
        guided={"stg_scale": 1.0, "modality_scale": 3.0},
        calls=(_DOUBLED, _STG, _MODALITY),
    ),
    _row(
        "LTX-2.3: STG alone",
        lambda: pipeline(LTX2Pipeline, **VERSION_2_3),
        guided={**OFF, "audio_stg_scale": 1.0},
        calls=(("cond",), _STG),
    ),
    _row(
        "LTX-2.3 I2V",
        lambda: pipeline(LTX2ImageToVideoPipeline, **VERSION_2_3),
        guided={},
        calls=(_DOUBLED, _STG, _MODALITY),
        settings={"image_crf": 0},
        image=True,
    ),
    _row(
        "LTX-2.5",
        lambda: pipeline(LTX2Pipeline, **VERSION_2_5),
        guided={},
        calls=(_DOUBLED, _STG, _MODALITY),
    ),
]
