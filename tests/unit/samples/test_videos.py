"""Videos that samples have besides their first image."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from imageio_ffmpeg import write_frames

from cosinterp.errors import SampleError
from cosinterp.media_files import write_video
from cosinterp.samples import VideoFile, VideoFrames, load_dataset
from tests.unit.samples.making import write_sample


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Five frames of 24 x 32 pixels, each brighter than the one before."""
    frames = np.stack([np.full((24, 32, 3), 40 * frame, np.uint8) for frame in range(5)])
    write_video(frames, tmp_path / "video.mp4", 24)
    return tmp_path / "video.mp4"


def test_a_file_is_counted_when_checked_and_decoded_when_read(video: Path) -> None:
    checked = VideoFile.check(video)
    assert (checked.size, checked.num_frames) == ((32, 24), 5)
    frames = checked.read(3)
    assert frames.shape == (3, 24, 32, 3)
    # H.264 rounds colours.
    np.testing.assert_allclose(frames.mean((1, 2, 3)), [0, 40, 80], atol=4)


def test_the_same_file_has_the_same_hash(video: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(video.read_bytes())
    assert VideoFile.check(video).sha256() == VideoFile.check(copy).sha256()


def test_more_frames_than_there_are_is_an_error(video: Path) -> None:
    with pytest.raises(SampleError, match="video.mp4: has 5 frames, and 6 are needed"):
        VideoFile.check(video).read(6)
    with pytest.raises(SampleError, match="has 2 frames, and 3 are needed"):
        VideoFrames(np.zeros((2, 4, 4, 3), np.uint8)).read(3)


def test_a_file_that_changes_after_it_was_checked_is_an_error(video: Path) -> None:
    checked = VideoFile.check(video)
    write_video(np.zeros((5, 48, 48, 3), np.uint8), video, 24)
    with pytest.raises(SampleError, match="has changed since the dataset was read"):
        checked.read(1)


@pytest.mark.parametrize("content", [b"", b"not a video"])
def test_what_is_no_video_is_an_error_that_names_it(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(SampleError, match="broken.mp4: cannot be read as a video"):
        VideoFile.check(path)
    with pytest.raises(SampleError, match="none.mp4: no such video"):
        VideoFile.check(tmp_path / "none.mp4")


@pytest.mark.parametrize("suffix", ["mp4", "webm", "mkv", "avi", "gif"])
def test_a_video_that_is_cut_off_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"whole.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    # As on the web: what says how many frames there are stands before them.
    options = ["-movflags", "+faststart"] if suffix == "mp4" else []
    codec = {"webm": "libvpx", "gif": "gif"}.get(suffix, "libx264")
    pixels = "rgb8" if suffix == "gif" else "yuv420p"
    writing = write_frames(path, (32, 32), fps=10, codec=codec, pix_fmt_out=pixels, output_params=options)
    with closing(writing):
        writing.send(None)
        for frame in noise:
            writing.send(frame)
    assert VideoFile.check(path).num_frames == 20
    cut = tmp_path / f"cut.{suffix}"
    content = path.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(SampleError, match=rf"cut\.{suffix}: is cut off or damaged.*; copy or"):
        VideoFile.check(cut)


def test_a_folder_has_them_beside_the_image(video: Path, tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "dataset" / "task" / "00000")
    (folder / "pose_video.mp4").write_bytes(video.read_bytes())
    (sample,) = load_dataset(tmp_path / "dataset")
    assert {name: found.num_frames for name, found in sample.videos.items()} == {"pose_video": 5}


def test_a_table_names_them(video: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("prompt,face_video,control_video\ngo,video.mp4,\n")
    (sample,) = load_dataset(table)
    assert list(sample.videos) == ["face_video"]
    assert sample.metadata == {}
    table.write_text("prompt,face_video\ngo,none.mp4\n")
    with pytest.raises(SampleError, match="table.csv:2: .*none.mp4: no such video"):
        load_dataset(table)
