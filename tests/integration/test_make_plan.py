"""Choices resolved against a model, before anything is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cosinterp.errors import SelectionError, TraceError, UserError
from cosinterp.models.model import Model
from cosinterp.planning.plan import TracePlan, make_plan
from cosinterp.samples import Sample
from tests.tiny import sample_for

KIND = "wan2.1-t2v"
SLAB = 3 * 4 * 4 * 24 * 4
LATENT = 4 * 3 * 8 * 8 * 4
VIDEO = 5 * 32 * 32 * 3

Plan = Callable[..., TracePlan]


@pytest.fixture
def plan(tiny_model: Callable[..., Model]) -> Plan:
    def make(*samples: Sample, **choices: Any) -> TracePlan:
        defaults: dict[str, Any] = {
            "seeds": "0",
            "layers": "all",
            "sites": "resid",
            "save_steps": "all",
            "branches": "all",
            "dtype": "auto",
            "batch": 1,
            "save_video": True,
            "host_memory": 2**30,
            "sampling": {"num_steps": 4},
        }
        return make_plan(tiny_model(KIND), samples or (sample_for(KIND),), **{**defaults, **choices})

    return make


def test_nothing_is_reduced_unless_asked_for(plan: Plan) -> None:
    made = plan(sites="resid,mlp")
    assert made.reductions == {"resid": ("full",), "mlp": ("full",)}
    assert (made.reduce_seed, made.compression, made.writers, made.dtype) == (0, "none", None, "fp32")
    capture = made.settings.capture
    assert capture["reductions"] == {"resid": ["full"], "mlp": ["full"]}
    assert capture["reduction_seed"] == 0
    assert capture["compression"] == "none"
    assert "reduction" not in capture


def test_reductions_keep_the_order_in_which_they_are_asked_for(plan: Plan) -> None:
    made = plan(sites="mlp,resid", reduce=["resid=norm", "resid=project:08", "mean"], reduce_seed=9)
    assert made.reductions == {"resid": ("norm", "project:8"), "mlp": ("mean",)}
    assert list(made.keys) == ["resid@norm", "resid@project:8", "mlp@mean"]
    assert made.settings.capture["reduction_seed"] == made.reduce_seed == 9


def test_stores_with_other_reductions_differ_in_their_settings(plan: Plan) -> None:
    one, other = plan(reduce="norm"), plan(reduce=["norm", "mean"], compression="lz4", reduce_seed=1)
    assert one.settings.differences(other.settings) == [
        "capture.reductions.resid: norm here, norm,mean asked",
        "capture.reduction_seed: 0 here, 1 asked",
        "capture.compression: none here, lz4 asked",
    ]


def test_a_sample_that_has_too_few_tokens_is_named(plan: Plan) -> None:
    large = replace(sample_for(KIND), name="large", height=64, width=64)
    small = replace(sample_for(KIND), name="small")
    assert plan(large, small, reduce="tokens:48").reductions == {"resid": ("tokens:48",)}
    with pytest.raises(
        SelectionError, match="sample small, site resid: reduction tokens:49: .* 48 tokens only"
    ):
        plan(large, small, reduce="tokens:49")


def test_samples_of_several_sizes_are_counted_each_by_its_own(plan: Plan) -> None:
    large = replace(sample_for(KIND), name="large", height=64, width=64)
    small = replace(sample_for(KIND), name="small")
    made = plan(large, small, seeds="0-2")
    sizes = [made.run_bytes(planned) for planned in made.samples]
    assert made.bytes_of(made.runs()) == 3 * sum(sizes)
    assert made.bytes_of([("large", 0), ("small", 1), ("small", 2)]) == sizes[0] + 2 * sizes[1]


@pytest.mark.parametrize(
    ("choices", "needed", "what"),
    [
        ({"save_video": False}, SLAB, "layer of resid"),
        ({"save_video": False, "dtype": "fp8", "reduce": "full"}, LATENT, "latent"),
        ({"save_video": False, "reduce": "norm"}, LATENT, "latent"),
        ({"save_video": False, "sites": "all", "reduce": "norm"}, LATENT, "latent"),
        ({"save_video": False, "reduce": ["norm", "full"]}, SLAB, "layer of resid"),
        ({}, VIDEO, "video"),
    ],
    ids=str,
)
def test_host_memory_has_to_hold_the_largest_thing_that_waits(
    choices: dict[str, Any], needed: int, what: str, plan: Plan
) -> None:
    plan(host_memory=needed, **choices)
    with pytest.raises(TraceError, match=f"does not hold one {what} .* give at least 0.01 GiB"):
        plan(host_memory=needed - 1, **choices)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"writers": 0}, "writers has to be 1 or more, not 0"),
        ({"reduce_seed": -1}, "reduce_seed has to be a whole number"),
        ({"reduce_seed": 2**63}, "reduce_seed has to be a whole number"),
        ({"compression": "gzip"}, 'unknown compression "gzip"; use none, lz4, zstd'),
        ({"dtype": "fp4"}, 'unknown store dtype "fp4"; use auto, bf16, fp16, fp32, fp8'),
        ({"reduce": {"mlp": "norm"}}, "mlp is not captured; add it to the sites resid"),
        (
            {"reduce": {"resid": "project:25"}},
            "site resid: reduction project:25: a token has 24 channels only",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_one_line(choices: dict[str, Any], message: str, plan: Plan) -> None:
    with pytest.raises(UserError) as raised:
        plan(**choices)
    assert message in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
