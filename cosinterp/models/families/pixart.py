"""PixArt-alpha and PixArt-sigma, from text.

Self-attention and the MLP of a block are gated by the timestep, cross-attention is not
(`BasicTransformerBlock` with ``ada_norm_single`` in diffusers). Of the two halves that the transformer puts
out the scheduler is given the first, the noise. Sizes are taken as they are, and not mapped to those of the
training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cosinterp.models.anatomy import Anatomy, nothing_refused
from cosinterp.models.blocks import Sublayer
from cosinterp.models.families.shared import known_pipeline, one_stack, table_gate
from cosinterp.models.geometry import Geometry, Size, multiples, one_frame
from cosinterp.models.guidance import classifier_free
from cosinterp.models.vae import decode_image
from cosinterp.noise_levels import prediction_type_of

_ALPHA = "PixArtAlphaPipeline"
_PIPELINES = (_ALPHA, "PixArtSigmaPipeline")
_SELF_ATTENTION_GATE = 2
_FEED_FORWARD_GATE = 5
# What the pipelines themselves refuse to take other multiples than of.
_MULTIPLE = 8


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of a PixArt pipeline.

    Raises:
        ModelError: a class of pipeline or a scheduler that is not understood.
    """
    kind = known_pipeline(pipeline, _PIPELINES, name)
    config = pipeline.transformer.config
    scale, side = pipeline.vae_scale_factor, config.patch_size
    patch = (1, side, side)
    return Anatomy(
        family="pixart",
        stacks=one_stack(
            pipeline.transformer,
            Sublayer("self_attn", "attn1", gate=table_gate("timestep", _SELF_ATTENTION_GATE)),
            Sublayer("cross_attn", "attn2"),
            Sublayer("mlp", "ff", gate=table_gate("timestep", _FEED_FORWARD_GATE)),
        ),
        geometry=Geometry(
            patch_size=patch,
            latent_channels=config.in_channels,
            spatial_scale=scale,
            size_multiple=multiples(_MULTIPLE, scale, patch),
            default_size=Size(config.sample_size * scale, config.sample_size * scale),
            is_image=True,
        ),
        guidance=classifier_free("doubled"),
        prediction_type=prediction_type_of(pipeline.scheduler, name),
        decode=decode_image,
        vae_in_model_dtype=kind == _ALPHA,
        image_hint="it is a text-to-image model",
        # Whether the pipelines clean prompts depends on what is installed.
        settings={"clean_caption": False},
        arguments=_arguments,
        output="images",
        refusal=_one_step if kind == _ALPHA else nothing_refused,
        unpack=one_frame,
    )


def _arguments(pipeline: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    return {**arguments, "use_resolution_binning": False}


def _one_step(settings: Mapping[str, Any]) -> str | None:
    """The pipeline of PixArt-alpha takes the image of a single step from what only some schedulers return."""
    return "PixArt-alpha takes 2 steps or more" if settings["num_steps"] == 1 else None
