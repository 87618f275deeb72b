"""Noise in latents: what is put where, and how much."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cosinterp.errors import InterventionError
from cosinterp.models.anatomy import Pinned
from cosinterp.noising.latents import NoisedLatents, drawn
from cosinterp.noising.mixing import cosine_of, energy_of, mixed, shrunk, strength_of, turned
from cosinterp.noising.noise_at import NoiseAt
from cosinterp.steps import Step

SHAPE = (4, 5, 6, 7)
SEEDS = (3, 8)
NUM_STEPS = 4


def latents(seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    """(row, channel, frame, row, col), frames of different lengths."""
    generator = torch.Generator().manual_seed(seed)
    made = scale * torch.randn((len(SEEDS), *SHAPE), generator=generator)
    return made * torch.linspace(0.5, 1.5, SHAPE[1]).view(1, 1, -1, 1, 1)


def step(index: int, after: torch.Tensor, pinned: Pinned | None = None) -> Step:
    return Step(index, 0.0, 0, after, after, after, (1.0, 0.0), None, pinned)


def played(noise: NoiseAt, pinned: Pinned | None = None) -> tuple[NoisedLatents, list[tuple[Any, Any]]]:
    """What enters each step, before and after the noise, where every step leaves other latents."""
    noised = NoisedLatents(noise, SEEDS, NUM_STEPS)
    entered = []
    for index in range(NUM_STEPS):
        before = latents(index, scale=1.0 + index)
        if index == 0:
            changed = noised.initial(before)
        else:
            after = noised.after(step(index - 1, before, pinned))
            changed = None if after is None else after.latents
        entered.append((before, changed))
    return noised, entered


def test_noise_is_a_function_of_its_seed_the_runs_seed_and_the_step() -> None:
    one = drawn(0, 3, 2, SHAPE)
    assert torch.equal(one, drawn(0, 3, 2, SHAPE))
    others = [drawn(1, 3, 2, SHAPE), drawn(0, 4, 2, SHAPE), drawn(0, 3, 1, SHAPE)]
    big = drawn(0, 3, 2, (16, 10, 32, 32))
    assert abs(float(big.mean())) < 0.02
    assert abs(float(big.std()) - 1) < 0.02
    for other in others:
        assert abs(float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])) < 0.15


def test_replacing_puts_noise_of_the_latents_deviation_in_its_place() -> None:
    _, entered = played(NoiseAt.at_step(2))
    for index, (before, changed) in enumerate(entered):
        if index != 2:
            assert changed is None
            continue
        for row, seed in enumerate(SEEDS):
            own = before[row].double()
            deviation = math.sqrt(float((own - own.mean()).square().mean()))
            wanted = deviation * drawn(0, seed, 2, SHAPE)
            assert torch.allclose(changed[row], wanted, rtol=1e-5)


def test_noise_in_a_frame_leaves_the_others_bit_for_bit_and_is_that_of_the_whole_latent() -> None:
    _, of_frame = played(NoiseAt.at_frame(1))
    _, of_all = played(NoiseAt())
    for (before, changed), (_, everywhere) in zip(of_frame, of_all, strict=True):
        kept = [0, 2, 3, 4]
        assert torch.equal(changed[:, :, kept], before[:, :, kept])
        assert torch.equal(changed[:, :, 1], everywhere[:, :, 1])
        assert not torch.equal(changed[:, :, 1], before[:, :, 1])


def test_mixing_keeps_the_variance() -> None:
    x = 3 * torch.randn((8, 4, 32, 32), generator=torch.Generator().manual_seed(0))
    noise = drawn(0, 1, 2, x.shape)
    for strength in (0.1, 0.5, 0.9, 1.0):
        assert float(mixed(x, noise, strength, 3.0).std()) == pytest.approx(3.0, rel=0.01)
    assert torch.equal(mixed(x, noise, 0.0, 3.0), x)


def test_shrinking_is_the_mixture_without_its_noise() -> None:
    noised, entered = played(NoiseAt.at_step(0, how="shrink", strength=2 / 3))
    before, changed = entered[0]
    assert torch.allclose(changed, before / math.sqrt(3))
    assert all(other is None for _, other in entered[1:])
    assert noised.told(0)["noise_energy"] == pytest.approx((1 - 1 / math.sqrt(3)) ** 2 / 2, rel=1e-5)
    x = before[0]
    assert torch.allclose(mixed(x, torch.zeros_like(x), 0.3, 1.0), shrunk(x, 0.3))


def test_what_shrinks_wholly_is_zero() -> None:
    _, entered = played(NoiseAt.at_frame(2, how="shrink"))
    for before, changed in entered:
        assert not changed[:, :, 2].any()
        assert torch.equal(changed[:, :, :2], before[:, :, :2])


@pytest.mark.parametrize(
    "noise",
    [
        NoiseAt(how="mix", strength=0),
        NoiseAt(how="shrink", strength=0),
        NoiseAt(steps=()),
        NoiseAt(frames=()),
        NoiseAt(steps=(9,)),
    ],
)
def test_nothing_is_changed_where_nothing_is_asked(noise: NoiseAt) -> None:
    noised, entered = played(noise)
    assert all(changed is None for _, changed in entered)
    assert noised.told(0)["noise_energy"] == 0.0


@pytest.mark.parametrize("energy", [0.3, 0.6])
@pytest.mark.parametrize(
    "where", [{"steps": (2,)}, {"steps": (0,)}, {"frames": (3,)}, {"frames": (0, 4)}, {"steps": (1, 3)}]
)
def test_an_energy_is_put_in_exactly(where: dict, energy: float) -> None:
    noised, entered = played(NoiseAt.of({**where, "how": "mix", "energy": energy}))
    for row in range(len(SEEDS)):
        found = 0.0
        for before, changed in entered:
            if changed is not None:
                apart = (changed[row] - before[row]).double().square().sum()
                found += float(apart / (2 * before[row].double().square().sum()))
        assert found == pytest.approx(energy, rel=1e-4)
        assert noised.told(row)["noise_energy"] == pytest.approx(energy, rel=1e-4)


def test_what_small_frames_cannot_take_at_once_is_given_to_later_steps() -> None:
    noised = NoisedLatents(NoiseAt(frames=(0,), how="mix", energy=0.1), SEEDS, NUM_STEPS)
    shy = latents()
    shy[:, :, 0] *= 0.01
    noised.initial(shy)
    for index in range(NUM_STEPS - 1):
        noised.after(step(index, latents(index)))
    by_step = noised.energies(0)
    assert by_step[0] < 0.001
    assert sum(by_step.values()) == pytest.approx(0.1, rel=1e-4)


def test_the_energy_of_replacing_all_frames_at_one_step_is_about_one() -> None:
    rng = torch.Generator().manual_seed(1)
    noised = NoisedLatents(NoiseAt.at_step(0), (1,), 2)
    noised.initial(torch.randn((1, 16, 8, 32, 32), generator=rng))
    assert noised.told(0)["noise_energy"] == pytest.approx(1.0, abs=0.02)


def test_the_energy_of_replacing_one_of_f_frames_at_n_steps_is_about_n_over_f() -> None:
    rng = torch.Generator().manual_seed(1)
    noised = NoisedLatents(NoiseAt.at_frame(2), (1,), 6)
    shape = (1, 16, 4, 32, 32)
    noised.initial(torch.randn(shape, generator=rng))
    for index in range(5):
        noised.after(step(index, torch.randn(shape, generator=rng)))
    told = noised.told(0)
    assert told["noise_energy"] == pytest.approx(6 / 4, abs=0.03)
    assert told["noise_energy_steps"] == list(range(6))
    assert sum(told["noise_energy_by_step"]) == pytest.approx(told["noise_energy"])


@given(st.floats(0, 1), st.floats(0.05, 1))
def test_energy_and_strength_are_inverse(strength: float, share: float) -> None:
    assert strength_of(cosine_of(energy_of(strength, share), share)) == pytest.approx(strength, abs=1e-9)


@given(st.floats(0, 1), st.integers(0, 100))
def test_turning_keeps_the_length_and_the_angle(cosine: float, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    x, noise = torch.randn((2, 60), generator=rng)
    new = turned(x, noise, cosine)
    assert float(new.norm()) == pytest.approx(float(x.norm()), rel=1e-5)
    assert float(new @ x / x.norm() ** 2) == pytest.approx(cosine, abs=1e-5)


def test_turning_nothing_gives_nothing() -> None:
    assert torch.equal(turned(torch.zeros(5), torch.ones(5), 0.5), torch.zeros(5))


def test_the_dtype_of_latents_stays() -> None:
    noised = NoisedLatents(NoiseAt.at_step(0), SEEDS, 2)
    changed = noised.initial(latents().bfloat16())
    assert changed is not None
    assert changed.dtype == torch.bfloat16


def pinned_first() -> Pinned:
    return Pinned.first_frame(latents())


def test_frames_that_the_pipeline_overwrites_are_refused() -> None:
    with pytest.raises(InterventionError, match=r"frames 0: the pipeline overwrites"):
        played(NoiseAt.at_frame(0), pinned_first())


def test_a_frame_beyond_the_latent_is_refused() -> None:
    with pytest.raises(InterventionError, match="frame 5: the latent has frames 0-4"):
        played(NoiseAt.at_frame(5))


def test_noise_in_all_frames_passes_over_those_that_are_overwritten() -> None:
    noised, entered = played(NoiseAt(), pinned_first())
    for index, (before, changed) in enumerate(entered[1:], 1):
        assert torch.equal(changed[:, :, 0], before[:, :, 0])
        own, new = before[0, :, 1:].numpy(), changed[0, :, 1:].numpy()
        wanted = float(((new - own).astype(float) ** 2).sum() / (2 * (own.astype(float) ** 2).sum()))
        assert noised.energies(0)[index] == pytest.approx(wanted, rel=1e-5)
        deviation = np.std(own.astype(float))
        assert np.allclose(new, deviation * drawn(0, SEEDS[0], index, SHAPE)[:, 1:].numpy(), rtol=1e-4)
    # What was put into the overwritten frame of the initial noise does nothing, and is not counted.
    before, changed = entered[0]
    own, new = before[0, :, 1:].double(), changed[0, :, 1:].double()
    wanted = float((new - own).square().sum() / (2 * own.square().sum()))
    assert noised.energies(0)[0] == pytest.approx(wanted, rel=1e-5)
