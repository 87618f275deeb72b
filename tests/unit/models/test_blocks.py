"""Reading and writing streams and sublayers in what blocks are called with and what modules put out."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cosinterp.errors import InterventionError
from cosinterp.models.blocks import LIKE_ENTERING, BlockCall, Stream, Sublayer
from cosinterp.models.portions import Element, Joined, OnGrid, Portion, Whole

VIDEO, TEXT = torch.zeros(2, 12, 8), torch.ones(2, 7, 8)
BOTH = torch.cat([TEXT, VIDEO], dim=1)


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
        (1, [TEXT, VIDEO]),
    ],
)
def test_a_stream_is_taken_and_put_back(output: Any, returned: Any) -> None:
    stream = Stream("resid", 8, "hidden_states", output=output)
    assert stream.leaving(returned, VIDEO[:1]) is VIDEO
    other = torch.full_like(VIDEO, 5)
    put = stream.put(returned, other)
    assert stream.leaving(put, VIDEO) is other
    assert stream.leaving(returned, VIDEO) is VIDEO
    if isinstance(returned, tuple | list):
        assert type(put) is type(returned)
        kept = [part for part in returned if part is not VIDEO]
        assert [part for part in put if part is not other] == kept


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((VIDEO, TEXT), {}), ((VIDEO,), {"encoder_hidden_states": TEXT}), ((), {"hidden_states": VIDEO})],
)
def test_a_stream_enters_as_it_was_given(args: tuple, kwargs: dict) -> None:
    stream, other = Stream("resid", 8, "hidden_states"), torch.full_like(VIDEO, 5)
    entered = stream.enter(BlockCall(Block(), args, kwargs), other)
    assert len(entered[0]) == len(args)
    assert entered[1].keys() == kwargs.keys()
    call = BlockCall(Block(), *entered)
    assert stream.entering(call) is other
    before = BlockCall(Block(), args, kwargs)
    assert stream.entering(before) is VIDEO
    assert call.argument("encoder_hidden_states") is before.argument("encoder_hidden_states")


def test_a_stream_by_keyword_beside_others_by_position() -> None:
    call = BlockCall(Block(), (VIDEO,), {"encoder_hidden_states": TEXT})
    args, kwargs = Stream("text", 8, "encoder_hidden_states").enter(call, TEXT + 1)
    assert args == (VIDEO,)
    assert torch.equal(kwargs["encoder_hidden_states"], TEXT + 1)


def test_what_is_put_gets_the_dtype_of_what_was_there() -> None:
    stream, other = Stream("resid", 8, "hidden_states"), torch.full_like(VIDEO, 5, dtype=torch.float64)
    assert stream.put(VIDEO, other).dtype == torch.float32
    (entered,), _ = stream.enter(BlockCall(Block(), (VIDEO,), {}), other)
    assert entered.dtype == torch.float32


@pytest.mark.parametrize("shape", [(2, 11, 8), (1, 12, 8), (1, 1, 8)])
def test_tokens_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    """Which a broadcast would hide."""
    other, stream = torch.zeros(shape), Stream("resid", 8, "hidden_states", output=0)
    call = BlockCall(Block(), (VIDEO, TEXT), {})
    for write in (
        lambda: stream.put((VIDEO, TEXT), other),
        lambda: stream.enter(call, other),
        lambda: Sublayer("mlp", "ff").put(VIDEO, other, call),
        lambda: Sublayer("mlp", "ff", video=Joined(text_first=True)).put(BOTH, other, call),
    ):
        with pytest.raises(ValueError, match=r"cannot take the place of \(2, 12, 8\)"):
            write()


@pytest.mark.parametrize(
    ("portion", "output", "written"),
    [
        (Whole(), VIDEO, lambda new: new),
        (Element(0), (VIDEO, TEXT), lambda new: (new, TEXT)),
        (Element(1), [TEXT, VIDEO], lambda new: [TEXT, new]),
        (Element(0), VIDEO, lambda new: new),
        (Joined(text_first=True), BOTH, lambda new: torch.cat([TEXT, new], dim=1)),
        (Joined(text_first=False), BOTH.flip(1), lambda new: torch.cat([new, TEXT], dim=1)),
        (OnGrid(), VIDEO.view(2, 2, 3, 2, 8), lambda new: new.view(2, 2, 3, 2, 8)),
    ],
)
def test_the_videos_tokens_are_taken_and_put_back(portion: Portion, output: Any, written: Any) -> None:
    part, call = Sublayer("mlp", "ff", video=portion), BlockCall(Block(), (VIDEO, TEXT), {})
    new = torch.arange(VIDEO.numel()).view(VIDEO.shape)
    put = part.put(output, new, call)
    torch.testing.assert_close(put, written(new.float()), rtol=0, atol=0)
    assert torch.equal(part.take(put, call), new)
    assert torch.equal(part.take(output, call), VIDEO)


GATE = torch.tensor([0.5, -3.0, 1e-3, 0.0]).view(1, 1, 4)
RAW_TOKENS = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
CALL = BlockCall(Block(), (), {})


def gated(gate: torch.Tensor = GATE) -> Sublayer:
    return Sublayer("self_attn", "attn1", gate=lambda call: gate)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_what_has_to_come_out_for_another_tensor_to_be_added(dtype: torch.dtype) -> None:
    raw, gate = RAW_TOKENS.to(dtype), GATE.to(dtype)
    new = raw * gate
    new[:, ::2, :3] += torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(1)).to(dtype)
    found = gated(gate).raw_for(new, raw, CALL)
    assert found.dtype == dtype
    rounding = torch.finfo(dtype).eps
    torch.testing.assert_close(found * gate, new, rtol=2 * rounding, atol=0)
    assert torch.equal(found[:, 1::2], raw[:, 1::2])
    assert torch.equal(found[..., 3], raw[..., 3])


def test_what_is_added_already_leaves_every_bit() -> None:
    """Also where the block multiplies in float32 what is stored in 16 bits, and where nothing is a number."""
    raw, gate = RAW_TOKENS.bfloat16(), torch.full((2, 1, 4), 1 / 3)
    raw[0, 0, 0] = torch.nan
    found = gated(gate).raw_for(raw * gate, raw, CALL)
    torch.testing.assert_close(found, raw, rtol=0, atol=0, equal_nan=True)


def test_nothing_is_added_exactly() -> None:
    found = gated().raw_for(torch.zeros_like(RAW_TOKENS), RAW_TOKENS, CALL)
    assert not (found * GATE).any()


def test_a_sublayer_without_a_gate_puts_out_what_is_added() -> None:
    assert torch.equal(Sublayer("mlp", "ff").raw_for(RAW_TOKENS + 1, RAW_TOKENS, CALL), RAW_TOKENS + 1)


@pytest.mark.parametrize(
    ("dtype", "closed"), [(torch.float32, 0.0), (torch.float32, 1e-44), (torch.float16, 1e-7)]
)
def test_a_gate_that_is_closed_is_named(dtype: torch.dtype, closed: float) -> None:
    gate = torch.tensor([1.0, 1.0, 1.0, closed], dtype=dtype)
    raw = RAW_TOKENS.to(dtype)
    new = raw * gate
    new[0, :2] += 1
    with pytest.raises(
        InterventionError, match=r"self_attn cannot be changed at 2 of 40 entries: .* attn1 puts .* resid"
    ):
        gated(gate).raw_for(new, raw, CALL)


def test_what_is_no_number_is_not_the_gates_fault() -> None:
    new = (RAW_TOKENS * GATE).clone()
    new[0, 0, 0] = torch.nan
    assert gated().raw_for(new, RAW_TOKENS, CALL).isnan().sum() == 1
