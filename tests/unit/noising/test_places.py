"""The places of a sweep of noise."""

from __future__ import annotations

from typing import Any

import pytest

from cosinterp.errors import InterventionError, SelectionError
from cosinterp.noising.noise_at import NoiseAt
from cosinterp.noising.places import places


def made(at: Any, **more: Any) -> tuple[NoiseAt, ...]:
    return places(at, **{"num_steps": 4, "num_frames": 3, **more}).every


def test_the_papers_protocol() -> None:
    assert made("step") == tuple(NoiseAt.at_step(step) for step in range(4))
    assert made("frame") == tuple(NoiseAt.at_frame(frame) for frame in range(3))
    assert made("both") == made("step") + made("frame")


def test_places_are_chosen_and_each_can_be_a_part() -> None:
    assert made("both", steps="1,3", frames="-1") == (
        *(NoiseAt.at_step(step) for step in (1, 3)),
        NoiseAt.at_frame(2),
    )
    assert made("step", steps="2", within_frames="0-1") == (NoiseAt(steps=(2,), frames=(0, 1)),)
    assert made("frame", frames="2", during_steps="0,3") == (NoiseAt(steps=(0, 3), frames=(2,)),)


def test_steps_and_frames_are_kept_apart() -> None:
    found = places("both", num_steps=2, num_frames=3)
    assert (len(found.at_steps), len(found.in_frames)) == (2, 3)


def test_matched_places_have_one_energy_that_all_can_take() -> None:
    found = made("both", num_steps=12, num_frames=7, matched=True)
    assert {place.energy for place in found} == {1.0}
    assert {place.how for place in found} == {"mix"}
    # Frames that hold less than their share limit it where steps are few.
    assert {place.energy for place in made("both", num_frames=8, matched=True)} == {0.375}
    assert {place.energy for place in made("both", num_steps=12, matched=0.4)} == {0.4}


def test_a_mixture_has_its_strength() -> None:
    assert {place.strength for place in made("step", how="mix", strength=0.25)} == {0.25}


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        ({"at": "layer"}, SelectionError, "step, frame, both"),
        ({"at": "both", "num_frames": 1}, SelectionError, "single frame"),
        ({"at": "step", "steps": "9"}, SelectionError, "steps"),
        ({"at": "frame", "frames": "9"}, SelectionError, "frames"),
        ({"at": "both", "matched": True, "strength": 0.5}, InterventionError, "leave out"),
        ({"at": "both", "matched": True, "how": "replace"}, InterventionError, "leave out"),
        ({"at": "frame", "matched": 9.0}, InterventionError, "steps|frames"),
        ({"at": "step", "matched": -1.0}, InterventionError, "energy -1"),
        ({"at": "step", "strength": 0.5}, InterventionError, "mix"),
        ({"at": "step", "frames": "0"}, SelectionError, "no use"),
        ({"at": "step", "during_steps": "0"}, SelectionError, "no use"),
        ({"at": "frame", "within_frames": "0"}, SelectionError, "no use"),
    ],
)
def test_what_cannot_be_is_refused(asked: dict, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        made(**asked)


def test_an_image_can_have_noise_by_step() -> None:
    assert len(made("step", num_frames=1)) == 4
