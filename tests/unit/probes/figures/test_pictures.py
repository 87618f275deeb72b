"""Frames laid out for reading: whole enlargement, chosen frames, and every pixel where it belongs."""

import numpy as np
import pytest
from PIL import Image

from probes.figures import pictures
from probes.figures.pictures import StripRow, choose_frames, enlarge, film_strip, fit


def video(frames=5, side=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (frames, side, side, 3), dtype=np.uint8)


def where(picture: Image.Image, part: np.ndarray) -> list[tuple[int, int]]:
    """Top left corners (row, col) at which `part` (row, col, rgb) occurs exactly, from the top."""
    whole, wanted = (np.ascontiguousarray(np.asarray(one)[..., :3]) for one in (picture, part))
    height, width = wanted.shape[:2]
    first, line = wanted[0].tobytes(), []
    for row in range(whole.shape[0] - height + 1):
        text, at = whole[row].tobytes(), -1
        while (at := text.find(first, at + 1)) >= 0:
            if at % 3 == 0:
                line.append((row, at // 3))
    return [(row, col) for row, col in line if (whole[row : row + height, col : col + width] == wanted).all()]


@pytest.mark.parametrize(
    ("count", "most", "chosen"),
    [
        (13, 8, [0, 2, 4, 6, 8, 10, 12]),
        (81, 8, [0, 16, 32, 48, 64, 80]),
        (5, 8, [0, 1, 2, 3, 4]),
        (1, 8, [0]),
        (8, 3, [0, 4, 7]),
        (12, 4, [0, 4, 7, 11]),
    ],
)
def test_frames_are_chosen_evenly_with_the_first_and_the_last(count, most, chosen):
    assert choose_frames(count, most) == chosen


@pytest.mark.parametrize("count", range(1, 60))
def test_never_more_frames_than_asked_for(count):
    chosen = choose_frames(count, 6)
    assert chosen[0] == 0
    assert chosen[-1] == count - 1
    assert len(chosen) == len(set(chosen)) <= 6


def test_enlarging_repeats_pixels_by_a_whole_factor():
    small = video(side=8)
    large = enlarge(small, 20)
    assert large.shape == (5, 24, 24, 3)
    assert (large[:, 1::3, 1::3] == small).all()
    assert enlarge(large, 20) is large


def test_a_large_frame_is_shrunk_with_its_shape_kept():
    assert fit(np.zeros((480, 832, 3), np.uint8), 112, 224).shape == (129, 224, 3)
    assert fit(np.zeros((2, 900, 3), np.uint8), 112, 224).shape == (1, 224, 3)


def test_a_strip_shows_steps_downwards_and_frames_to_the_right():
    rows = [StripRow(f"step {step}", "σ 0.5", video(seed=step)) for step in range(3)]
    strip = film_strip(rows, title="maze-3, seed 0", caption=["Go to the red goal."])
    places = [[where(strip, enlarge(frame, 112)) for frame in row.frames] for row in rows]
    assert all(len(found) == 1 for line in places for found in line)
    corners = np.array([[found[0] for found in line] for line in places])
    assert (np.diff(corners[:, :, 0], axis=0) > 112).all()
    assert (np.diff(corners[:, :, 1], axis=1) > 112).all()
    assert (corners[:, :, 0] == corners[:, :1, 0]).all()


def test_the_true_final_frame_stands_right_of_the_last_row_and_nowhere_else():
    rows = [StripRow(f"step {step}", "", video(seed=step)) for step in range(2)]
    truth = video(frames=1, seed=9)[0]
    strip = film_strip(rows, title="", final_frame=truth)
    [(y, x)] = where(strip, enlarge(truth, 112))
    [(last_y, last_x)] = where(strip, enlarge(rows[-1].frames[-1], 112))
    assert y == last_y
    assert x > last_x + 112
    assert where(film_strip(rows, title=""), enlarge(truth, 112)) == []


def test_long_titles_and_captions_are_not_cut_off():
    rows = [StripRow("step 0", "", video(frames=1))]
    narrow = film_strip(rows, title="short")
    wide = film_strip(rows, title="short", caption=["a long caption " * 12])
    assert wide.width > narrow.width
    assert (np.asarray(wide)[:, -8:] == 255).all()


def test_rows_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="share one shape"):
        film_strip([StripRow("a", "", video(5)), StripRow("b", "", video(4))], title="")


def test_a_labelled_frame_has_even_sides_for_video_encoders():
    frame = pictures.labelled(np.zeros((33, 331, 3), np.uint8), "step 0 of 3")
    assert frame.shape[0] % 2 == frame.shape[1] % 2 == 0
