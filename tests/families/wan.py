"""Wan: cross-attention, sequential guidance, two experts, timesteps for each token."""

from __future__ import annotations

from functools import partial

from tests.families.row import FamilyRow, Hook
from tests.tiny.wan import KINDS, WanKind, pipeline

_BLOCKS = ("blocks",)
_NAMES = {
    "wan2.1-t2v": "Wan2.1 T2V",
    "wan2.1-i2v": "Wan2.1 I2V",
    "wan2.2-t2v-a14b": "Wan2.2 T2V A14B",
    "wan2.2-i2v-a14b": "Wan2.2 I2V A14B",
    "wan2.2-ti2v-5b": "Wan2.2 TI2V 5B",
    "wan2.2-ti2v-5b-image": "Wan2.2 TI2V 5B from an image",
}


def _row(kind: WanKind) -> FamilyRow:
    return FamilyRow(
        name=_NAMES[kind.name],
        build=partial(pipeline, kind),
        hooks={
            "resid": Hook(_BLOCKS),
            "self_attn.raw": Hook(_BLOCKS, "attn1"),
            "cross_attn.raw": Hook(_BLOCKS, "attn2"),
            "mlp.raw": Hook(_BLOCKS, "ffn"),
        },
        calls=(("cond",), ("uncond",)),
        size={"height": 32, "width": 48, "num_frames": 5},
        # Width 48: 12 latent cells, 6 patches.
        grids={"resid": (3, 4, 6)},
        image=kind.image,
        experts=("transformer", "transformer_2")[: kind.experts],
        num_steps=4,
    )


ROWS = [_row(kind) for kind in KINDS.values()]
