"""DiT: classes in place of prompts, doubled latents, conditional rows first."""

from __future__ import annotations

from diffusers import DDIMScheduler, DiTPipeline, DiTTransformer2DModel

from tests.families.row import FamilyRow, Hook
from tests.tiny.images import tiny_image_vae

_BLOCKS = ("transformer_blocks",)


def _pipeline() -> DiTPipeline:
    transformer = DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        sample_size=10,
        patch_size=2,
        num_embeds_ada_norm=1000,
    ).eval()
    scheduler = DDIMScheduler(clip_sample=False)
    names = {0: "tench, Tinca tinca", 1: "goldfish, Carassius auratus"}
    pipeline = DiTPipeline(transformer, tiny_image_vae(), scheduler, id2label=names)
    # As in the published model_index.json; the pipeline itself does not save them.
    pipeline.register_to_config(id2label=names)
    return pipeline


ROWS = [
    FamilyRow(
        name="DiT",
        build=_pipeline,
        prompt="Carassius auratus",
        hooks={
            "resid": Hook(_BLOCKS),
            "self_attn.raw": Hook(_BLOCKS, "attn1"),
            "mlp.raw": Hook(_BLOCKS, "ff"),
        },
        calls=(("cond", "uncond"),),
        size={"height": 40, "width": 40},
        grids={"resid": (1, 5, 5)},
    )
]
