"""Reading streams from what a block is called with and what it returns."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cosinterp.models.blocks import LIKE_ENTERING, BlockCall, Stream

VIDEO, TEXT = torch.zeros(2, 12, 8), torch.ones(2, 7, 8)


class Block(torch.nn.Module):
    def forward(self, hidden_states: Any, encoder_hidden_states: Any, temb: Any = None) -> Any:
        return hidden_states, encoder_hidden_states


def test_an_argument_is_found_by_position_and_by_name() -> None:
    by_position = BlockCall(Block(), (VIDEO, TEXT), {})
    by_name = BlockCall(Block(), (VIDEO,), {"encoder_hidden_states": TEXT})
    for call in (by_position, by_name):
        assert call.argument("hidden_states") is VIDEO
        assert call.argument("encoder_hidden_states") is TEXT
        assert call.argument("temb") is None


def test_a_forward_of_the_instance_does_not_hide_the_names() -> None:
    """Offloading puts one there that takes anything."""
    block = Block()
    block.forward = lambda *args, **kwargs: None  # type: ignore[method-assign]
    assert BlockCall(block, (VIDEO, TEXT), {}).argument("encoder_hidden_states") is TEXT


@pytest.mark.parametrize(
    ("output", "returned"),
    [
        (None, VIDEO),
        (0, (VIDEO, TEXT)),
        (1, (TEXT, VIDEO)),
        (LIKE_ENTERING, VIDEO),
        (LIKE_ENTERING, (VIDEO, TEXT)),
        (LIKE_ENTERING, (TEXT, VIDEO)),
        (LIKE_ENTERING, (None, VIDEO)),
    ],
)
def test_a_stream_is_taken_and_put_back(output: Any, returned: Any) -> None:
    stream = Stream("resid", 8, "hidden_states", output=output)
    assert stream.leaving(returned, VIDEO[:1]) is VIDEO
    other = torch.full_like(VIDEO, 5)
    put = stream.put(returned, other)
    assert stream.leaving(put, VIDEO) is other
    if isinstance(returned, tuple):
        kept = [part for part in returned if part is not VIDEO]
        assert [part for part in put if part is not other] == kept
