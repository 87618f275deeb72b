"""SkyReels-V2, from text (14B) and from an image (1.3B, 14B).

The blocks are Wan's. The checkpoints for diffusion forcing have pipelines of their own, which denoise each
latent frame by a noise level and a scheduler of its own, so that there are no steps of the whole video.
"""

from __future__ import annotations

from typing import Any

from cosinterp.errors import ModelError
from cosinterp.models.anatomy import Anatomy
from cosinterp.models.families.shared import known_pipeline
from cosinterp.models.families.wan import blocks, fixed_text_length
from cosinterp.models.geometry import Geometry, multiples, three
from cosinterp.models.guidance import classifier_free
from cosinterp.models.vae import decode_standardised
from cosinterp.noise_levels import FLOW, check_predicts

_TAKES_IMAGE = {"SkyReelsV2Pipeline": False, "SkyReelsV2ImageToVideoPipeline": True}
_DIFFUSION_FORCING = "SkyReelsV2DiffusionForcing"
# What the pipeline itself refuses to take other multiples than of.
_MULTIPLE = 16


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of a SkyReels-V2 pipeline.

    Raises:
        ModelError: a class of pipeline, such as those for diffusion forcing, or a scheduler that is not
            understood.
    """
    image = _takes_image(pipeline, name)
    transformer = pipeline.transformer
    patch = three(transformer.config.patch_size)
    spatial = pipeline.vae_scale_factor_spatial
    return Anatomy(
        family="skyreels-v2",
        stacks=(blocks(transformer.config, len(transformer.blocks)),),
        geometry=Geometry(
            patch_size=patch,
            latent_channels=pipeline.vae.config.z_dim,
            spatial_scale=spatial,
            temporal_scale=pipeline.vae_scale_factor_temporal,
            size_multiple=multiples(_MULTIPLE, spatial, patch),
        ),
        guidance=classifier_free("sequential"),
        prediction_type=check_predicts(pipeline.scheduler, FLOW, name),
        decode=decode_standardised,
        image="required" if image else "none",
        image_hint="give a first image" if image else "it is a text-to-video model: leave the image out",
        fixed_text_length=fixed_text_length(transformer.config),
    )


def _takes_image(pipeline: Any, name: str) -> bool:
    kind = type(pipeline).__name__
    if kind.startswith(_DIFFUSION_FORCING):
        raise ModelError(
            f"{name}: {kind} gives each latent frame a noise level and a scheduler of its own, so there are "
            "no denoising steps to trace; use a SkyReels-V2 T2V or I2V checkpoint"
        )
    return _TAKES_IMAGE[known_pipeline(pipeline, _TAKES_IMAGE, name)]
