"""What Wan VACE is given, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cosinterp as ci
from cosinterp.errors import ModelError, TraceError
from cosinterp.models.families import anatomy_of
from cosinterp.models.model import Model
from tests.families.row import FamilyRow
from tests.families.wan_vace import ROWS

TEXT, IMAGE = ROWS
FamilyModel = Callable[[FamilyRow], Model]


def test_the_first_image_is_the_frame_of_the_control_video_that_is_kept(family_model: FamilyModel) -> None:
    model = family_model(TEXT)
    red = Image.new("RGB", (10, 10), (255, 0, 0))
    sample = replace(TEXT.sample(), image=red)
    arguments = model.arguments(sample, (0,), model.sampling(sample, TEXT.settings))
    video, mask = (np.stack([np.asarray(frame) for frame in arguments[name]]) for name in ("video", "mask"))
    assert video.shape == (5, 32, 48, 3)
    assert (video[0] == (255, 0, 0)).all()
    assert (video[1:] == 128).all()
    assert mask.shape == (5, 32, 48)
    assert (mask[0] == 0).all()
    assert (mask[1:] == 255).all()


def test_a_control_video_is_followed_from_the_first_image_on(family_model: FamilyModel) -> None:
    model = family_model(TEXT)
    blue = np.full((6, 20, 30, 3), (0, 0, 255), np.uint8)
    sample = replace(IMAGE.sample(), videos={"control_video": ci.VideoFrames(blue)})
    arguments = model.arguments(sample, (0,), model.sampling(sample, TEXT.settings))
    video = np.stack([np.asarray(frame) for frame in arguments["video"]])
    assert video.shape == (5, 32, 48, 3)
    assert not (video[0] == (0, 0, 255)).all()
    assert (video[1:] == (0, 0, 255)).all()
    assert [np.asarray(frame).max() for frame in arguments["mask"]] == [0, 255, 255, 255, 255]


def test_without_an_image_there_is_no_control_video(family_model: FamilyModel) -> None:
    model, sample = family_model(TEXT), TEXT.sample()
    arguments = model.arguments(sample, (0,), model.sampling(sample, TEXT.settings))
    assert {"video", "mask", "reference_images"}.isdisjoint(arguments)


def test_a_batch_of_seeds_is_refused_before_anything_is_written(
    family_model: FamilyModel, tmp_path: Path
) -> None:
    model = family_model(TEXT)
    with pytest.raises(TraceError, match="makes one video at a time, so batch has to be 1, not 2"):
        ci.trace(model, TEXT.sample(), store=tmp_path / "store", seeds="0-1", batch=2, num_steps=2)
    assert not (tmp_path / "store").exists()


def test_another_pipeline_of_the_denoiser_is_refused(family_model: FamilyModel) -> None:
    pipeline = family_model(TEXT).pipeline
    other = type("WanEditPipeline", (type(pipeline),), {})(**pipeline.components)
    with pytest.raises(ModelError, match="WanEditPipeline is not known; known for this transformer: "):
        anatomy_of(other, "here")
