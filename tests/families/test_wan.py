"""Wan with one of the two experts alone, as its pipelines take it to save memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from diffusers import FlowMatchEulerDiscreteScheduler

import cosinterp as ci
from cosinterp.errors import ModelError
from cosinterp.models.families import anatomy_of
from cosinterp.verification import verify
from tests.families import wan_vace
from tests.tiny.wan import KINDS, pipeline


def _without(missing: str, boundary: float | None, kind: str = "wan2.2-t2v-a14b") -> Any:
    both = pipeline(KINDS[kind])
    both.register_modules(**{missing: None})
    both.register_to_config(boundary_ratio=boundary)
    return both


@pytest.mark.parametrize("kind", ["wan2.2-t2v-a14b", "wan2.2-i2v-a14b"])
@pytest.mark.parametrize(("missing", "boundary"), [("transformer", 1.0), ("transformer_2", 0.0)])
def test_one_expert_serves_all_steps(tmp_path: Path, kind: str, missing: str, boundary: float) -> None:
    _without(missing, boundary, kind).save_pretrained(tmp_path)
    model = ci.load(tmp_path, device="cpu", dtype="fp32")
    assert missing not in model.anatomy.experts
    assert len(model.anatomy.experts) == 1
    assert [check for check in verify(model) if not check.passed] == []


@pytest.mark.parametrize(
    ("missing", "boundary"), [("transformer", 0.9), ("transformer", None), ("transformer_2", 0.9)]
)
def test_an_expert_that_is_missing_where_there_are_steps_for_it_is_refused(
    missing: str, boundary: float | None
) -> None:
    with pytest.raises(ModelError, match=f"here: it has no {missing}, which serves some of its steps"):
        anatomy_of(_without(missing, boundary), "here")


def test_a_first_timestep_at_the_boundary_is_one_of_the_missing_expert() -> None:
    alone = _without("transformer", 1.0)
    alone.scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    with pytest.raises(ModelError, match="has no transformer, which serves some of its steps"):
        anatomy_of(alone, "here")


def test_wan_vace_too() -> None:
    alone = wan_vace.pipeline(2)
    alone.register_modules(transformer=None)
    with pytest.raises(ModelError, match="has no transformer, which serves some of its steps"):
        anatomy_of(alone, "here")
    alone.register_to_config(boundary_ratio=1.0)
    assert anatomy_of(alone, "here").experts == ("transformer_2",)
