"""What a run takes, computed beforehand."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cosinterp.capture.conversion import quantised
from cosinterp.capture.sink import RingSinks
from cosinterp.errors import SelectionError
from cosinterp.planning.estimate import (
    LATENTS,
    OTHER,
    VIDEO,
    run_parts,
    slab_layout,
    total_bytes,
    waiting_items,
)
from stores.units import size_text
from tests.unit.planning.making import SMALL, WAN_14B, plan_of

TOKENS = 21 * 30 * 52
SLABS = 41 * 20 * 2


@pytest.mark.parametrize(
    ("reduction", "dtype", "slab"),
    [
        ("full", "bf16", TOKENS * 5120 * 2),
        ("full", "fp32", TOKENS * 5120 * 4),
        ("full", "fp8", TOKENS * 5120),
        ("frames", "bf16", 21 * 5120 * 2),
        ("mean", "bf16", 5120 * 2),
        ("norm", "bf16", TOKENS * 2),
        ("tokens:100", "fp16", 100 * 5120 * 2),
        ("project:64", "bf16", TOKENS * 64 * 2),
        ("tokens:100+norm", "fp32", 100 * 4),
        ("frames+project:64", "fp8", 21 * 64),
    ],
)
def test_a_slab_of_each_reduction_counts_what_is_left_of_it(reduction: str, dtype: str, slab: int) -> None:
    plan = plan_of(reductions={"resid": (reduction,)}, dtype=dtype)
    key = "resid" if reduction == "full" else f"resid@{reduction}"
    size = run_parts(plan, WAN_14B)[key]
    # Beside the bytes themselves, checksums and HDF5's index: little, unless a slab is tiny.
    assert SLABS * slab < size < SLABS * (slab * 1.001 + 10_000)
    # With it waits, for fp8, a factor for each of at most 21 chunks.
    factors = waiting_items(plan, WAN_14B)[f"layer of {key}"] - slab
    assert (4 <= factors < 4 * 21 + 16) if dtype == "fp8" else factors == 0


def test_an_item_fits_a_ring_of_the_memory_that_is_counted_for_it() -> None:
    shape = replace(SMALL, channels=40)
    plan = plan_of(shape, dtype="fp8")
    counted = waiting_items(plan, shape)["layer of resid"]
    tokens = torch.randn(1, *shape.grid, shape.channels)
    codes, factors = quantised(tokens, slab_layout("resid", "full", shape, plan).group)
    assert counted > codes.numel()
    with RingSinks(torch.device("cpu"), host_memory=counted, threads=1, staging=1) as sinks:
        sinks.sink().put(lambda *_: None, (codes[0], "uint8"), (factors[0], "fp32"))


def test_a_stream_of_other_tokens_takes_what_they_take() -> None:
    shape = replace(WAN_14B, streams=(("text", (1, 1, 226), 1024),))
    plan = plan_of(shape, sites=("resid", "text"), reductions={"resid": ("full",), "text": ("full",)})
    assert slab_layout("text", "full", shape, plan).slab_bytes == 226 * 1024 * 2
    assert slab_layout("resid", "full", shape, plan).slab_bytes == TOKENS * 5120 * 2


def test_all_layers_of_a_14b_model_take_what_the_documentation_says() -> None:
    parts = run_parts(plan_of(), WAN_14B)
    assert size_text(parts["resid"]) == "550 GB"
    assert list(parts) == ["resid", LATENTS, VIDEO, OTHER]


def test_every_reduction_of_every_site_is_listed_and_counts() -> None:
    plan = plan_of(
        SMALL, sites=("resid", "mlp"), num_layers=3, reductions={"resid": ("norm", "full", "tokens:5")}
    )
    parts = run_parts(plan, SMALL)
    assert list(parts) == ["resid@norm", "resid", "resid@tokens:5", "mlp", LATENTS, VIDEO, OTHER]
    assert parts["resid"] == parts["mlp"] * 4 // 3
    assert plan.run_bytes(plan.samples[0]) == sum(parts.values())


def test_a_video_counts_only_if_it_is_kept() -> None:
    with_video, without = plan_of(SMALL), plan_of(SMALL, save_video=False)
    assert VIDEO not in run_parts(without, SMALL)
    assert "video" not in waiting_items(without, SMALL)
    assert run_parts(with_video, SMALL)[VIDEO] >= waiting_items(with_video, SMALL)["video"] == 5 * 32 * 32 * 3


def test_the_condition_and_the_random_choices_count() -> None:
    plan = plan_of(SMALL, reductions={"resid": ("norm", "mean")})
    plain = run_parts(plan, SMALL)[OTHER]
    assert run_parts(plan, replace(SMALL, condition=60_000))[OTHER] == plain + 60_000
    random = replace(plan, reductions={"resid": ("tokens:5", "project:8")})
    assert run_parts(random, SMALL)[OTHER] == plain + 5 * 3 * 8 + 24 * 8 * 4


def test_more_than_there_is_cannot_be_kept() -> None:
    with pytest.raises(SelectionError, match="has 48 tokens only"):
        run_parts(plan_of(SMALL, reductions={"resid": ("tokens:49",)}), SMALL)


shapes = st.builds(
    lambda grid, channels, latent, video, steps: replace(
        SMALL, grid=grid, channels=channels, latent=latent, video=(*video, 3), num_steps=steps
    ),
    grid=st.tuples(*[st.integers(1, 40)] * 3),
    channels=st.integers(1, 6000),
    latent=st.tuples(*[st.integers(1, 60)] * 4),
    video=st.tuples(*[st.integers(1, 200)] * 3),
    steps=st.integers(1, 50),
)


@given(shape=shapes, dtype=st.sampled_from(["bf16", "fp16", "fp32", "fp8"]), runs=st.integers(0, 9))
def test_no_run_is_smaller_than_its_numbers(shape, dtype: str, runs: int) -> None:
    plan = plan_of(shape, num_layers=2, dtype=dtype, save_video=True)
    item = {"bf16": 2, "fp16": 2, "fp32": 4, "fp8": 1}[dtype]
    numbers = 3 * shape.num_steps * 2 * prod(shape.grid) * shape.channels * item
    latents = (2 * shape.num_steps + 1) * prod(shape.latent) * 4
    assert total_bytes(plan, {shape: runs}) >= runs * (numbers + latents + prod(shape.video))
    assert total_bytes(plan, {shape: runs}) == runs * total_bytes(plan, {shape: 1})
