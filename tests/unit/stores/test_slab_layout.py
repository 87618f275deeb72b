"""How slabs are divided, and mistakes in announcing what is going to be stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores import SelectionError, SlabLayout, create_store, layout
from stores.dtypes import DTYPES, memory_type
from tests.unit.stores import making_kinds as making
from tests.unit.stores.making_kinds import CHANNELS, GRID, Kind


@given(st.lists(st.integers(1, 400), min_size=1, max_size=4).map(tuple), st.sampled_from(DTYPES))
def test_chunks_divide_a_slab_and_are_as_large_as_they_may_be(shape: tuple[int, ...], dtype: str) -> None:
    slab = SlabLayout(shape, dtype)
    entry = int(np.prod(shape[1:])) * memory_type(dtype).itemsize
    assert slab.group * slab.groups == shape[0]
    assert slab.chunk_bytes == slab.group * entry
    assert slab.slab_bytes == slab.groups * slab.chunk_bytes
    assert slab.group == 1 or slab.chunk_bytes <= layout.MAX_CHUNK
    larger = [n for n in range(slab.group + 1, shape[0] + 1) if shape[0] % n == 0]
    assert all(n * entry > layout.MAX_CHUNK for n in larger)
    assert slab.blocks == -(-slab.chunk_bytes // 65536)
    assert (SlabLayout(shape, dtype, "lz4").blocks, SlabLayout(shape, dtype, "lz4").group) == (1, slab.group)


def test_the_slab_of_a_large_model() -> None:
    slab = SlabLayout((21, 30, 52, 5120), "bf16")
    assert (slab.group, slab.groups, slab.chunk_shape) == (1, 21, (1, 30, 52, 5120))
    assert (slab.chunk_bytes, slab.blocks) == (15_974_400, 244)
    assert SlabLayout((21, 64), "fp8").groups == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), "bf16"), "no axis may be empty"),
        (((3, 0), "bf16"), "no axis may be empty"),
        (((3,), "fp64"), "'fp64' is no dtype of a store; use one of bf16, fp16, fp32, fp8"),
        (((3,), "bf16", "gzip"), "'gzip' is no compression of a store; use one of none, lz4, zstd"),
        (((4,), "bf16", "none", 3), "groups of 3 do not divide a slab of"),
    ],
)
def test_a_slab_that_cannot_be_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SlabLayout(*arguments)


@pytest.mark.parametrize(
    ("site", "reduction", "key"),
    [("resid", "full", "resid"), ("mlp.raw", " Norm ", "mlp.raw@norm"), ("resid", "frames+project:4", None)],
)
def test_a_key_stands_for_a_site_and_a_reduction(site: str, reduction: str, key: str | None) -> None:
    found = layout.site_key(site, reduction)
    assert found == (key or f"{site}@{reduction}")
    assert layout.split_site_key(found) == (site, reduction.strip().lower())


PLACES = making.token_places(2)
PROJECTION = making.projection(8)
ANNOUNCEMENTS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no reduction": ({"reduction": "middle"}, SelectionError, 'unknown reduction "middle"'),
    "too many tokens": (
        {"reduction": "tokens:885", "token_places": making.token_places(884)},
        ValueError,
        "expected 885 places",
    ),
    "no places": ({"reduction": "tokens:2"}, ValueError, "token places are for tokens:K, which needs them"),
    "needless places": ({"token_places": PLACES}, ValueError, "token places are for tokens:K"),
    "too few places": ({"reduction": "tokens:3", "token_places": PLACES}, ValueError, "expected 3 places"),
    "places outside": (
        {"reduction": "tokens:2", "token_places": PLACES + GRID},
        ValueError,
        "a token place is outside the token grid",
    ),
    "a place twice": (
        {"reduction": "tokens:2", "token_places": PLACES[[0, 0]]},
        ValueError,
        "a token place comes twice",
    ),
    "places in halves": (
        {"reduction": "tokens:2", "token_places": PLACES / 2},
        ValueError,
        r"expected 2 places \(frame, row, col\), got float64",
    ),
    "no projection": ({"reduction": "project:8"}, ValueError, "a projection and its seed are for project:K"),
    "no seed": (
        {"reduction": "project:8", "projection": PROJECTION},
        ValueError,
        "a projection and its seed are for project:K",
    ),
    "another projection": (
        {"reduction": "project:4", "projection": PROJECTION, "projection_seed": 0},
        ValueError,
        r"expected a projection of \(40, 4\) in float32, got \(40, 8\)",
    ),
    "a double projection": (
        {"reduction": "project:8", "projection": PROJECTION.astype(float), "projection_seed": 0},
        ValueError,
        "in float32, got .* in float64",
    ),
    "another dtype": ({"dtype": "int8"}, ValueError, "'int8' is no dtype of a store"),
    "another compression": ({"compression": "gzip"}, ValueError, "'gzip' is no compression of a store"),
    "a flat grid": ({"grid": (3, 4)}, ValueError, "no axis may be empty, got"),
    "the same twice": ({"again": True}, ValueError, "resid is announced already"),
}


@pytest.mark.parametrize("mistake", ANNOUNCEMENTS.values(), ids=ANNOUNCEMENTS.keys())
def test_a_mistake_in_announcing_a_site_is_named(
    tmp_path: Path, mistake: tuple[dict[str, Any], type[Exception], str]
) -> None:
    changed, kind, message = mistake
    chosen = {"layers": [0], "steps": [0], "branches": ["cond"], "grid": GRID, "channels": CHANNELS} | changed
    store = create_store(tmp_path / "s", making.settings(Kind()))
    with store.writer("a", 0) as writer:
        writer.set_schedule([1000], [1.0, 0.0])
        if chosen.pop("again", False):
            writer.add_site("resid", **chosen)
        with pytest.raises(kind, match=message):
            writer.add_site("resid", **chosen)


FACTORS: dict[str, tuple[str, Any, str]] = {
    "none for fp8": ("fp8", None, "factors are for fp8, which needs them; it is fp8"),
    "some for bf16": ("bf16", [1.0], "factors are for fp8, which needs them; it is bf16"),
    "too many": ("fp8", [1.0, 2.0], "expected 1 factors, got"),
    "zero": ("fp8", [0.0], "a factor must be above 0 and finite, or NaN"),
    "infinite": ("fp8", [np.inf], "a factor must be above 0 and finite, or NaN"),
}


@pytest.mark.parametrize("mistake", FACTORS.values(), ids=FACTORS.keys())
def test_a_mistake_in_factors_is_named(tmp_path: Path, mistake: tuple[str, Any, str]) -> None:
    dtype, factors, message = mistake
    store = create_store(tmp_path / "s", making.settings(Kind(dtype)))
    with store.writer("a", 0) as writer:
        writer.set_schedule([1000], [1.0, 0.0])
        writer.add_site("resid", [0], [0], ["cond"], GRID, CHANNELS)
        given = None if factors is None else np.asarray(factors, np.float32)
        tokens = np.zeros((*GRID, CHANNELS), memory_type(dtype))
        with pytest.raises(ValueError, match=message):
            writer.write("resid", 0, 0, "cond", tokens, factors=given)
