"""What several families say alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cosinterp.errors import ModelError
from cosinterp.models.blocks import RESID, Stack, Stream, Sublayer

if TYPE_CHECKING:
    import torch

    from cosinterp.models.blocks import BlockCall
    from cosinterp.models.geometry import Size


def known_pipeline(
    pipeline: Any, known: Iterable[str], name: str, why_not: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The class name of a pipeline, which has to be ``known`` for its denoiser.

    ``why_not`` says what others do that cannot be understood. ``name`` is for messages.

    Raises:
        ModelError: it is not known.
    """
    kind = type(pipeline).__name__
    if kind not in known:
        what = f"{why_not[kind]}, which is not understood" if kind in why_not else "is not known"
        raise ModelError(f"{name}: {kind} {what}; known for this transformer: {', '.join(known)}")
    return kind


def text_grid(size: Size, settings: Mapping[str, Any]) -> tuple[int, int, int]:
    """The grid of text that is padded to ``max_sequence_length`` tokens."""
    return 1, 1, settings["max_sequence_length"]


def one_stack(transformer: Any, *sublayers: Sublayer) -> tuple[Stack]:
    """The blocks of a denoiser that has them all in ``transformer_blocks``, and one residual stream."""
    config = transformer.config
    return (
        Stack(
            blocks="transformer_blocks",
            count=len(transformer.transformer_blocks),
            streams=(Stream(RESID, config.num_attention_heads * config.attention_head_dim, "hidden_states"),),
            sublayers=sublayers,
        ),
    )


def norm_gate(norm: str, index: int) -> Callable[[BlockCall], torch.Tensor]:
    """The gate that a norm puts out beside the normalised stream, (batch, channel), for all tokens alike."""

    def gate(call: BlockCall) -> torch.Tensor:
        return call.outputs[norm][index].unsqueeze(1)

    return gate


def table_gate(modulation: str, index: int) -> Callable[[BlockCall], torch.Tensor]:
    """One of the six vectors of a block's own table and the argument ``modulation``: (batch, 1, channel)."""

    def gate(call: BlockCall) -> torch.Tensor:
        given = call.argument(modulation)
        table: torch.Tensor = call.block.scale_shift_table  # type: ignore[assignment]
        return table[index] + given.reshape(given.shape[0], 6, -1)[:, index : index + 1]

    return gate
