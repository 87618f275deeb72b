"""Shares of a model's depth: where the paper says layers 20-29 of 40, a model of 8 blocks has others."""

from __future__ import annotations

from stores.selection import compact

THIRDS = ("early", "middle", "late")


def thirds(blocks: int) -> dict[str, tuple[int, ...]]:
    """The layers after each block, 1 to ``blocks``, in thirds; empty thirds are left out.

    >>> thirds(8)
    {'early': (1, 2, 3), 'middle': (4, 5), 'late': (6, 7, 8)}
    """
    edges = [0, round(blocks / 3 + 1e-9), round(2 * blocks / 3 - 1e-9), blocks]
    found = {
        name: tuple(range(edges[number] + 1, edges[number + 1] + 1)) for number, name in enumerate(THIRDS)
    }
    return {name: layers for name, layers in found.items() if layers}


def of_forty(blocks: int, first: int, last: int) -> str:
    """What the blocks ``first`` to ``last`` of 40, counted from 0, are in a model of ``blocks`` blocks.

    Layers, so counted from 1: layer k is what leaves block k. At least one.

    >>> of_forty(40, 20, 29)
    '21-30'
    >>> of_forty(8, 20, 29), of_forty(8, 0, 9), of_forty(8, 0, 39)
    ('5-6', '1-2', '1-8')
    """
    low = min(round(first * blocks / 40), blocks - 1)
    high = max(low + 1, round((last + 1) * blocks / 40))
    return compact(range(low + 1, high + 1))
