"""Allegro, from text.

Self-attention and the feed-forward layer are gated by the timestep, cross-attention is not
(`AllegroTransformerBlock.forward` in diffusers). The denoiser predicts the noise. The VAE decodes by tiles,
and makes nothing of what does not fill one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from cosinterp.models.anatomy import Anatomy
from cosinterp.models.blocks import Sublayer
from cosinterp.models.families.shared import known_pipeline, one_stack, table_gate
from cosinterp.models.geometry import Geometry, Size, Tiles
from cosinterp.models.guidance import classifier_free
from cosinterp.models.vae import on_vae
from cosinterp.noise_levels import EPSILON, check_predicts

_SELF_ATTENTION_GATE = 2
_FEED_FORWARD_GATE = 5


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of an Allegro pipeline.

    Raises:
        ModelError: a class of pipeline or a scheduler that is not understood.
    """
    known_pipeline(pipeline, ["AllegroPipeline"], name)
    config = pipeline.transformer.config
    spatial, temporal = pipeline.vae_scale_factor_spatial, pipeline.vae_scale_factor_temporal
    token = spatial * config.patch_size
    return Anatomy(
        family="allegro",
        stacks=one_stack(
            pipeline.transformer,
            Sublayer("self_attn", "attn1", gate=table_gate("temb", _SELF_ATTENTION_GATE)),
            Sublayer("cross_attn", "attn2"),
            Sublayer("mlp", "ff", gate=table_gate("temb", _FEED_FORWARD_GATE)),
        ),
        geometry=Geometry(
            patch_size=(config.patch_size_t, config.patch_size, config.patch_size),
            latent_channels=config.in_channels,
            spatial_scale=spatial,
            temporal_scale=temporal,
            tiles=_tiles(pipeline.vae, (temporal * config.patch_size_t, token, token)),
            default_size=Size(
                config.sample_height * spatial, config.sample_width * spatial, config.sample_frames * temporal
            ),
        ),
        guidance=classifier_free("doubled"),
        prediction_type=check_predicts(pipeline.scheduler, EPSILON, name),
        decode=_decode,
        # Else the text would be another where the packages that clean it are not installed.
        settings={"clean_caption": False},
        image_hint="it is a text-to-video model: leave the image out",
        prepare=_enable_decoding,
    )


def _tiles(vae: Any, token: tuple[int, int, int]) -> Tiles:
    """The VAE's tiles, of which as many lie behind one another as fill whole tokens."""
    frames, height, width = (
        int(np.lcm(max(stride, 0), multiple)) for stride, multiple in zip(vae.stride, token, strict=True)
    )
    return Tiles(size=tuple(vae.kernel), stride=(frames, height, width))


def _enable_decoding(pipeline: Any) -> None:
    """The VAE decodes by tiles only, and tiles of one video only."""
    pipeline.vae.enable_tiling()
    pipeline.vae.enable_slicing()


@torch.no_grad()
def _decode(pipeline: Any, latents: torch.Tensor, num_frames: int) -> np.ndarray:
    video = pipeline.decode_latents(on_vae(pipeline, latents))[:, :, :num_frames]
    return pipeline.video_processor.postprocess_video(video, output_type="np")
