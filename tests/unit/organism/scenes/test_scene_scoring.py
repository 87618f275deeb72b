"""Scores of scenes: true videos are right, and each kind of fault is found and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosinterp.errors import SampleError, UserError
from cosinterp.organism.rendering import BLUE, FLOOR, RED, WALL
from cosinterp.organism.scenes.grounding import generate_grounding
from cosinterp.organism.scenes.permanence import generate_permanence
from cosinterp.organism.scenes.rendering import CLASS_OF, TARGET, colour
from cosinterp.organism.scenes.scoring import score_permanence
from cosinterp.organism.scenes.tasks import PROMPTS, TASKS, WORDINGS, generate_scene
from cosinterp.scorers import read_answer, readings_of, task_of

NUMBERS = st.integers(0, 2**40)


def score(cells: np.ndarray, truth: dict) -> dict[str, float]:
    return task_of(truth).score(colour(cells), truth)


def wrong(cells: np.ndarray, truth: dict) -> set[str]:
    """The metrics that are not 1."""
    return {name for name, value in score(cells, truth).items() if value != 1}


def ball(cells: np.ndarray, truth: dict) -> np.ndarray:
    """Where the moving ball is seen, bool (frame, row, col)."""
    return np.isin(cells, (RED, BLUE)) & (truth["resting"] == 0)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(TASKS), NUMBERS)
def test_the_true_video_is_right_in_everything_and_a_counterfactual_is_not(name, number):
    scene = generate_scene(name, number)
    truth = scene.truth()
    task = task_of(truth)
    video = colour(scene.cells())
    assert task.name == name
    assert list(task.score(video, truth)) == [metric.name for metric in task.metrics]
    assert wrong(scene.cells(), truth) == set()
    assert np.array_equal(task.final_frame(truth), video[-1])
    for other in scene.counterfactuals().values():
        assert {"solved", readings_of(task)[0].right} <= wrong(scene.cells(), other.truth())
        assert task.answer(video, truth) != task.answer(colour(other.cells()), other.truth())


def test_answers_of_a_ball_are_read_by_row_and_colour():
    truth = generate_permanence(0).truth()
    task = task_of(truth)
    answer = task.answer(colour(generate_permanence(0).cells()), truth)
    assert answer == f"{truth['colour']}-{truth['exit_row']}"
    assert [read_answer(task, one.name, answer) for one in readings_of(task)] == [
        answer,
        str(truth["exit_row"]),
        truth["colour"],
    ]


@pytest.mark.parametrize("number", range(6))
class TestFaultsOfPermanence:
    def test_the_wrong_colour_after_the_wall(self, number):
        scene = generate_permanence(number)
        truth, cells = scene.truth(), scene.cells()
        after = ball(cells, truth)
        after[: truth["exit_frame"] - 1] = False
        cells[after] = RED + BLUE - cells[after]
        assert wrong(cells, truth) == {"solved", "right_exit", "colour_kept"}

    def test_the_wrong_row_after_the_wall(self, number):
        scene = generate_permanence(number)
        truth, cells = scene.truth(), scene.cells()
        down = 1 if scene.course.places()[-1][0] < 12 and truth["exit_row"] < 12 else -1
        for frame in range(truth["hidden"].nonzero()[0][-1] + 1, 9):
            there = ball(cells, truth)[frame]
            kinds = cells[frame][there]
            cells[frame][there] = FLOOR
            rows, cols = there.nonzero()
            cells[frame][rows + down, cols] = kinds
        # Moved next to ceiling or floor, the ball may come to lie on them, which is a fault of its own.
        assert wrong(cells, truth) - {"consistent"} == {"solved", "right_exit", "right_row"}

    def test_a_ball_that_never_comes_out(self, number):
        scene = generate_permanence(number)
        truth, cells = scene.truth(), scene.cells()
        gone = ball(cells, truth)
        gone[: truth["exit_frame"] - 1] = False
        cells[gone] = FLOOR
        expected = {"solved", "right_exit", "right_row", "colour_kept", "in_time"}
        assert wrong(cells, truth) == expected
        assert task_of(truth).answer(colour(cells), truth) is None

    def test_a_ball_that_is_late(self, number):
        scene = generate_permanence(number)
        truth, cells = scene.truth(), scene.cells()
        late = cells.copy()
        late[truth["exit_frame"] :] = cells[truth["exit_frame"] - 1 : -1]
        assert {"solved", "in_time"} <= wrong(late, truth)
        assert "colour_kept" not in wrong(late, truth)

    def test_a_second_ball(self, number):
        scene = generate_permanence(number)
        truth, cells = scene.truth(), scene.cells()
        free = (cells == FLOOR).all(axis=0)
        row, col = next(
            (row, col)
            for row in range(1, 14)
            for col in range(15)
            if free[row : row + 2, col : col + 2].all()
        )
        cells[-2:, row : row + 2, col : col + 2] = RED
        assert "solved" in wrong(cells, truth)
        assert "consistent" not in wrong(cells, truth)

    def test_a_ball_that_shows_on_the_wall(self, number):
        scene = generate_permanence(number)
        truth, cells = scene.truth(), scene.cells()
        frame = int(truth["hidden"].nonzero()[0][0])
        row, col = truth["places"][frame]
        cells[frame, row : row + 2, col : col + 2] = CLASS_OF[scene.colour]
        assert wrong(cells, truth) == {"hidden", "consistent"}

    def test_what_is_not_the_scene(self, number):
        scene = generate_permanence(number)
        truth = scene.truth()
        row, col = scene.resting[0][1]
        for place, kind in (((0, 3), FLOOR), ((row, col), FLOOR)):
            cells = scene.cells()
            cells[(4, *place)] = kind
            assert "consistent" in wrong(cells, truth)
        cells = scene.cells()
        floor = np.argwhere((cells == FLOOR).all(axis=0))[0]
        cells[(4, *floor)] = WALL
        assert wrong(cells, truth) == {"consistent"}
        # The first frame is given, so it is not asked.
        cells = scene.cells()
        cells[(0, *floor)] = WALL
        assert wrong(cells, truth) == set()


def test_an_exit_is_the_first_whole_ball_alone_beyond_the_wall():
    scene = generate_permanence(0)
    truth, cells = scene.truth(), scene.cells()
    found = score_permanence(colour(cells), truth).exit
    assert (found.frame, found.row, found.colour) == (truth["exit_frame"], truth["exit_row"], scene.colour)
    # Half a ball is none.
    there = np.argwhere(ball(cells, truth)[truth["exit_frame"]])
    cells[truth["exit_frame"], there[0][0], there[0][1]] = FLOOR
    assert score_permanence(colour(cells), truth).exit.frame == truth["exit_frame"] + 1


@pytest.mark.parametrize("number", range(6))
class TestFaultsOfGrounding:
    def test_the_wrong_block(self, number):
        scene = generate_grounding(number)
        [other] = scene.counterfactuals().values()
        assert {"solved", "right_block", "others_unmoved", "on_course"} <= wrong(other.cells(), scene.truth())
        assert "consistent" not in wrong(other.cells(), scene.truth())
        assert task_of(scene.truth()).answer(colour(other.cells()), scene.truth()) == other.named

    def test_a_block_that_stays(self, number):
        scene = generate_grounding(number)
        cells = np.repeat(scene.cells()[:1], 9, axis=0)
        assert wrong(cells, scene.truth()) == {"solved", "right_block", "on_course"}
        assert task_of(scene.truth()).answer(colour(cells), scene.truth()) is None

    def test_a_block_that_leaves_a_copy_behind(self, number):
        scene = generate_grounding(number)
        cells = scene.cells()
        named = CLASS_OF[scene.named]
        cells[:, cells[0] == named] = named
        assert wrong(cells, scene.truth()) == {"solved", "on_course"}

    def test_another_block_that_goes_away(self, number):
        scene = generate_grounding(number)
        cells = scene.cells()
        other = next(CLASS_OF[name] for name, _ in scene.blocks if name != scene.named)
        cells[4][cells[4] == other] = FLOOR
        assert wrong(cells, scene.truth()) == {"others_unmoved"}
        cells[-1][cells[-1] == other] = FLOOR
        assert wrong(cells, scene.truth()) == {"others_unmoved", "solved"}

    def test_a_block_that_jumps(self, number):
        scene = generate_grounding(number)
        cells = scene.cells()
        jumped = (cells[1:4] != cells[4]).any(axis=(1, 2)).sum()
        cells[1:4] = cells[4]
        assert wrong(cells, scene.truth()) == {"on_course"}
        assert score(cells, scene.truth())["on_course"] == pytest.approx(1 - jumped / 8)

    def test_what_is_not_the_scene(self, number):
        scene = generate_grounding(number)
        truth = scene.truth()
        floor = np.argwhere((scene.cells() == FLOOR).all(axis=0))[0]
        for place, kind in (((4, 0, 3), FLOOR), ((4, *floor), WALL), ((4, *floor), TARGET)):
            cells = scene.cells()
            cells[place] = kind
            assert wrong(cells, truth) == {"consistent"}


def test_a_video_of_another_size_or_length_is_refused():
    for name in TASKS:
        scene = generate_scene(name, 0)
        video = colour(scene.cells())
        task = task_of(scene.truth())
        for other in (video[:5], video[:, :32]):
            with pytest.raises(UserError, match="this scene is drawn at 9 x 64 x 64"):
                task.score(other, scene.truth())


def test_a_truth_that_lacks_something_is_named():
    for name, key in (("permanence", "exit_row"), ("grounding", "target")):
        scene = generate_scene(name, 0)
        truth = scene.truth()
        del truth[key]
        with pytest.raises(SampleError, match=f"the truth of this scene lacks {key}"):
            task_of(truth).score(colour(scene.cells()), truth)


def test_prompts_are_all_different_and_say_no_more_than_they_may():
    every = [prompt for wordings in PROMPTS.values() for prompt in wordings]
    assert len(set(every)) == len(every)
    assert {len(wordings) for wordings in PROMPTS.values()} == {WORDINGS}
    # What colour the ball has is for the video to remember.
    assert not any(name in prompt for prompt in PROMPTS["permanence"] for name in ("red", "blue"))


def test_an_unknown_task_is_named():
    with pytest.raises(UserError, match="use permanence or grounding"):
        generate_scene("maze", 0)
