"""Which branches a run computes, and which of them a denoiser call is."""

from __future__ import annotations

import pytest

from cosinterp.models.guidance import Branch, Guidance, classifier_free

DOUBLED = classifier_free("doubled")
SEQUENTIAL = classifier_free("sequential", "true_cfg_scale", embedded="guidance_scale")
PERTURBED = Guidance(
    kind="doubled",
    branches=(
        Branch("cond"),
        Branch("uncond", {"guidance_scale": 1.0, "audio_guidance_scale": 1.0}),
        Branch("stg", {"stg_scale": 0.0}),
    ),
    labels={"uncond_stg": "stg"},
)


@pytest.mark.parametrize(
    ("guidance", "settings", "branches"),
    [
        (DOUBLED, {"guidance_scale": 3.0}, ("cond", "uncond")),
        (DOUBLED, {"guidance_scale": 1.0}, ("cond",)),
        (DOUBLED, {"guidance_scale": None}, ("cond",)),
        (SEQUENTIAL, {"guidance_scale": 6.0, "true_cfg_scale": 1.0}, ("cond",)),
        (SEQUENTIAL, {"guidance_scale": 1.0, "true_cfg_scale": 2.0}, ("cond", "uncond")),
        (PERTURBED, {"guidance_scale": 1.0, "audio_guidance_scale": 7.0}, ("cond", "uncond")),
        (PERTURBED, {"guidance_scale": 1.0, "stg_scale": 0.5}, ("cond", "stg")),
        (PERTURBED, {"guidance_scale": 4.0, "stg_scale": 0.5}, ("cond", "uncond", "stg")),
    ],
)
def test_settings_say_which_branches_are_computed(
    guidance: Guidance, settings: dict[str, float], branches: tuple[str, ...]
) -> None:
    assert guidance.computed(settings) == branches


@pytest.mark.parametrize(
    ("guidance", "label", "parts", "made", "branches"),
    [
        (SEQUENTIAL, "cond", 1, (), ("cond",)),
        (SEQUENTIAL, "uncond", 1, (), ("uncond",)),
        (SEQUENTIAL, "pred_uncond", 1, ("cond",), ("uncond",)),
        # Without a label, by the order in which they are called.
        (SEQUENTIAL, None, 1, (), ("cond",)),
        (SEQUENTIAL, None, 1, ("cond",), ("uncond",)),
        (SEQUENTIAL, None, 1, ("cond", "uncond"), None),
        (DOUBLED, "cond_uncond", 2, (), ("uncond", "cond")),
        (DOUBLED, None, 2, (), ("uncond", "cond")),
        (DOUBLED, "cond_uncond", 1, (), ("cond",)),
        (DOUBLED, "cond_uncond", 3, (), None),
        (DOUBLED, None, 0, (), None),
        (classifier_free("doubled", rows=("cond", "uncond")), None, 2, (), ("cond", "uncond")),
        (PERTURBED, "uncond_stg", 1, ("uncond", "cond"), ("stg",)),
    ],
)
def test_a_call_is_told_by_what_can_be_seen_of_it(
    guidance: Guidance,
    label: str | None,
    parts: int,
    made: tuple[str, ...],
    branches: tuple[str, ...] | None,
) -> None:
    assert guidance.of_call(label, parts, made) == branches
