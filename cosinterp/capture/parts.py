"""How the parts of one item, such as codes and their factors, lie together in one piece of memory."""

from __future__ import annotations

from collections.abc import Sequence

ALIGNMENT = 16


def aligned(nbytes: int) -> int:
    """``nbytes`` and what is left free behind them, so that the next part begins at a multiple of 16."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def laid_out_bytes(sizes: Sequence[int]) -> int:
    """Bytes that parts of these sizes take together."""
    return sum(map(aligned, sizes))
