"""Videos as files: whole or not at all, of any size, with the colours that were asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest
from imageio_ffmpeg import write_frames

from cosinterp import media_files
from cosinterp.errors import UserError
from cosinterp.media_files import FULL_COLOUR, HALF_COLOUR, replace, write_video


def read(path: Path) -> np.ndarray:
    return np.stack(imageio.mimread(path))  # type: ignore[arg-type]


def thin_lines(height: int = 64, width: int = 64, frames: int = 5) -> np.ndarray:
    """Red and blue lines of one pixel on white, one more in each frame."""
    video = np.full((frames, height, width, 3), 255, np.uint8)
    for frame in range(frames):
        video[frame:, 5 + 8 * frame] = (220, 30, 30)
        video[frame:, :, 9 + 8 * frame] = (30, 60, 220)
    return video


@pytest.mark.parametrize("lost", [1, 400, None])
def test_a_video_that_is_cut_off_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: int | None
) -> None:
    def write_less(path: Path, *arguments: Any, **options: Any) -> Iterator[None]:
        with closing(write_frames(path, *arguments, **options)) as sending:
            sending.send(None)
            try:
                while True:
                    sending.send((yield))
            finally:
                sending.close()
                content = path.read_bytes()
                path.write_bytes(content[: len(content) - lost if lost else 0])

    frames = np.zeros((5, 32, 32, 3), np.uint8)
    write_video(frames, tmp_path / "whole.mp4", 4)
    monkeypatch.setattr(media_files, "write_frames", write_less)
    with pytest.raises(UserError, match=r"cut\.mp4: cannot be written: the video is cut off"):
        write_video(frames, tmp_path / "cut.mp4", 4)
    assert [path.name for path in tmp_path.iterdir()] == ["whole.mp4"]


@pytest.mark.parametrize(("pixel_format", "shape"), [(HALF_COLOUR, (32, 50)), (FULL_COLOUR, (31, 49))])
def test_odd_sizes_lose_nothing(tmp_path: Path, pixel_format: str, shape: tuple[int, int]) -> None:
    video = np.random.default_rng(0).integers(0, 2, (3, 31, 49, 1), dtype=np.uint8) * np.full(
        3, 255, np.uint8
    )
    write_video(video, tmp_path / "odd.mp4", 16, crf=1, pixel_format=pixel_format)
    found = read(tmp_path / "odd.mp4")
    assert found.shape == (3, *shape, 3)
    assert np.abs(found[:, :31, :49].astype(int) - video).max() < 40


def test_thin_coloured_lines_keep_their_colour_at_full_resolution_of_colour(tmp_path: Path) -> None:
    video = thin_lines()
    lines = (video != 255).any(axis=-1)
    worst = {}
    for pixel_format in (HALF_COLOUR, FULL_COLOUR):
        write_video(video, tmp_path / "thin.mp4", 16, crf=10, pixel_format=pixel_format)
        worst[pixel_format] = np.abs(read(tmp_path / "thin.mp4").astype(int) - video)[lines].mean()
    assert worst[FULL_COLOUR] < 4 < worst[HALF_COLOUR]


def test_a_lower_crf_is_truer(tmp_path: Path) -> None:
    video = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    errors = []
    for crf in (0, 10, 30):
        write_video(video, tmp_path / "a.mp4", 16, crf=crf, pixel_format=FULL_COLOUR)
        errors.append(np.abs(read(tmp_path / "a.mp4").astype(int) - video).mean())
    assert errors == sorted(errors)
    assert errors[0] < 1


def test_the_frame_rate_is_that_of_the_file(tmp_path: Path) -> None:
    for rate in (8, 16, 23.976):
        write_video(thin_lines(), tmp_path / "a.mp4", rate)
        with imageio.get_reader(tmp_path / "a.mp4") as reader:
            assert reader.get_meta_data()["fps"] == pytest.approx(rate, abs=0.02)


def test_an_unfinished_file_is_not_taken_for_one_of_its_kind(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        path.write_text("half")
        assert not list(tmp_path.glob("*.mp4"))
        assert not [found for found in tmp_path.iterdir() if found.name.endswith(".mp4")]

    replace(tmp_path / "00000.mp4", write)
    assert (tmp_path / "00000.mp4").read_text() == "half"
    assert len(list(tmp_path.iterdir())) == 1
