"""Permanence: courses that follow from the first frame, and what they must look like."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosinterp.errors import UserError
from cosinterp.organism.rendering import BLUE, FLOOR, PATH, RED, WALL
from cosinterp.organism.scenes.permanence import Course, PermanenceScene, generate_permanence
from cosinterp.organism.scenes.rendering import CLASS_OF, colour, read_cells

NUMBERS = st.integers(0, 2**40)
SPLITS = st.sampled_from(["train", "test"])
PINNED = "30f10ed6"


def simulated(course: Course) -> list[tuple[int, int]]:
    """Where the ball is in each frame, moved row by row, turned around where it cannot go on."""
    row, col, way = course.row, course.col, (course.climb > 0) - (course.climb < 0)
    places = [(row, col)]
    for _ in range(8):
        for _ in range(abs(course.climb)):
            if not 1 <= row + way <= 13:
                way = -way
            row += way
        col += course.heading
        places.append((row, col))
    return places


def expected(scene: PermanenceScene) -> np.ndarray:
    """The true video, cell by cell from the scene's own description."""
    cells = np.full((9, 16, 16), FLOOR, dtype=np.uint8)
    for name, (row, col) in scene.resting:
        cells[:, row : row + 2, col : col + 2] = CLASS_OF[name]
    row, col = scene.course.before
    cells[0, row : row + 2, col : col + 2] = PATH
    for frame, (row, col) in zip(cells, simulated(scene.course), strict=True):
        frame[row : row + 2, col : col + 2] = CLASS_OF[scene.colour]
    cells[:, [0, -1]] = WALL
    cells[:, :, scene.course.wall] = WALL
    return cells


@settings(max_examples=80, deadline=None)
@given(NUMBERS, SPLITS)
def test_the_video_is_what_the_scene_says(number, split):
    scene = generate_permanence(number, split)
    course = scene.course
    assert course.places() == simulated(course)
    cells = scene.cells()
    assert np.array_equal(cells, expected(scene))
    assert np.array_equal(read_cells(colour(cells)), cells)
    # What follows from the first frame: the trail is where the ball came from.
    assert 1 <= course.before[0] <= 13
    assert 0 <= course.before[1] <= 14


@settings(max_examples=80, deadline=None)
@given(NUMBERS, SPLITS)
def test_the_ball_is_hidden_for_a_while_and_whole_at_both_ends(number, split):
    scene = generate_permanence(number, split)
    truth = scene.truth()
    balls = np.isin(scene.cells(), (RED, BLUE)) & (truth["resting"] == 0)
    seen = balls.sum(axis=(1, 2))
    assert seen[0] == 4
    assert (seen[-2:] == 4).all()
    hidden = np.flatnonzero(seen == 0)
    assert hidden.tolist() == list(scene.course.hidden)
    assert 2 <= len(hidden) <= 4
    assert np.array_equal(truth["hidden"], seen == 0)
    first_whole = hidden[-1] + 1 + int(np.flatnonzero(seen[hidden[-1] + 1 :] == 4)[0])
    assert truth["exit_frame"] == first_whole
    assert truth["exit_row"] == np.argwhere(balls[first_whole])[:, 0].min()


@settings(max_examples=40, deadline=None)
@given(NUMBERS)
def test_truths_on_the_token_grid_cover_the_frames_of_each_latent_frame(number):
    scene = generate_permanence(number)
    truth = scene.truth()
    for latent in range(5):
        frames = [0] if latent == 0 else [2 * latent - 1, 2 * latent]
        cells = np.zeros((16, 16), dtype=bool)
        for frame in frames:
            row, col = truth["places"][frame]
            cells[row : row + 2, col : col + 2] = True
        assert np.array_equal(truth["ball"][latent], cells)
        assert np.array_equal(truth["seen"][latent], cells & (truth["walls"] == 0))


def test_turns_are_counted_when_they_have_happened():
    still = Course(row=5, col=1, heading=1, climb=0, gap=0, width=3)
    assert [course.bounces for course in (
        still,
        Course(row=5, col=1, heading=1, climb=1, gap=0, width=3),
        Course(row=6, col=1, heading=1, climb=1, gap=0, width=3),
        Course(row=2, col=1, heading=1, climb=-2, gap=0, width=3),
        Course(row=11, col=1, heading=1, climb=2, gap=0, width=3),
    )] == [0, 0, 1, 2, 2]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(NUMBERS, SPLITS)
def test_balls_at_rest_are_one_or_two_and_in_nobodys_way(number, split):
    scene = generate_permanence(number, split)
    assert 1 <= len(scene.resting) <= 2
    for one in (scene, scene.counterfactuals()["course"]):
        moving = one.crossed()
        for _, (row, col) in one.resting:
            around = moving[max(0, row - 1) : row + 3, max(0, col - 1) : col + 3]
            assert not around.any()
            assert (one.truth()["walls"][row : row + 2, col : col + 2] == 0).all()


@settings(max_examples=60, deadline=None)
@given(NUMBERS, SPLITS)
def test_counterfactuals_differ_in_one_thing_and_stay_in_their_split(number, split):
    scene = generate_permanence(number, split)
    other = scene.counterfactuals()
    assert set(other) == {"colour", "course"}

    painted = other["colour"]
    assert painted.colour != scene.colour
    assert (painted.course, painted.resting) == (scene.course, scene.resting)
    differ = painted.cells() != scene.cells()
    assert np.isin(scene.cells()[differ], CLASS_OF[scene.colour]).all()

    moved = other["course"]
    assert (moved.colour, moved.resting) == (scene.colour, scene.resting)
    before, after = scene.course, moved.course
    changed = [name for name in vars(before) if getattr(before, name) != getattr(after, name)]
    assert changed in (["row"], ["climb"])
    assert after.exit_row != before.exit_row
    assert after.split == before.split == split
    assert moved.counterfactuals()["course"].course == before


def test_scenes_are_the_same_each_time():
    drawn = np.stack([generate_permanence(number).cells() for number in range(8)])
    assert np.array_equal(drawn, np.stack([generate_permanence(number).cells() for number in range(8)]))
    assert hashlib.blake2b(drawn.tobytes(), digest_size=4).hexdigest() == PINNED


def test_splits_share_no_course():
    courses = {
        split: {generate_permanence(number, split).course for number in range(300)}
        for split in ("train", "test")
    }
    assert not courses["train"] & courses["test"]
    assert all(course.split == split for split, found in courses.items() for course in found)
    assert len(courses["test"]) > 100


@pytest.mark.parametrize(("number", "split"), [(-1, "test"), (0, "held-out")])
def test_what_cannot_be_is_refused(number, split):
    with pytest.raises(UserError):
        generate_permanence(number, split)
