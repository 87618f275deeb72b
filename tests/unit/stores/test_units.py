"""Sizes as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.units import size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_960, "100 kB"),
        (999_600, "1.0 MB"),
        (13_753_958_400, "13.8 GB"),
    ],
)
def test_sizes_read(size: int, text: str) -> None:
    assert size_text(size) == text


@given(st.integers(0, 99 * 10**15))
def test_sizes_are_short(size: int) -> None:
    assert len(size_text(size)) <= 7
