"""What HunyuanVideo refuses, and where its image-to-video pipeline is given what it would compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    HunyuanVideoFramepackPipeline,
    HunyuanVideoFramepackTransformer3DModel,
    HunyuanVideoImageToVideoPipeline,
    HunyuanVideoPipeline,
)

import cosinterp as ci
from cosinterp.errors import ModelError, SampleError, TraceError
from cosinterp.models.families import anatomy_of
from tests.families.hunyuan_video import ROWS
from tests.families.row import FamilyRow

_BY_NAME = {row.name: row for row in ROWS}
CONCAT = _BY_NAME["HunyuanVideo I2V (latent concat)"]
REPLACE = _BY_NAME["HunyuanVideo I2V (token replace)"]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[FamilyRow], ci.Model]:
    def load(row: FamilyRow) -> ci.Model:
        folder: Path = tmp_path_factory.mktemp("hunyuan")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            row.build().save_pretrained(folder)
        return ci.load(folder, device="cpu", dtype="fp32")

    return load


def _plainly(model: ci.Model, row: FamilyRow, **settings: Any) -> np.ndarray:
    """The video of the pipeline's call as its documentation has it."""
    return model.pipeline(
        image=row.sample().image,
        prompt=row.sample().prompt,
        negative_prompt="blue",
        generator=torch.Generator("cpu").manual_seed(0),
        num_inference_steps=2,
        output_type="np",
        **row.size,
        **row.settings,
        **settings,
    ).frames[0]


@pytest.mark.parametrize(
    ("row", "scale"),
    [(CONCAT, 1.0), (CONCAT, 3.0), (REPLACE, 1.0)],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_call_from_an_image_makes_the_video_of_the_plain_pipeline(
    row: FamilyRow, scale: float, loaded: Callable[[FamilyRow], ci.Model]
) -> None:
    model = loaded(row)
    own = {**row.settings, "true_cfg_scale": scale, "negative_prompt": "blue"}
    made = model.generate(row.sample(), seed=0, num_steps=2, **own)
    expected = (_plainly(model, row, true_cfg_scale=scale) * 255).round().astype(np.uint8)
    assert np.array_equal(made, expected)


def test_both_branches_of_a_token_replace_model_have_texts_of_one_length(
    loaded: Callable[[FamilyRow], ci.Model],
) -> None:
    model = loaded(REPLACE)
    settings = model.sampling(REPLACE.sample(), {**REPLACE.settings, "true_cfg_scale": 3.0})
    given = model.arguments(REPLACE.sample(), (0, 1), settings)
    _, _, length = REPLACE.grids["text"]
    assert given["negative_prompt_embeds"].shape[:2] == (2, length)
    assert "negative_prompt" not in given


def test_the_frames_of_the_image_are_no_frames_of_the_video(
    loaded: Callable[[FamilyRow], ci.Model],
) -> None:
    model = loaded(CONCAT)
    made = model.generate(CONCAT.sample(), seed=0, num_steps=2, **CONCAT.settings)
    assert made.shape == (9 - 4, 32, 48, 3)
    with pytest.raises(SampleError, match="num_frames 1, but this model makes at least 5"):
        model.sampling(CONCAT.sample(), {"num_frames": 1})


def test_the_embedded_scale_is_a_setting_of_its_own(loaded: Callable[[FamilyRow], ci.Model]) -> None:
    model = loaded(_BY_NAME["HunyuanVideo"])
    assert model.anatomy.guidance.embedded == "guidance_scale"
    assert model.anatomy.guidance.computed(model.sampling_defaults) == ("cond",)
    row = _BY_NAME["HunyuanVideo"]
    videos = [
        model.generate(row.sample(), seed=0, num_steps=2, **{**row.settings, "guidance_scale": scale})
        for scale in (1.0, 60.0)
    ]
    assert not np.array_equal(*videos)


def test_a_model_that_is_not_distilled_has_no_embedded_scale(
    loaded: Callable[[FamilyRow], ci.Model],
) -> None:
    model = loaded(_BY_NAME["HunyuanVideo, not distilled"])
    with pytest.raises(TraceError, match='no sampling setting "guidance_scale"; it has .*true_cfg_scale'):
        model.sampling(ROWS[0].sample(), {"guidance_scale": 6.0})
    assert model.anatomy.guidance.embedded is None


def test_several_denoising_loops_in_one_call_are_refused() -> None:
    transformer = HunyuanVideoFramepackTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=12,
        num_layers=1,
        num_single_layers=1,
        num_refiner_layers=1,
        text_embed_dim=16,
        pooled_projection_dim=8,
        rope_axes_dim=(4, 4, 4),
        image_proj_dim=8,
    )
    parts = dict.fromkeys(HunyuanVideoFramepackPipeline._get_signature_keys(HunyuanVideoFramepackPipeline)[0])
    pipeline = HunyuanVideoFramepackPipeline(**{**parts, "transformer": transformer})
    with pytest.raises(ModelError, match="in sections, each by a denoising loop of its own"):
        anatomy_of(pipeline, "framepack")


def test_a_pipeline_that_cannot_run_its_transformer_is_refused() -> None:
    built = CONCAT.build()
    parts = {name: part for name, part in built.components.items() if name != "image_processor"}
    with pytest.raises(ModelError, match="in_channels 9 .* load it as HunyuanVideoImageToVideoPipeline"):
        anatomy_of(HunyuanVideoPipeline(**parts), "text")
    plain = _BY_NAME["HunyuanVideo"].build()
    image = HunyuanVideoImageToVideoPipeline(**plain.components, image_processor=None)
    with pytest.raises(ModelError, match="condition_type None; load it as HunyuanVideoPipeline"):
        anatomy_of(image, "image")
    plain.transformer.register_to_config(in_channels=7)
    with pytest.raises(ModelError, match="no known pipeline can"):
        anatomy_of(plain, "odd")


def test_another_pipeline_of_the_denoiser_is_refused() -> None:
    plain = _BY_NAME["HunyuanVideo"].build()
    other = type("HunyuanVideoEditPipeline", (HunyuanVideoPipeline,), {})(**plain.components)
    with pytest.raises(
        ModelError, match="HunyuanVideoEditPipeline is not known; known for this transformer: Hunyuan"
    ):
        anatomy_of(other, "edit")
