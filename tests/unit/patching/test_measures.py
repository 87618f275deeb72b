"""Effects are what their formulas say, exactly so where nothing or everything was patched."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosinterp.errors import UserError
from cosinterp.organism.mazes import generate_maze
from cosinterp.organism.rendering import render_video
from cosinterp.organism.tasks import truth
from cosinterp.patching import measures
from cosinterp.patching.measures import (
    LATENT_EFFECTS,
    PIXEL_EFFECTS,
    MeasureError,
    Outcome,
    SeedSpread,
    effect_attrs,
    latent_effects,
    mean_distance,
    measures_for,
    pixel_effects,
    taken,
)
from cosinterp.scorers import Metric

SHAPE = (2, 3, 4, 4)


def latent(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def outcome(clean: np.ndarray, final: np.ndarray | None = None, step: int = 3) -> Outcome:
    return Outcome(step, clean, final, decode)


def decode(found: np.ndarray) -> np.ndarray:
    """Channel 0 as grey: (frame, row, col, rgb)."""
    grey = np.clip(found[0] * 40 + 128, 0, 255).astype(np.uint8)
    return grey[..., None].repeat(3, -1)


def x0(p, r, d, spread: SeedSpread | None = None) -> dict[str, float]:
    found = latent_effects(outcome(p), outcome(r), outcome(d), spread)
    assert tuple(found) == tuple(metric.name for metric in LATENT_EFFECTS)
    return {name.removeprefix("x0_"): value for name, value in found.items() if name.startswith("x0_")}


@given(st.integers(0, 10**6))
def test_a_patch_that_changes_nothing_has_an_effect_of_exactly_zero(seed):
    found = x0(latent(seed), latent(seed), latent(seed + 1), SeedSpread(2.0))
    assert found == {"moved": 0.0, "recovered": 0.0, "along": 0.0, "moved_seeds": 0.0, "relative": 0.0}


@given(st.integers(0, 10**6))
def test_a_patch_that_gives_the_donor_itself_has_an_effect_of_exactly_one(seed):
    found = x0(latent(seed + 1), latent(seed), latent(seed + 1))
    assert (found["moved"], found["recovered"], found["along"]) == (1.0, 1.0, 1.0)


@given(st.floats(-2, 3), st.floats(-2, 2))
def test_a_move_is_split_into_what_leads_to_the_donor_and_what_does_not(along, across):
    recipient, donor, other = latent(0).astype(float), latent(1).astype(float), latent(2).astype(float)
    way = donor - recipient
    other -= way * (other * way).sum() / (way**2).sum()
    other *= np.sqrt((way**2).sum() / (other**2).sum())
    found = x0(recipient + along * way + across * other, recipient, donor)
    assert found["along"] == pytest.approx(along, abs=1e-6)
    assert found["moved"] == pytest.approx(math.hypot(along, across), abs=1e-6)
    assert found["recovered"] == pytest.approx(1 - math.hypot(along - 1, across), abs=1e-6)


def test_distances_are_those_of_float64_however_large_the_latents_are():
    recipient, donor = np.full(SHAPE, 3e19, np.float32), np.full(SHAPE, -3e19, np.float32)
    found = x0(donor, recipient, donor)
    assert (found["moved"], found["recovered"], found["along"]) == (1.0, 1.0, 1.0)


def test_a_move_is_compared_with_the_distance_between_seeds():
    recipient, patched = latent(0), latent(0)
    patched[0, 0, 0, 0] += 6
    others = [latent(0), latent(0)]
    others[0][0, 1, 0, 0] += 3
    others[1][0, 2, 0, 0] -= 5
    spread = mean_distance(recipient, others)
    assert spread == pytest.approx(4)
    assert x0(patched, recipient, latent(1), SeedSpread(spread))["moved_seeds"] == pytest.approx(1.5)


def test_a_move_is_compared_with_the_run_itself():
    recipient = np.zeros(SHAPE, np.float32)
    recipient[0, 0, 0, :2] = 3, 4
    patched = recipient.copy()
    patched[1, 0, 0, 0] = -2
    assert x0(patched, recipient, recipient)["relative"] == pytest.approx(0.4)


def test_what_is_not_known_is_nan():
    assert math.isnan(mean_distance(latent(0), []))
    same = x0(latent(0), latent(1), latent(1))
    assert [name for name, value in same.items() if not math.isnan(value)] == ["relative"]
    assert math.isnan(x0(latent(0), np.zeros(SHAPE, np.float32), latent(1))["relative"])
    found = latent_effects(outcome(latent(0), latent(0)), outcome(latent(1)), outcome(latent(2)))
    assert math.isnan(found["x0_moved_seeds"])
    assert all(math.isnan(value) for name, value in found.items() if name.startswith("final_"))


def test_final_latents_have_effects_of_their_own():
    found = latent_effects(
        outcome(latent(0), latent(10)),
        outcome(latent(1), latent(11)),
        outcome(latent(2), latent(12)),
        SeedSpread(final=2.0),
    )
    ended = latent_effects(
        outcome(latent(10)), outcome(latent(11)), outcome(latent(12)), SeedSpread(clean=2.0)
    )
    for name in ("moved", "recovered", "along", "moved_seeds", "relative"):
        assert found[f"final_{name}"] == ended[f"x0_{name}"]
    assert found["x0_moved"] != found["final_moved"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_run_that_broke_is_told_and_not_counted(value):
    broken = latent(0)
    broken[1, 2, 3, 3] = value
    with pytest.raises(MeasureError, match="the clean estimate of the patched run holds NaN or infinity"):
        x0(broken, latent(1), latent(2))
    with pytest.raises(MeasureError, match="the final latent of the patched run holds NaN"):
        latent_effects(*(outcome(latent(n), broken if n == 0 else latent(n)) for n in range(3)))


def test_other_steps_and_shapes_are_not_comparable():
    with pytest.raises(ValueError, match="steps 3, 4 and 3"):
        latent_effects(outcome(latent(0)), outcome(latent(1), step=4), outcome(latent(2)))
    with pytest.raises(ValueError, match="shapes"):
        x0(latent(0), latent(1)[:1], latent(2))


def test_pixels_are_compared_in_units_of_full_brightness():
    black, white = np.full(SHAPE, -10, np.float32), np.full(SHAPE, 10, np.float32)
    assert pixel_effects(outcome(white), outcome(black), outcome(white)) == {
        "pixels_moved": 1.0,
        "pixels_recovered": 1.0,
    }
    half = black.copy()
    half[0, 0] = 10
    found = pixel_effects(outcome(half), outcome(black), outcome(white))
    assert found["pixels_moved"] == pytest.approx(math.sqrt(1 / 3))
    assert found["pixels_recovered"] == pytest.approx(1 - math.sqrt(2 / 3))
    assert set(found) == {metric.name for metric in PIXEL_EFFECTS}
    assert math.isnan(pixel_effects(outcome(half), outcome(black), outcome(black))["pixels_recovered"])


def test_a_final_video_is_never_compared_with_a_clean_estimate():
    black, white = np.full(SHAPE, -10, np.float32), np.full(SHAPE, 10, np.float32)
    stopped = outcome(black)
    recipient, donor = outcome(black, white), outcome(white, black)
    assert pixel_effects(stopped, recipient, donor)["pixels_moved"] == 0.0
    ended = outcome(black, black)
    assert pixel_effects(ended, recipient, donor)["pixels_moved"] == 1.0


def test_a_video_is_decoded_once_and_only_if_asked_for():
    asked = []

    def counted(found: np.ndarray) -> np.ndarray:
        asked.append(found)
        return decode(found)

    ended = Outcome(0, latent(0), latent(1), counted)
    assert asked == []
    assert ended.video is ended.video
    assert len(asked) == 1
    assert asked[0] is ended.final
    assert (ended.clean_video == decode(latent(0))).all()
    assert Outcome(0, latent(0), None, counted).video.shape == (3, 4, 4, 3)


MAZE = generate_maze(5, 5)
RED, BLUE = truth(MAZE, "red"), truth(MAZE, "blue")


def scores(video: np.ndarray, recipient=RED, donor=BLUE) -> dict[str, float]:
    found: dict[str, float] = {}
    for measure in measures_for(recipient, donor):
        new = taken(measure, video, recipient, donor)
        assert set(new) == {metric.name for metric in measure.columns}
        found |= new
    return found


def test_the_donors_answer_in_the_recipients_run_is_seen():
    found = scores(render_video(MAZE, "blue"))
    assert (found["goal_donor"], found["goal_recipient"], found["goal_none"]) == (1, 0, 0)
    assert (found["solved_donor"], found["solved_recipient"]) == (1, 0)
    assert found["iou_donor"] == 1 > found["iou_recipient"]


def test_the_recipients_own_answer_is_seen():
    found = scores(render_video(MAZE, "red"))
    assert (found["goal_donor"], found["goal_recipient"], found["goal_none"]) == (0, 1, 0)
    assert (found["solved_donor"], found["solved_recipient"], found["iou_recipient"]) == (0, 1, 1)


def test_a_path_to_both_goals_or_to_none_is_neithers():
    red, blue = render_video(MAZE, "red"), render_video(MAZE, "blue")
    both = np.where(red == red[:1], blue, red)
    none = np.repeat(red[:1], len(red), axis=0)
    found = scores(both)
    assert (found["goal_donor"], found["goal_recipient"], found["goal_none"]) == (0, 0, 0)
    found = scores(none)
    assert (found["goal_donor"], found["goal_recipient"], found["goal_none"]) == (0, 0, 1)
    assert found["iou_donor"] == found["iou_recipient"] == 0


def test_goals_are_those_of_the_recipients_maze_and_scores_those_of_each_its_own():
    other = truth(generate_maze(6, 5), "blue")
    found = scores(render_video(MAZE, "blue"), donor=other)
    assert found["goal_donor"] == 1
    assert found["solved_donor"] == 0


def test_of_a_sample_without_a_task_nothing_is_measured():
    assert measures_for({}, {}) == ()
    found = scores(render_video(MAZE, "red"), donor={})
    assert "solved_donor" not in found
    assert found["solved_recipient"] == 1
    assert math.isnan(found["goal_donor"])


def test_without_a_donor_the_task_is_the_recipients():
    names = {metric.name for measure in measures_for(RED) for metric in measure.columns}
    assert {"solved_donor", "solved_recipient", "goal_donor"} <= names


def test_each_column_says_what_it_is():
    [task, goals] = measures_for(RED, BLUE)
    [solved] = [metric for metric in task.columns if metric.name == "solved_donor"]
    known = {"long_name": "solved, donor's", "kind": "share", "valid_min": 0.0, "valid_max": 1.0}
    assert effect_attrs(solved) == known
    moved = {"long_name": "clean estimate moved, of the way to the donor", "kind": "mean", "valid_min": 0.0}
    assert effect_attrs(LATENT_EFFECTS[0]) == moved
    assert {metric.kind for metric in goals.columns} == {"share"}


class Brightness:
    name = "brightness"
    columns = (Metric("light", "light", "light", "mean"),)

    def __init__(self, value: object = None) -> None:
        self.value = value

    def measure(self, video, recipient_truth, donor_truth):
        if isinstance(self.value, Exception):
            raise self.value
        return {"light": video.mean() / 255} if self.value is None else self.value


def test_a_registered_measure_is_taken_where_it_applies():
    measures.register(Brightness(), lambda known: known.get("task") == "lamp")
    try:
        with pytest.raises(ValueError, match="'brightness' is registered already"):
            measures.register(Brightness())
        assert measures_for({}) == ()
        [measure] = measures_for({"task": "lamp"})
        assert measures_for({}, {"task": "lamp"}) == (measure,)
        assert taken(measure, np.full((1, 2, 2, 3), 51, np.uint8), {}, {}) == {"light": pytest.approx(0.2)}
    finally:
        measures.unregister("brightness")
    assert measures_for({"task": "lamp"}) == ()


VIDEO = np.zeros((1, 2, 2, 3), np.uint8)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (ZeroDivisionError("division\nby zero"), "measure brightness: ZeroDivisionError: division by zero"),
        (UserError("the video is too small"), "measure brightness: the video is too small"),
        (AssertionError(), "measure brightness: AssertionError"),
        (0.5, "measure brightness: what it returned is of the type float, not numbers by name"),
        ({"light": "much"}, "measure brightness: light is of the type str, not a number"),
        ({"light": None}, "measure brightness: light is None, not a number"),
        ({"light": np.ones(2)}, "measure brightness: light is of the type ndarray, not a number"),
        ({"light": math.inf}, "measure brightness: light is infinite; return NaN"),
        ({"a/b": 1.0}, "measure brightness: 'a/b' cannot name a column"),
        ({3: 1.0}, "measure brightness: 3 cannot name a column"),
    ],
)
def test_a_measure_that_fails_is_named(value, message):
    with pytest.raises(MeasureError) as raised:
        taken(Brightness(value), VIDEO, {}, {})
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", [True, 1, np.float32(1), np.array(1.0), np.bool_(True)])
def test_every_kind_of_number_is_taken(value):
    assert taken(Brightness({"light": value}), VIDEO, {}, {}) == {"light": 1.0}


def test_nan_is_kept_for_what_is_not_known():
    assert math.isnan(taken(Brightness({"light": math.nan}), VIDEO, {}, {})["light"])


def test_a_video_that_is_not_of_the_maze_is_told():
    with pytest.raises(
        MeasureError, match="measure maze: the video is 2x2 px, but this maze is drawn at 48x48"
    ):
        scores(VIDEO)


def test_without_a_donor_there_is_no_answer_of_its():
    maze = generate_maze(3, 5)
    known = truth(maze, "red")
    found = {}
    for measure in measures_for(known, {}):
        scored = taken(measure, render_video(maze, "red"), known, {})
        assert set(scored) == {metric.name for metric in measure.columns}
        found |= scored
    assert (found["goal_recipient"], found["solved_recipient"]) == (1.0, 1.0)
    assert [name for name in found if name.endswith("_donor")] == ["goal_donor"]
    assert math.isnan(found["goal_donor"])
