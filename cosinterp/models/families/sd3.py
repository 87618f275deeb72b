"""Stable Diffusion 3 and 3.5, from text.

Image and text tokens are two streams that are joined for attention. Some blocks of SD3.5 medium let the image
attend to itself once more (`dual_attn`), and the last block drops the text (`JointTransformerBlock` in
diffusers). The gates are what the blocks' norms put out. The text is that of CLIP, then that of T5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import groupby
from typing import Any

from cosinterp.models.anatomy import Anatomy
from cosinterp.models.arguments import at_most
from cosinterp.models.blocks import RESID, TEXT, Stack, Stream, Sublayer
from cosinterp.models.families.shared import known_pipeline, norm_gate
from cosinterp.models.geometry import Geometry, Size, one_frame
from cosinterp.models.guidance import classifier_free
from cosinterp.models.portions import WHOLE, Element, Portion
from cosinterp.models.vae import decode_image
from cosinterp.noise_levels import FLOW, check_predicts

_ATTENTION_GATE = 1
_FEED_FORWARD_GATE = 4
_DUAL_ATTENTION_GATE = 6
_LONGEST_TEXT = 512


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of a Stable Diffusion 3 pipeline.

    Raises:
        ModelError: a class of pipeline or a scheduler that is not understood.
    """
    known_pipeline(pipeline, ["StableDiffusion3Pipeline"], name)
    config = pipeline.transformer.config
    patch, scale = config.patch_size, pipeline.vae_scale_factor
    # There are position embeddings for so many patches of a side.
    largest = config.pos_embed_max_size * patch * scale
    streams = (
        Stream(RESID, config.num_attention_heads * config.attention_head_dim, "hidden_states", output=1),
        Stream(
            TEXT,
            config.caption_projection_dim,
            "encoder_hidden_states",
            output=0,
            grid=partial(_text_grid, pipeline.tokenizer_max_length),
        ),
    )
    return Anatomy(
        family="sd3",
        stacks=tuple(_stacks(pipeline.transformer.transformer_blocks, streams)),
        geometry=Geometry(
            patch_size=(1, patch, patch),
            latent_channels=config.in_channels,
            spatial_scale=scale,
            size_multiple=(scale * patch, scale * patch),
            default_size=Size(config.sample_size * scale, config.sample_size * scale),
            is_image=True,
        ),
        guidance=classifier_free("doubled"),
        prediction_type=check_predicts(pipeline.scheduler, FLOW, name),
        decode=decode_image,
        vae_in_model_dtype=True,
        image_hint="it is a text-to-image model",
        output="images",
        refusal=at_most(height=largest, width=largest, max_sequence_length=_LONGEST_TEXT),
        unpack=one_frame,
    )


def _stacks(blocks: Any, streams: tuple[Stream, ...]) -> Iterator[Stack]:
    """Blocks of one kind after another in one list."""
    first = 0
    for (dual, drops_text), alike in groupby(
        blocks, lambda block: (block.attn2 is not None, block.context_pre_only)
    ):
        count = len(list(alike))
        yield Stack(
            blocks="transformer_blocks",
            first=first,
            count=count,
            streams=streams[:1] if drops_text else streams,
            sublayers=(
                _sublayer("self_attn", "attn", _ATTENTION_GATE, video=Element(0)),
                *((_sublayer("dual_attn", "attn2", _DUAL_ATTENTION_GATE),) if dual else ()),
                _sublayer("mlp", "ff", _FEED_FORWARD_GATE),
            ),
        )
        first += count


def _sublayer(site: str, module: str, index: int, video: Portion = WHOLE) -> Sublayer:
    """A sublayer that is gated by a vector, (batch, channel), which the first norm puts out."""
    return Sublayer(site, module, gate=norm_gate("norm1", index), video=video, reads=("norm1",))


def _text_grid(clip_length: int, size: Size, settings: Mapping[str, Any]) -> tuple[int, int, int]:
    return 1, 1, clip_length + settings["max_sequence_length"]
