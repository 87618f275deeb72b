"""What a gate of one of six modulation vectors computes: that one, as a block does, and not the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cosinterp.models.blocks import BlockCall
from cosinterp.models.families import sana_video, shared, wan

ROWS, TOKENS, CHANNELS, INDEX = 2, 5, 8, 5
Gate = Callable[[BlockCall], torch.Tensor]


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that is not a view of another."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if isinstance(output, torch.Tensor) and not func.is_view:
            self.numel = max(self.numel, output.numel())
        return output


def _call(argument: str, given: torch.Tensor, table: torch.Tensor) -> BlockCall:
    block = torch.nn.Module()
    block.scale_shift_table = torch.nn.Parameter(table)
    return BlockCall(block=block, args=(), kwargs={argument: given})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("gate", "argument", "given", "leading", "number"),
    [
        (wan._feed_forward_gate, "temb", (ROWS, TOKENS, 6, CHANNELS), 1, torch.float32),
        (wan._feed_forward_gate, "temb", (ROWS, 6, CHANNELS), 1, torch.float32),
        (sana_video._gate(INDEX), "timestep", (ROWS, TOKENS, 6 * CHANNELS), 0, None),
        (shared.table_gate("temb", INDEX), "temb", (ROWS, 6 * CHANNELS), 0, None),
    ],
    ids=["Wan, for each token", "Wan", "Sana-Video", "a table"],
)
def test_a_gate_is_one_of_six_vectors_and_makes_no_more(
    gate: Gate,
    argument: str,
    given: tuple[int, ...],
    leading: int,
    number: torch.dtype | None,
    dtype: torch.dtype,
) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(given, generator=generator).to(dtype)
    table = torch.randn((1,) * leading + (6, CHANNELS), generator=generator).to(dtype)
    call = _call(argument, values, table)
    with Largest() as largest, torch.no_grad():
        found = gate(call)
    vectors = values.reshape(ROWS, -1, 6, CHANNELS).to(number or dtype) + table.view(6, CHANNELS)
    assert torch.equal(found, vectors[:, :, INDEX])
    assert found.dtype == vectors.dtype
    assert largest.numel == found.numel()
