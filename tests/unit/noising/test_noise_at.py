"""Noise as data, and what its runs are called."""

import pytest

from cosinterp.errors import InterventionError
from cosinterp.noising.noise_at import NoiseAt
from stores.layout import check_run_name


@pytest.mark.parametrize(
    ("noise", "variant"),
    [
        (NoiseAt.at_step(3), "noised-step-03"),
        (NoiseAt.at_step(123), "noised-step-123"),
        (NoiseAt.at_frame(2), "noised-frame-02"),
        (NoiseAt.at_step(3, how="mix", strength=0.5), "noised-step-03-mix-0p5"),
        (NoiseAt.at_step(0, how="shrink"), "noised-step-00-shrink-1"),
        (NoiseAt.at_frame(2, how="mix", energy=1.25), "noised-frame-02-energy-1p25"),
        (NoiseAt.at_frame(2, seed=7), "noised-frame-02-seed-7"),
        (NoiseAt(steps=(0, 1, 2, 7), frames=(4,)), "noised-steps-0-2_7-frame-04"),
        (NoiseAt(), "noised-everywhere"),
        (NoiseAt(steps=()), "noised-steps-none"),
        (NoiseAt.at_step(0, how="mix", strength=1e-7), "noised-step-00-mix-1e-07"),
    ],
)
def test_a_variant_is_called_after_its_noise(noise: NoiseAt, variant: str) -> None:
    assert noise.variant == variant
    check_run_name("sample", 0, noise.variant)


def test_long_names_are_cut_and_stay_apart() -> None:
    first = NoiseAt(steps=tuple(range(0, 60, 2)))
    second = NoiseAt(steps=tuple(range(0, 62, 2)))
    assert first.variant != second.variant
    for noise in (first, second):
        check_run_name("sample", 0, noise.variant)


def test_steps_and_frames_are_sets() -> None:
    assert NoiseAt(steps=(2, 1, 2)) == NoiseAt(steps=(1, 2))
    assert NoiseAt.of(NoiseAt.at_step(3, how="mix", energy=0.5).model_dump(mode="json")).steps == (3,)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"steps": (-1,)}, "steps"),
        ({"strength": 0.5}, "replace"),
        ({"how": "mix", "strength": 1.5}, "strength"),
        ({"how": "mix", "strength": 0.5, "energy": 1.0}, "energy"),
        ({"how": "shrink", "energy": 1.0}, "energy"),
        ({"energy": 1.0}, "energy"),
        ({"how": "blur"}, "how"),
        ({"step": 3}, "step"),
    ],
)
def test_what_cannot_be_is_refused(data: dict, complaint: str) -> None:
    with pytest.raises(InterventionError, match=complaint):
        NoiseAt.of(data)


@pytest.mark.parametrize("noise", [NoiseAt(steps=()), NoiseAt(frames=()), NoiseAt(how="mix", strength=0)])
def test_no_places_or_no_strength_is_nothing(noise: NoiseAt) -> None:
    assert noise.is_nothing
    assert not NoiseAt.at_step(0).is_nothing
