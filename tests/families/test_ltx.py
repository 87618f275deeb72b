"""What is refused of LTX-Video and LTX-2, and what the further branches of LTX-2 differ in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    LTX2ImageToVideoPipeline,
    LTX2Pipeline,
    LTXConditionPipeline,
    LTXImageToVideoPipeline,
    LTXPipeline,
)

import cosinterp as ci
from cosinterp.errors import ModelError, SampleError, TraceError
from cosinterp.models.families import ltx2 as family
from cosinterp.models.model import Model
from tests.families import ltx, ltx2
from tests.families.row import FamilyRow


def load(pipeline: Any, folder: Path) -> Model:
    pipeline.save_pretrained(folder)
    return ci.load(folder, device="cpu", dtype="fp32")


@pytest.fixture(scope="module")
def ltx_video(tmp_path_factory: pytest.TempPathFactory) -> Model:
    scheduler = FlowMatchEulerDiscreteScheduler()
    return load(ltx.pipeline(LTXConditionPipeline, scheduler, timestep=True), tmp_path_factory.mktemp("ltx"))


@pytest.fixture(scope="module")
def ltx_2(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(ltx2.pipeline(LTX2Pipeline, **ltx2.VERSION_2_3), tmp_path_factory.mktemp("ltx2"))


def row(name: str) -> FamilyRow:
    return next(row for row in (*ltx.ROWS, *ltx2.ROWS) if row.name == name)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: ltx.pipeline(diffusers.LTXI2VLongMultiPromptPipeline, FlowMatchEulerDiscreteScheduler()),
            "denoises one window of the video after another, which is not understood; known .* LTXPipeline",
        ),
        (
            lambda: ltx.pipeline(LTXPipeline, ltx.shifting_scheduler(), timestep=True, noise=True),
            "its VAE adds noise as it decodes, which no seed determines",
        ),
        (
            lambda: ltx.pipeline(LTXImageToVideoPipeline, ltx.shifting_scheduler(), timestep=True),
            "cannot decode with this VAE .* load it as LTXConditionPipeline",
        ),
        (
            lambda: ltx.pipeline(LTXConditionPipeline, ltx.shifting_scheduler()),
            "sets noise levels of its own, which this scheduler would shift",
        ),
        (
            lambda: ltx2.pipeline(diffusers.LTX2ConditionPipeline),
            "LTX2ConditionPipeline puts tokens of its conditions beside those of the video",
        ),
    ],
)
def test_what_is_not_understood_is_refused_with_the_reason(
    build: Callable[[], Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        load(build(), tmp_path)


def test_a_first_image_needs_the_pipeline_that_takes_one(tmp_path: Path) -> None:
    model = load(ltx.pipeline(LTXPipeline, ltx.shifting_scheduler()), tmp_path)
    with pytest.raises(SampleError, match="load it as LTXImageToVideoPipeline to start from an image"):
        model.sampling(row("LTX-Video 0.9.0 I2V").sample(), {})


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"frame_rate": 0}, "frame_rate has to be above 0, not 0"),
        ({"image_cond_noise_scale": 0.15}, "image_cond_noise_scale has to be 0"),
    ],
)
def test_ltx_video_refuses_settings(setting: dict[str, Any], message: str, ltx_video: Model) -> None:
    with pytest.raises(TraceError, match=message):
        ltx_video.sampling(ltx.ROWS[0].sample(), setting)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"motion_speed": 0.0}, "motion_speed has to be above 0"),
        ({"frame_rate": 1000.0}, "5 frames at a frame_rate of 1000.0 are too short for any audio"),
        ({"max_sequence_length": 7}, "max_sequence_length has to be a multiple of 4"),
        ({"spatio_temporal_guidance_blocks": []}, "has to name the blocks where stg differs"),
        ({"spatio_temporal_guidance_blocks": [1, 3]}, "has 3, but the blocks are 0 to 2"),
        # What the pipeline's call has for itself, of a model with 48 blocks.
        ({"spatio_temporal_guidance_blocks": [28]}, "has 28, but the blocks are 0 to 2"),
    ],
)
def test_ltx_2_refuses_settings(setting: dict[str, Any], message: str, ltx_2: Model) -> None:
    settings = {"max_sequence_length": 8, "spatio_temporal_guidance_blocks": [1], **setting}
    with pytest.raises(TraceError, match=message):
        ltx_2.sampling(ltx2.ROWS[0].sample(), settings)


def test_blocks_beyond_the_last_do_not_matter_without_stg(ltx_2: Model) -> None:
    settings = {**ltx2.OFF, "max_sequence_length": 8}
    assert ltx_2.sampling(ltx2.ROWS[0].sample(), settings)["spatio_temporal_guidance_blocks"] == [28]


def test_compressing_the_first_image_needs_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(ltx2.pipeline(LTX2ImageToVideoPipeline), tmp_path)
    monkeypatch.setattr(family, "is_av_available", lambda: False)
    with pytest.raises(TraceError, match="needs PyAV"):
        model.sampling(row("LTX-2 I2V").sample(), {"max_sequence_length": 8})


def test_the_first_image_is_compressed_as_the_pipeline_would_do_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(ltx2.pipeline(LTX2ImageToVideoPipeline), tmp_path)
    asked = []

    def compress(pixels: np.ndarray, crf: int) -> np.ndarray:
        asked.append(crf)
        return 255 - pixels

    monkeypatch.setattr(family, "is_av_available", lambda: True)
    monkeypatch.setattr(family, "apply_image_conditioning_crf", compress)
    sample = row("LTX-2 I2V").sample()
    assert sample.image is not None
    settings = model.sampling(sample, {**row("LTX-2 I2V").settings, "image_crf": None})
    arguments = model.arguments(sample, (0, 1), settings)
    assert asked == [33]
    assert arguments["image_crf"] == 0
    for image in arguments["image"]:
        assert np.array_equal(np.asarray(image), 255 - np.asarray(sample.image.convert("RGB")))
    assert len(arguments["image"]) == 2


def test_stg_and_modality_differ_from_cond_where_they_should(tmp_path: Path, ltx_2: Model) -> None:
    """Self-attention cut short in block 2 (index 1): not before it. No attention between the streams: from
    block 1 on."""
    chosen = row("LTX-2.3: STG and modality guidance")
    settings = {**chosen.settings, **chosen.guided}
    store = ci.trace(
        ltx_2,
        chosen.sample(),
        store=tmp_path / "store",
        seeds=[0],
        sites="resid,audio",
        save_steps=[0],
        num_steps=2,
        save_video=False,
        **settings,
    )
    with store.run("sample", 0) as run:
        for site in ("resid", "audio"):
            cond, stg, modality = (
                [run.read(site, 0, layer, branch) for layer in range(4)]
                for branch in ("cond", "stg", "modality")
            )
            assert [np.allclose(*pair, atol=1e-5) for pair in zip(cond, stg, strict=True)] == [
                True,
                True,
                False,
                False,
            ]
            assert [np.allclose(*pair, atol=1e-5) for pair in zip(cond, modality, strict=True)] == [
                True,
                False,
                False,
                False,
            ]


def test_rows_of_a_batch_start_from_the_image_with_their_own_seeds(ltx_video: Model) -> None:
    """A row of a batch is what its seed gives alone, though the VAE draws the image's latents."""
    chosen = row("LTX-Video from 0.9.5 on, from a condition: an image")
    sample = chosen.sample()
    settings = ltx_video.sampling(sample, {**chosen.settings, "num_steps": 2})
    together = ltx_video.pipeline(**ltx_video.arguments(sample, (0, 1), settings, output_type="latent"))
    for place, seed in enumerate((0, 1)):
        alone = ltx_video.pipeline(**ltx_video.arguments(sample, (seed,), settings, output_type="latent"))
        torch.testing.assert_close(alone.frames[0], together.frames[place], rtol=1e-4, atol=1e-5)


def test_loading_ltx_2_does_not_list_the_modules_of_its_connectors(tmp_path: Path) -> None:
    said: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = said.append  # type: ignore[method-assign]
    pipeline = ltx2.pipeline(LTX2Pipeline)
    pipeline.save_pretrained(tmp_path)
    logger = logging.getLogger("diffusers.pipelines.pipeline_loading_utils")
    logger.addHandler(handler)
    try:
        ci.load(tmp_path, device="cpu", dtype="fp32")
    finally:
        logger.removeHandler(handler)
    assert said == []
