"""How fast the videos of a pipeline run."""

from __future__ import annotations

import diffusers
import pytest

from cosinterp.frame_rates import _USUAL, usual_frame_rate


@pytest.mark.parametrize(
    ("pipeline", "name", "rate"),
    [
        ("WanImageToVideoPipeline", "Wan-AI/Wan2.2-I2V-A14B-Diffusers", 16),
        ("WanImageToVideoPipeline", "models/Wan2.2-TI2V-5B", 24),
        ("CogVideoXPipeline", "THUDM/CogVideoX-5b", 8),
        ("CogVideoXImageToVideoPipeline", "THUDM/CogVideoX1.5-5B-I2V", 16),
        ("HunyuanVideo15Pipeline", "a", 24),
        ("MochiPipeline", "genmo/mochi-1-preview", 30),
        ("SomethingNewPipeline", "a", 16),
    ],
)
def test_a_pipeline_has_its_usual_frame_rate(pipeline: str, name: str, rate: float) -> None:
    assert usual_frame_rate({"pipeline": pipeline, "name": name}, {}) == rate


@pytest.mark.parametrize("setting", ["frame_rate", "fps"])
def test_what_the_pipeline_was_told_comes_first(setting: str) -> None:
    model = {"pipeline": "LTXPipeline", "name": "a"}
    assert usual_frame_rate(model, {setting: 30}) == 30
    for nothing in (None, 0, True, "30"):
        assert usual_frame_rate(model, {setting: nothing}) == 24


def test_a_model_that_says_nothing_of_itself_has_one_too() -> None:
    assert usual_frame_rate({}, {}) == 16


@pytest.mark.parametrize("begin", sorted({begin for begin, _, _ in _USUAL}))
def test_every_row_is_of_a_pipeline_that_there_is(begin: str) -> None:
    assert [name for name in dir(diffusers) if name.startswith(begin) and name.endswith("Pipeline")]
