"""What sampling settings may be, as the calls of real pipelines are annotated."""

from __future__ import annotations

import inspect
from typing import Any

import diffusers
import pytest

from cosinterp.models.setting_values import kind_of

LTX2, VACE, LTX = "LTX2Pipeline", "WanVACEPipeline", "LTXPipeline"


def parameter(pipeline: str, name: str) -> inspect.Parameter:
    return inspect.signature(getattr(diffusers, pipeline).__call__).parameters[name]


@pytest.mark.parametrize(
    ("pipeline", "name", "taken", "refused", "said"),
    [
        (LTX2, "stg_scale", [0, 1.5], ["abc", True, [1.0], float("nan"), {}], "a number"),
        (LTX2, "guidance_rescale", [0.7], ["x", float("inf")], "a number"),
        (LTX2, "audio_guidance_scale", [7.0], ["x", [7.0]], "a number"),
        (LTX2, "use_cross_timestep", [True, False], [1, "true"], "true or false"),
        (LTX2, "spatio_temporal_guidance_blocks", [[28], (1, 2), []], [28, ["x"], "28"],
         "a list, each a number"),
        (LTX, "decode_timestep", [0.05, [0.05, 0.1]], ["x", ["x"], [True]],
         "a number or a list, each a number"),
        (LTX, "frame_rate", [25, 23.976], ["fast"], "a number"),
        (VACE, "conditioning_scale", [1.0, [1.0, 0.5]], ["x"], "a number or a list, each a number"),
    ],
)  # fmt: skip
def test_what_the_call_is_annotated_with(
    pipeline: str, name: str, taken: list[Any], refused: list[Any], said: str
) -> None:
    found = parameter(pipeline, name)
    kind = kind_of(found.default, found)
    assert kind is not None
    assert str(kind) == said
    assert all(kind.takes(value) for value in taken)
    assert not any(kind.takes(value) for value in refused)


def test_the_default_tells_what_no_annotation_says() -> None:
    found = {default: str(kind_of(default, None)) for default in (6.0, "fast", False)}
    assert found == {6.0: "a number", "fast": "a text", False: "true or false"}
    assert kind_of(None, None) is None


def test_what_guidance_compares_is_a_number() -> None:
    found = parameter(VACE, "conditioning_scale")
    kind = kind_of(None, found, compared=True)
    assert kind is not None
    assert not kind.takes([1.0])
