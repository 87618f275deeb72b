"""HunyuanVideo-1.5: sizes that follow from the image, and guiders."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import HunyuanVideo15Pipeline
from diffusers.guiders.classifier_free_guidance import ClassifierFreeGuidance
from diffusers.guiders.skip_layer_guidance import SkipLayerGuidance
from PIL import Image

import cosinterp as ci
from cosinterp.errors import ModelError, SampleError, TraceError
from cosinterp.models.families import anatomy_of
from cosinterp.models.geometry import Size
from cosinterp.models.probe import probe_sample
from tests.families.hunyuan_video15 import ROWS, short_texts
from tests.families.row import FamilyRow

FROM_TEXT, FROM_IMAGE = ROWS


@pytest.fixture(scope="module", autouse=True)
def few_tokens() -> Iterator[None]:
    with short_texts():
        yield


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[FamilyRow], ci.Model]:
    models: dict[str, ci.Model] = {}

    def load(row: FamilyRow) -> ci.Model:
        if row.name not in models:
            folder = tmp_path_factory.mktemp("hunyuan15")
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                row.build().save_pretrained(folder)
            models[row.name] = ci.load(folder, device="cpu", dtype="fp32")
        return models[row.name]

    return load


def _guided_by(guider: Any) -> HunyuanVideo15Pipeline:
    return HunyuanVideo15Pipeline(**{**FROM_TEXT.build().components, "guider": guider})


@pytest.mark.parametrize(
    ("image", "made"), [((120, 80), (8, 12)), ((40, 70), (12, 8)), ((90, 90), (8, 8)), ((400, 100), (4, 16))]
)
def test_the_size_is_the_one_that_the_pipeline_makes_of_the_image(
    image: tuple[int, int], made: tuple[int, int], loaded: Callable[[FamilyRow], ci.Model]
) -> None:
    model = loaded(FROM_IMAGE)
    sample = ci.Sample(name="picture", prompt="go", image=Image.new("RGB", image))
    settings = model.sampling(sample, {"num_frames": 5})
    assert (settings["height"], settings["width"]) == made
    assert model.generate(sample, seed=0, num_steps=1, num_frames=5).shape == (5, *made, 3)


def test_a_size_that_the_pipeline_would_not_make_is_refused(loaded: Callable[[FamilyRow], ci.Model]) -> None:
    model = loaded(FROM_IMAGE)
    sample = FROM_IMAGE.sample()
    with pytest.raises(SampleError, match="makes 8x12 pixels of its image, not a height of 16"):
        model.sampling(replace(sample, height=None), {"height": 16})
    with pytest.raises(SampleError, match="not a width of 8"):
        model.sampling(replace(sample, width=8), {})


def test_the_sample_of_verify_leaves_the_size_to_the_image(loaded: Callable[[FamilyRow], ci.Model]) -> None:
    model = loaded(FROM_IMAGE)
    settings = model.sampling(probe_sample(model), {})
    assert (settings["height"], settings["width"]) == (8, 8)


def test_from_text_the_size_is_the_pipelines_own(loaded: Callable[[FamilyRow], ci.Model]) -> None:
    defaults = loaded(FROM_TEXT).sampling_defaults
    made = loaded(FROM_TEXT).pipeline(prompt="go", num_frames=5, num_inference_steps=1).frames
    assert made.shape[2:4] == (defaults["height"], defaults["width"])
    assert defaults["num_frames"] == 121


def test_the_guidance_scale_is_the_guiders(loaded: Callable[[FamilyRow], ci.Model]) -> None:
    model = loaded(FROM_TEXT)
    assert model.sampling_defaults["guidance_scale"] == 6.0
    sample = FROM_TEXT.sample()
    made = model.generate(sample, seed=0, num_steps=2, guidance_scale=30.0, negative_prompt="blue")
    plain = _plain_video(model, 30.0)
    assert np.array_equal(made, plain)
    assert not np.array_equal(made, _plain_video(model, 3.0))


def _plain_video(model: ci.Model, scale: float) -> np.ndarray:
    model.pipeline.guider = model.pipeline.guider.new(guidance_scale=scale)
    video = model.pipeline(
        prompt=FROM_TEXT.sample().prompt,
        negative_prompt="blue",
        generator=torch.Generator("cpu").manual_seed(0),
        num_inference_steps=2,
        output_type="np",
        **FROM_TEXT.size,
    ).frames[0]
    return (video * 255).round().astype(np.uint8)


def test_scales_below_1_which_the_guider_takes_for_guidance_are_refused(
    loaded: Callable[[FamilyRow], ci.Model],
) -> None:
    with pytest.raises(TraceError, match="guidance_scale has to be 1, which is no guidance, or more"):
        loaded(FROM_TEXT).sampling(FROM_TEXT.sample(), {"guidance_scale": 0.5})


def test_a_distilled_model_has_its_guiders_scale() -> None:
    anatomy = anatomy_of(_guided_by(ClassifierFreeGuidance(guidance_scale=1.0)), "distilled")
    assert anatomy.guidance.computed(anatomy.settings) == ("cond",)


def test_a_guider_that_is_switched_off_leaves_one_branch_and_no_scale() -> None:
    anatomy = anatomy_of(_guided_by(ClassifierFreeGuidance(enabled=False)), "unguided")
    assert (anatomy.guidance.kind, anatomy.guidance.names) == ("none", ("cond",))
    assert "guidance_scale" not in anatomy.settings


@pytest.mark.parametrize(
    ("guider", "message"),
    [
        (lambda: ClassifierFreeGuidance(stop=0.5), "leaves steps out"),
        (lambda: ClassifierFreeGuidance(use_original_formulation=True), "without use_original_formulation"),
        (
            lambda: SkipLayerGuidance(skip_layer_guidance_layers=[1]),
            r"its guider \(SkipLayerGuidance\) is not known",
        ),
    ],
)
def test_guiders_that_are_not_understood_are_refused(guider: Callable[[], Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        anatomy_of(_guided_by(guider()), "odd")


def test_the_text_stream_has_as_many_tokens_as_the_pipeline_says() -> None:
    short = FROM_TEXT.build()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(HunyuanVideo15Pipeline, "__init__", inspect.unwrap(HunyuanVideo15Pipeline.__init__))
        whole = FROM_TEXT.build()
    size = Size(FROM_TEXT.size["height"], FROM_TEXT.size["width"], FROM_TEXT.size["num_frames"])
    found = [anatomy_of(pipeline, "tokens").stream_grid("text", size, {}) for pipeline in (short, whole)]
    assert found == [FROM_TEXT.grids["text"], (1, 1, 1000 + 256 + 729)]
