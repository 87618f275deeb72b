"""What Wan Animate is given, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cosinterp as ci
from cosinterp.errors import ModelError, SampleError, TraceError
from cosinterp.models.families import anatomy_of
from cosinterp.models.model import Model
from tests.families.row import FamilyRow
from tests.families.sana_video import ROWS as OTHER_ROWS
from tests.families.wan_animate import ROWS

(ROW,) = ROWS
FamilyModel = Callable[[FamilyRow], Model]
POSE = ci.VideoFrames(np.zeros((9, 32, 48, 3), np.uint8))


def test_a_video_is_one_segment_as_long_as_it(family_model: FamilyModel) -> None:
    """Also where the videos that it follows are longer."""
    model, sample = family_model(ROW), ROW.sample()
    arguments = model.arguments(sample, (0,), model.sampling(sample, {}))
    assert sample.videos["pose_video"].num_frames == 11
    assert len(arguments["pose_video"]) == len(arguments["face_video"]) == 9
    assert arguments["segment_frame_length"] == 9


def test_a_video_that_is_missing_is_named(family_model: FamilyModel) -> None:
    sample = replace(ROW.sample(), videos={"pose_video": POSE})
    with pytest.raises(SampleError, match="has no face_video, .* put face_video.mp4 beside its prompt"):
        family_model(ROW).sampling(sample, {})


def test_a_video_that_is_too_short_is_refused(family_model: FamilyModel) -> None:
    sample = replace(ROW.sample(), videos={"pose_video": POSE, "face_video": POSE})
    with pytest.raises(SampleError, match="its pose_video has 9 frames, but 13 are to be made"):
        family_model(ROW).sampling(sample, {"num_frames": 13})


def test_a_model_that_takes_none_refuses_videos(family_model: FamilyModel) -> None:
    row = OTHER_ROWS[0]
    with pytest.raises(SampleError, match="has a pose_video, but .* takes none"):
        family_model(row).sampling(replace(row.sample(), videos={"pose_video": POSE}), {})


def test_a_video_of_one_frame_is_refused(family_model: FamilyModel) -> None:
    """The pipeline would divide by 0."""
    with pytest.raises(SampleError, match="num_frames 1, but this model makes at least 5"):
        family_model(ROW).sampling(replace(ROW.sample(), num_frames=1), {})


def test_a_store_knows_its_videos_again(family_model: FamilyModel, tmp_path: Path) -> None:
    model, sample = family_model(ROW), ROW.sample()
    settings = {"store": tmp_path / "store", "layers": "0", "num_steps": 2, "save_video": False}
    store = ci.trace(model, sample, seeds=0, **settings)
    with store.run("sample", 0) as run:
        assert run.attrs["videos_sha256"] == {name: video.sha256() for name, video in sample.videos.items()}
    other = replace(sample, videos={**sample.videos, "face_video": POSE})
    with pytest.raises(TraceError, match="another sample .* differs in videos"):
        ci.trace(model, other, seeds="0-1", resume=True, **settings)


def test_another_pipeline_of_the_denoiser_is_refused(family_model: FamilyModel) -> None:
    pipeline = family_model(ROW).pipeline
    other = type("WanEditPipeline", (type(pipeline),), {})(**pipeline.components)
    with pytest.raises(ModelError, match="WanEditPipeline is not known; known for this transformer: "):
        anatomy_of(other, "here")
