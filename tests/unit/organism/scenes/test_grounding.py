"""Grounding: every block has a free way to the target, and the named one takes it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosinterp.errors import UserError
from cosinterp.organism.rendering import FLOOR, WALL
from cosinterp.organism.scenes.grounding import GroundingScene, generate_grounding
from cosinterp.organism.scenes.rendering import CLASS_OF, COLOURS, TARGET, colour, read_cells

NUMBERS = st.integers(0, 2**40)
SPLITS = st.sampled_from(["train", "test"])
PINNED = "d96f4094"


def named(scene: GroundingScene) -> list[GroundingScene]:
    return [replace(scene, named=name) for name, _ in scene.blocks]


@settings(max_examples=50, deadline=None)
@given(NUMBERS, SPLITS)
def test_only_the_named_block_moves_and_ends_on_the_target(number, split):
    scene = generate_grounding(number, split)
    assert 3 <= len(scene.blocks) <= 4
    assert len({name for name, _ in scene.blocks}) == len(scene.blocks)
    for one in named(scene):
        cells = one.cells()
        assert np.array_equal(read_cells(colour(cells)), cells)
        for name, (row, col) in one.blocks:
            for frame in range(9):
                here = np.argwhere(cells[frame] == CLASS_OF[name])
                assert len(here) == 4
                if name != one.named or frame == 0:
                    assert here.min(axis=0).tolist() == [row, col]
        row, col = one.target
        assert (cells[-1, row : row + 2, col : col + 2] == CLASS_OF[one.named]).all()
        assert (cells[0, row : row + 2, col : col + 2] == TARGET).all()
        assert (cells[:, [0, -1]] == WALL).all()
        assert (cells[:, :, [0, -1]] == WALL).all()
        rest = np.isin(cells, [FLOOR, WALL, TARGET, *(CLASS_OF[name] for name, _ in one.blocks)])
        assert rest.all()


@settings(max_examples=50, deadline=None)
@given(NUMBERS)
def test_the_course_is_straight_and_even(number):
    for scene in named(generate_grounding(number)):
        course = np.array(scene.course())
        share = np.arange(9)[:, None] / 8
        line = course[0] + share * (np.array(scene.target) - course[0])
        assert np.abs(course - line).max() <= 0.5
        assert course[-1].tolist() == list(scene.target)


@settings(max_examples=50, deadline=None)
@given(NUMBERS)
def test_no_block_touches_another_on_its_way(number):
    for scene in named(generate_grounding(number)):
        others = scene.truth()["blocks"]
        others[others == CLASS_OF[scene.named]] = 0
        for row, col in scene.course():
            assert not others[max(0, row - 1) : row + 3, max(0, col - 1) : col + 3].any()


@settings(max_examples=30, deadline=None)
@given(NUMBERS)
def test_what_may_be_crossed_does_not_tell_which_block_is_named(number):
    scene = generate_grounding(number)
    crossed = scene.crossed()
    for one in named(scene):
        assert np.array_equal(one.crossed(), crossed)
        assert crossed[one.truth()["moving"].any(axis=0)].all()


@settings(max_examples=30, deadline=None)
@given(NUMBERS, SPLITS)
def test_the_counterfactual_names_another_block_of_the_same_scene(number, split):
    scene = generate_grounding(number, split)
    [(what, other)] = scene.counterfactuals().items()
    assert what == "named"
    assert other.named in {name for name, _ in scene.blocks} - {scene.named}
    assert replace(other, named=scene.named) == scene
    assert np.array_equal(other.cells()[0], scene.cells()[0])


def test_truths_say_where_everything_is():
    scene = generate_grounding(3)
    truth = scene.truth()
    assert truth["count"] == len(scene.blocks)
    assert truth["distance"] == np.abs(truth["course"][-1] - truth["course"][0]).max() >= 4
    assert np.array_equal(truth["on_named"] == 1, truth["blocks"] == CLASS_OF[scene.named])
    for latent in range(5):
        frames = [0] if latent == 0 else [2 * latent - 1, 2 * latent]
        there = (scene.cells()[frames] == CLASS_OF[scene.named]).any(axis=0)
        assert np.array_equal(truth["moving"][latent] == 1, there)


def test_scenes_are_the_same_each_time_and_splits_share_none():
    drawn = np.stack([generate_grounding(number).cells() for number in range(8)])
    assert hashlib.blake2b(drawn.tobytes(), digest_size=4).hexdigest() == PINNED
    layouts = {
        split: {(scene.blocks, scene.target) for scene in (generate_grounding(n, split) for n in range(60))}
        for split in ("train", "test")
    }
    assert all(len(found) == 60 for found in layouts.values())
    assert not layouts["train"] & layouts["test"]


def test_every_colour_is_named_sooner_or_later():
    assert {generate_grounding(number).named for number in range(40)} == set(COLOURS)


@pytest.mark.parametrize(("number", "split"), [(-1, "test"), (0, "held-out")])
def test_what_cannot_be_is_refused(number, split):
    with pytest.raises(UserError):
        generate_grounding(number, split)
