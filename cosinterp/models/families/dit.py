"""DiT, class-conditional: a sample's prompt is the name or the number of a class.

Attention and MLP are gated by what the first norm of a block puts out (`BasicTransformerBlock` with
``ada_norm_zero`` in diffusers). Guidance is batch-doubled, the conditional rows first, and so are the latents
that the scheduler sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from cosinterp.errors import ModelError
from cosinterp.models.anatomy import Anatomy
from cosinterp.models.blocks import BlockCall, Sublayer
from cosinterp.models.families.shared import known_pipeline, one_stack
from cosinterp.models.geometry import Geometry, Size, one_frame
from cosinterp.models.guidance import COND, UNCOND, classifier_free
from cosinterp.models.vae import decoded_image, on_vae
from cosinterp.noise_levels import prediction_type_of

_ATTENTION_GATE = 1
_FEED_FORWARD_GATE = 4
# The pipeline takes class 1000 for none.
_CLASSES = 1000


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of a DiT pipeline.

    Raises:
        ModelError: a class of pipeline, a scheduler or a number of classes that is not understood.
    """
    known_pipeline(pipeline, ["DiTPipeline"], name)
    config = pipeline.transformer.config
    if config.num_embeds_ada_norm != _CLASSES:
        raise ModelError(
            f"{name}: its transformer has {config.num_embeds_ada_norm} classes; DiTPipeline is for {_CLASSES}"
        )
    classes = {**pipeline.labels, **{str(number): number for number in range(_CLASSES)}}
    scale = 2 ** (len(pipeline.vae.config.block_out_channels) - 1)
    side = config.sample_size * scale
    return Anatomy(
        family="dit",
        stacks=one_stack(
            pipeline.transformer,
            Sublayer("self_attn", "attn1", gate=_gate(_ATTENTION_GATE), reads=("norm1",)),
            Sublayer("mlp", "ff", gate=_gate(_FEED_FORWARD_GATE), reads=("norm1",)),
        ),
        geometry=Geometry(
            patch_size=(1, config.patch_size, config.patch_size),
            latent_channels=config.in_channels,
            spatial_scale=scale,
            fixed_size=Size(side, side),
            is_image=True,
        ),
        guidance=classifier_free("doubled", rows=(COND, UNCOND)),
        prediction_type=prediction_type_of(pipeline.scheduler, name),
        decode=_decode,
        vae_in_model_dtype=True,
        classes=classes,
        image_hint="it makes images of a class",
        arguments=partial(_arguments, classes),
        output="images",
        unpack=one_frame,
    )


def _gate(index: int) -> Callable[[BlockCall], torch.Tensor]:
    def gate(call: BlockCall) -> torch.Tensor:
        """One of the modulation vectors that the norm puts out, (batch, channel), for all tokens."""
        return call.outputs["norm1"][index].unsqueeze(1)

    return gate


def _arguments(classes: Mapping[str, int], pipeline: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    return {**arguments, "class_labels": [classes[prompt] for prompt in arguments["prompt"]]}


def _decode(pipeline: Any, latents: torch.Tensor, num_frames: int) -> np.ndarray:
    # Multiplying by the inverse, as the pipeline does, keeps the decoded image equal bit for bit.
    return decoded_image(
        pipeline, 1 / pipeline.vae.config.scaling_factor * on_vae(pipeline, latents[:, :, 0])
    )
