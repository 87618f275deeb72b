"""Kandinsky 5.0 Lite and Pro, from text and from an image.

Each of a block's three sublayers is gated by the timestep, in float32
(`Kandinsky5TransformerDecoderBlock.forward` in diffusers). Latents have their channels last. With sparse
attention (NABLA: the checkpoints of 10 seconds, and Pro) the tokens lie in squares of 8x8. From an image the
first frame is held, and the first four latent frames are normalised before they are decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from diffusers.models.attention_dispatch import AttentionBackendName
from diffusers.models.transformers.transformer_kandinsky import Kandinsky5AttnProcessor
from torch.nn.attention import flex_attention

from cosinterp.models.anatomy import Anatomy, Pinned, nothing_pinned
from cosinterp.models.arguments import at_most, image_for_each_row
from cosinterp.models.blocks import RESID, BlockCall, Stack, Stream, Sublayer
from cosinterp.models.families.shared import known_pipeline
from cosinterp.models.geometry import Geometry, Size, multiples, three
from cosinterp.models.guidance import classifier_free
from cosinterp.models.vae import decode_scaled
from cosinterp.noise_levels import FLOW, check_predicts

_TAKES_IMAGE = {"Kandinsky5T2VPipeline": False, "Kandinsky5I2VPipeline": True}
_GATES = {"self_attn": 2, "cross_attn": 5, "mlp": 8}
_SPARSE = "nabla"
# Rows and columns of tokens that sparse attention takes together.
_SQUARE = 8
# What the pipeline itself refuses to take other multiples than of, and longer texts than.
_MULTIPLE = 16
_LONGEST_TEXT = 1024
# The first latent frames, which are normalised by those that follow them.
_NORMALISED = 4


def describe(pipeline: Any, name: str) -> Anatomy:
    """The anatomy of a Kandinsky 5 pipeline.

    Raises:
        ModelError: a class of pipeline or a scheduler that is not understood.
    """
    image = _TAKES_IMAGE[known_pipeline(pipeline, _TAKES_IMAGE, name)]
    config = pipeline.transformer.config
    sparse = config.attention_type == _SPARSE
    patch, temporal = three(config.patch_size), pipeline.vae_scale_factor_temporal
    tokens = pipeline.vae_scale_factor_spatial * (_SQUARE if sparse else 1)
    return Anatomy(
        family="kandinsky-5",
        stacks=(
            Stack(
                blocks="visual_transformer_blocks",
                count=len(pipeline.transformer.visual_transformer_blocks),
                streams=(Stream(RESID, config.model_dim, "visual_embed"),),
                sublayers=(
                    _sublayer("self_attn", "self_attention"),
                    _sublayer("cross_attn", "cross_attention"),
                    _sublayer("mlp", "feed_forward"),
                ),
            ),
        ),
        geometry=Geometry(
            patch_size=patch,
            latent_channels=config.in_visual_dim,
            spatial_scale=pipeline.vae_scale_factor_spatial,
            temporal_scale=temporal,
            size_multiple=multiples(_MULTIPLE, tokens, patch),
            least_frames=_NORMALISED * temporal + 1 if image else 1,
            token_order=_squares if sparse else None,
        ),
        guidance=classifier_free("sequential"),
        prediction_type=check_predicts(pipeline.scheduler, FLOW, name),
        decode=_decode_normalised if image else decode_scaled,
        # The image is encoded in the dtype of the denoiser.
        vae_in_model_dtype=image,
        image="required" if image else "none",
        image_hint="give a first image" if image else "it is a text-to-video model: leave the image out",
        prepare=_use_flex_attention,
        arguments=image_for_each_row,
        refusal=at_most(max_sequence_length=_LONGEST_TEXT),
        unpack=_unpack,
        pinned=_pinned(config.in_visual_dim) if image else nothing_pinned,
    )


def _sublayer(site: str, module: str) -> Sublayer:
    return Sublayer(site, module, gate=_gate(_GATES[site]), reads=("visual_modulation",))


def _gate(index: int) -> Callable[[BlockCall], torch.Tensor]:
    def gate(call: BlockCall) -> torch.Tensor:
        modulation: torch.Tensor = call.outputs["visual_modulation"]
        return modulation.unsqueeze(1).chunk(9, dim=-1)[index].float()

    return gate


def _squares(grid: tuple[int, int, int]) -> torch.Tensor:
    """Frame by frame, the squares lie row by row, and in each its tokens do."""
    frames, rows, cols = grid
    tokens = torch.arange(frames * rows * cols)
    squares = tokens.view(frames, rows // _SQUARE, _SQUARE, cols // _SQUARE, _SQUARE).transpose(2, 3)
    return squares.flatten().argsort()


def _use_flex_attention(pipeline: Any) -> None:
    """Sparse attention comes with a mask that no other kind of attention takes.

    `set_attention_backend` would change that of every other model, too.
    """
    if pipeline.transformer.config.attention_type != _SPARSE:
        return
    for block in pipeline.transformer.visual_transformer_blocks:
        block.self_attention.set_processor(_SparseProcessor())


class _SparseProcessor(Kandinsky5AttnProcessor):
    """Attention compiled on a GPU: as it is, it keeps that of every token to every other in memory."""

    _attention_backend = AttentionBackendName.FLEX

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        rotary_emb: torch.Tensor | None = None,
        sparse_params: dict[str, Any] | None = None,
    ) -> torch.Tensor:
        given = (attn, hidden_states, encoder_hidden_states, rotary_emb, sparse_params)
        # What is compiled as a part of the denoiser is so already.
        if not hidden_states.is_cuda or torch.compiler.is_compiling():
            return super().__call__(*given)
        plain = flex_attention.flex_attention
        # Where diffusers looks for it, and so do other models of this process.
        flex_attention.flex_attention = _compiled(plain)
        try:
            return super().__call__(*given)
        finally:
            flex_attention.flex_attention = plain


@cache
def _compiled(attention: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(attention)


def _unpack(latents: torch.Tensor, size: Size) -> torch.Tensor:
    """The scheduler sees (batch, frame, row, col, channel)."""
    return latents.permute(0, 4, 1, 2, 3)


def _pinned(channels: int) -> Callable[[Any, Size], Pinned]:
    """The latents that are prepared have the image as their first frame, and the condition behind their own
    channels.
    """

    def pinned(prepared: torch.Tensor, size: Size) -> Pinned:
        return Pinned.first_frame(_unpack(prepared, size)[:, :channels])

    return pinned


def _decode_normalised(pipeline: Any, latents: torch.Tensor, num_frames: int) -> np.ndarray:
    """In the dtype that the pipeline denoises in. All videos of a batch are normalised by one mean and one
    deviation, as by the pipeline.
    """
    channels_last = latents.to(pipeline.transformer.dtype).permute(0, 2, 3, 4, 1)
    normalised = pipeline.normalize_first_frame(channels_last).permute(0, 4, 1, 2, 3)
    return decode_scaled(pipeline, normalised, num_frames)
