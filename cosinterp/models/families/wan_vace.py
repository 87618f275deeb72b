"""Wan VACE: Wan2.1 (1.3B, 14B), and two experts with Wan2.2.

The blocks are Wan's. Blocks of another kind turn the control video into hints before them, and after some of
the blocks a hint is added: layer k is what leaves block k, and what enters the next block is that plus the
hint. A first image is given as the first frame of the control video, and as what is to be kept of it.
"""

from __future__ import annotations

from typing import Any

from PIL import Image

from cosinterp.models.anatomy import FROM_PIPELINE, Anatomy
from cosinterp.models.families.shared import known_pipeline
from cosinterp.models.families.wan import blocks, expert_at, experts_of
from cosinterp.models.geometry import Geometry, three
from cosinterp.models.guidance import classifier_free
from cosinterp.models.vae import decode_standardised
from cosinterp.noise_levels import FLOW, check_predicts

_GREY = (128, 128, 128)
_KEEP, _MAKE = 0, 255


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of a Wan VACE pipeline.

    Raises:
        ModelError: a class of pipeline, a scheduler or a pair of experts that is not understood.
    """
    known_pipeline(pipeline, ["WanVACEPipeline"], name)
    experts, depth = experts_of(pipeline, name)
    config = getattr(pipeline, experts[0]).config
    patch = three(config.patch_size)
    spatial = pipeline.vae_scale_factor_spatial
    return Anatomy(
        family="wan-vace",
        experts=experts,
        stacks=(blocks(config, depth),),
        geometry=Geometry(
            patch_size=patch,
            latent_channels=pipeline.vae.config.z_dim,
            spatial_scale=spatial,
            temporal_scale=pipeline.vae_scale_factor_temporal,
            size_multiple=(spatial * patch[1], spatial * patch[2]),
        ),
        guidance=classifier_free("sequential"),
        prediction_type=check_predicts(pipeline.scheduler, FLOW, name),
        decode=decode_standardised,
        image="optional",
        videos={"control_video": "optional"},
        settings={"guidance_scale_2": FROM_PIPELINE, "conditioning_scale": FROM_PIPELINE},
        two_guidance_scales=pipeline.config.boundary_ratio is not None,
        expert_at=expert_at,
        one_at_a_time=True,
        arguments=_arguments,
    )


def _arguments(pipeline: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """The first image and the control video as one, grey where there is none; its mask is white where frames
    are to be made.
    """
    image, control = arguments["image"], arguments.get("control_video")
    if image is None and control is None:
        return arguments
    size, num_frames = (arguments["width"], arguments["height"]), arguments["num_frames"]
    video = [frame.resize(size) for frame in control or [Image.new("RGB", size, _GREY)] * num_frames]
    mask = [Image.new("L", size, _MAKE)] * num_frames
    if image is not None:
        video[0], mask[0] = image.convert("RGB").resize(size), Image.new("L", size, _KEEP)
    return {**arguments, "video": video, "mask": mask}
