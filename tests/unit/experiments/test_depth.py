"""Shares of a model's depth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosinterp.experiments.depth import of_forty, thirds
from stores.selection import select


@given(st.integers(1, 100))
def test_thirds_hold_each_layer_after_a_block_once(blocks: int) -> None:
    found = [layer for layers in thirds(blocks).values() for layer in layers]
    assert found == list(range(1, blocks + 1))


@given(st.integers(3, 100))
def test_thirds_are_all_there_and_alike_in_size(blocks: int) -> None:
    sizes = [len(layers) for layers in thirds(blocks).values()]
    assert len(sizes) == 3
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(0, 39), st.integers(0, 39))
def test_of_forty_blocks_they_are_the_layers_that_leave_them(first: int, last: int) -> None:
    first, last = sorted((first, last))
    assert select(of_forty(40, first, last), range(41), "layers", "it") == tuple(range(first + 1, last + 2))


@given(st.integers(1, 100), st.integers(0, 39), st.integers(0, 39))
def test_of_any_model_they_are_layers_that_it_has(blocks: int, first: int, last: int) -> None:
    first, last = sorted((first, last))
    found = select(of_forty(blocks, first, last), range(blocks + 1), "layers", "it")
    assert found
    assert found[0] >= 1


@pytest.mark.parametrize(("ends", "layers"), [((20, 29), "5-6"), ((0, 9), "1-2"), ((0, 39), "1-8")])
def test_of_the_bundled_model(ends: tuple[int, int], layers: str) -> None:
    assert of_forty(8, *ends) == layers
