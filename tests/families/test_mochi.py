"""What Mochi refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import cosinterp as ci
from cosinterp.errors import ModelError, SampleError, TraceError
from cosinterp.models.families import anatomy_of
from tests.families.mochi import ROWS

ROW = ROWS[0]


@pytest.fixture(scope="module")
def mochi(tmp_path_factory: pytest.TempPathFactory) -> ci.Model:
    folder = tmp_path_factory.mktemp("mochi")
    with torch.random.fork_rng(devices=[]):
        ROW.build().save_pretrained(folder)
    return ci.load(folder, device="cpu", dtype="fp32")


def test_a_schedule_of_one_step_is_refused_before_the_pipeline_divides_by_its_half(mochi: ci.Model) -> None:
    with pytest.raises(TraceError, match="num_steps has to be 2 or more"):
        mochi.sampling(ROW.sample(), {"num_steps": 1})
    assert mochi.sampling(ROW.sample(), {"num_steps": 2})["num_steps"] == 2


def test_sizes_that_make_half_a_token_are_refused(mochi: ci.Model) -> None:
    with pytest.raises(SampleError, match="multiples of 16 and 16"):
        mochi.sampling(replace(ROW.sample(), height=40), {})


def test_another_pipeline_of_the_denoiser_is_refused(mochi: ci.Model) -> None:
    other = type("MochiEditPipeline", (type(mochi.pipeline),), {})
    pipeline = other(**mochi.pipeline.components)
    with pytest.raises(ModelError, match="MochiEditPipeline is not known; known for .*: MochiPipeline"):
        anatomy_of(pipeline, "edit")


def test_the_size_is_the_pipelines_own_where_none_is_given(mochi: ci.Model) -> None:
    defaults = mochi.sampling_defaults
    assert [defaults[name] for name in ("height", "width", "num_frames")] == [480, 848, 19]
