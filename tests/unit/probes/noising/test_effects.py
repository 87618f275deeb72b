"""What noise does, where it is known what it does."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from probes import statistics
from probes.estimated import estimate_at
from probes.noising import effects, noised_places
from probes.noising.alignment import What
from probes.results.result import Result
from stores import SelectionError, Store, StoreError
from tests.unit.probes.noising.planted import (
    CHANNELS,
    GRID,
    LENGTH,
    SIGMAS,
    plant,
    random_estimates,
    scores,
    told,
)

SAMPLES = [f"maze-{number:02d}" for number in range(12)]
SEEDS = (0, 1)
STEPS = {f"noised-step-{step:02d}": told(steps=[step]) for step in range(2)}
FRAMES = {f"noised-frame-{frame:02d}": told(frames=[frame]) for frame in range(2)}
NOISES = {**STEPS, **FRAMES}
KEYS = [(sample, seed, variant) for sample in SAMPLES for seed in SEEDS for variant in ("base", *NOISES)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    energies = dict.fromkeys(STEPS, 1.0) | dict.fromkeys(FRAMES, 2.5)
    return plant(
        tmp_path_factory.mktemp("noise") / "store", random_estimates(KEYS), NOISES, energies=energies
    )


def planted_scores(rng: np.random.Generator) -> dict[tuple[str, int, str], float]:
    """Base runs are all solved; noise at a step fails the first samples, in a frame seldom one."""
    finals: dict[tuple[str, int, str], float] = {}
    for (number, sample), seed in product(enumerate(SAMPLES), SEEDS):
        finals[sample, seed, "base"] = 1.0
        for variant in STEPS:
            finals[sample, seed, variant] = float(number >= 9 or rng.random() < 0.1)
        for variant in FRAMES:
            finals[sample, seed, variant] = float(not (number == 0 and seed == 0))
    return finals


@pytest.fixture(scope="module")
def finals() -> dict[tuple[str, int, str], float]:
    return planted_scores(np.random.default_rng(0))


@pytest.fixture(scope="module")
def result(store: Store, finals: dict) -> Result:
    return effects(store, scores=scores(store, finals), activations=None)


def test_places_come_steps_before_frames(store: Store) -> None:
    places = noised_places(store)
    assert [place.variant for place in places] == [*STEPS, *FRAMES]
    assert [(place.at, place.index, place.label) for place in places][2:] == [
        ("frame", 0, "frame 0"),
        ("frame", 1, "frame 1"),
    ]
    assert {place.protocol for place in places} == {"replace"}


def test_effects_are_means_of_paired_differences(result: Result, finals: dict) -> None:
    keys = [(sample, seed) for sample in SAMPLES for seed in SEEDS]
    for variant in NOISES:
        differences = [finals[*key, variant] - finals[*key, "base"] for key in keys]
        expected = statistics.mean(differences, [sample for sample, _ in keys], bounds=(-1, 1))
        assert estimate_at(result.dataset, "effect", place=variant) == expected
    assert estimate_at(result.dataset, "score", variant="base").value == 1.0


def test_noise_at_steps_is_held_against_noise_in_frames(result: Result, finals: dict) -> None:
    per_run = np.array(
        [
            np.mean([finals[sample, seed, variant] for variant in STEPS])
            - np.mean([finals[sample, seed, variant] for variant in FRAMES])
            for sample in SAMPLES
            for seed in SEEDS
        ]
    )
    names = [sample for sample in SAMPLES for _ in SEEDS]
    found = estimate_at(result.dataset, "steps_less_frames", protocol="replace")
    expected = statistics.mean(per_run, names, bounds=(-1, 1))
    assert [found.value, found.low, found.high] == pytest.approx(
        [expected.value, expected.low, expected.high]
    )
    assert (found.n, found.samples, found.method) == (24, 12, expected.method)
    by_sample = per_run.reshape(len(SAMPLES), -1).mean(1)
    flipped = [abs(np.dot(signs, by_sample)) for signs in product((1, -1), repeat=len(SAMPLES))]
    p = np.mean([one >= abs(by_sample.sum()) - 1e-12 for one in flipped])
    assert float(result.dataset["steps_less_frames_p"].item()) == pytest.approx(p)
    assert p < 0.05


def test_energies_are_told_and_that_they_differ(result: Result) -> None:
    assert result.dataset["energy"].values.tolist() == [1.0, 1.0, 2.5, 2.5]
    assert result.dataset["mean_energy"].sel(protocol="replace").values.tolist() == [1.0, 2.5]
    assert any("2.50 times the energy" in note for note in json.loads(result.dataset.attrs["notes"]))


def test_p_values_hold_over_all_places(result: Result) -> None:
    told = result.dataset
    assert (told["effect_p_all"] >= told["effect_p"]).all()
    assert (told["effect_p_all"].sel(place=list(STEPS)) < 0.05).all()
    assert (told["effect_p_all"].sel(place=list(FRAMES)) > 0.5).all()


def test_the_same_seed_gives_the_same_result(store: Store, finals: dict, result: Result) -> None:
    again = effects(store, scores=scores(store, finals), activations=None)
    assert again.dataset.identical(result.dataset)


def test_a_metric_that_is_no_share_has_its_bounds(store: Store, finals: dict) -> None:
    told = scores(store, {key: 4 * value for key, value in finals.items()}, LENGTH)
    found = effects(store, scores=told, activations=None).dataset
    assert float(found["effect"].sel(place="noised-step-00")) < -2
    assert (found.attrs["low"], found.attrs["high"]) == (0.0, 10.0)


def test_distances_are_zero_for_the_same_and_one_for_uncorrelated_estimates(tmp_path: Path) -> None:
    base = random_estimates([("maze-00", 0, "base")])["maze-00", 0, "base"]
    noised = base.copy()
    # Step 0 as it was, step 1 turned around, and at the end the first frame taken away.
    noised[1] = -base[1]
    noised[2, :, 0] = 0
    estimates = {("maze-00", 0, "base"): base, ("maze-00", 0, "noised-step-01"): noised}
    store = plant(tmp_path / "store", estimates, {"noised-step-01": told(steps=[1])})
    found = effects(store, activations=None).dataset.isel(place=0)
    assert found["clean_distance"].values[0] == 0
    assert found["clean_distance"].values[1] == pytest.approx(np.sqrt(2), rel=1e-6)
    assert found["frame_distance"].values == pytest.approx([1, 0, 0])
    power = np.square(base[2].astype(float))
    left = power.sum() - power[:, 0].sum()
    expected = np.sqrt(power[:, 0].sum() / (power.sum() + left))
    assert float(found["final_distance"]) == pytest.approx(expected, rel=1e-6)
    assert "effect" not in found
    assert any("nothing is scored" in note for note in json.loads(found.attrs["notes"]))


def test_activations_are_unlike_as_far_as_they_share_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tokens = int(np.prod(GRID))
    rotation = np.linalg.qr(rng.standard_normal((CHANNELS, CHANNELS)))[0].astype(np.float32)
    activations, keys = {}, []
    for sample in SAMPLES:
        base = rng.standard_normal((len(SIGMAS) - 1, 2, tokens, CHANNELS)).astype(np.float32)
        noised = base.copy()
        # From step 1 on layer 0 is base turned and scaled, layer 1 has nothing to do with it.
        noised[1:, 0] = 3 * base[1:, 0] @ rotation
        noised[1:, 1] = rng.standard_normal(noised[1:, 1].shape)
        activations[sample, 0, "base"], activations[sample, 0, "noised-step-01"] = base, noised
        keys += [(sample, 0, "base"), (sample, 0, "noised-step-01")]
    store = plant(
        tmp_path / "store",
        random_estimates(keys),
        {"noised-step-01": told(steps=[1])},
        activations=activations,
    )
    found = effects(store, activations=What(tokens="all")).dataset.isel(place=0)
    assert found["unlike"].sel(step=0).values == pytest.approx(0, abs=1e-6)
    assert found["unlike"].sel(layer=0).values == pytest.approx(0, abs=1e-5)
    later = found["unlike"].sel(layer=1).values[1:]
    assert later == pytest.approx(1, abs=0.05)
    assert (found["unlike_low"].sel(layer=1).values[1:] <= later).all()
    assert (found["unlike_high"].sel(layer=1).values[1:] >= later).all()
    only = effects(store, activations=What(tokens="all", steps="1", layers="1")).dataset
    assert np.isnan(only["unlike"].sel(step=0).values).all()
    assert only["layer"].values.tolist() == [1]


def test_runs_that_a_variant_lacks_are_left_out_and_counted(tmp_path: Path) -> None:
    keys = [(sample, 0, variant) for sample in SAMPLES[:3] for variant in ("base", *STEPS)]
    store = plant(tmp_path / "store", random_estimates(keys[:-1]), NOISES)
    result = effects(store, activations=None)
    assert result.dataset["sample"].values.tolist() == SAMPLES[:2]
    assert any("1 base run left out" in note for note in result.provenance["notes"])
    with pytest.raises(SelectionError, match="no run of base has noised ones of all 2 variants"):
        effects(store, samples=SAMPLES[2], activations=None)


def test_two_protocols_are_told_apart(tmp_path: Path) -> None:
    noises = {
        "noised-step-00": told(steps=[0]),
        "noised-frame-00": told(frames=[0]),
        "noised-step-00-energy-0p5": told(steps=[0], how="mix", energy=0.5),
        "noised-frame-00-energy-0p5": told(frames=[0], how="mix", energy=0.5),
    }
    keys = [(sample, 0, variant) for sample in SAMPLES for variant in ("base", *noises)]
    energies = {variant: 0.5 if "energy" in variant else 1.0 for variant in noises}
    store = plant(tmp_path / "store", random_estimates(keys), noises, energies=energies)
    finals = {key: 0.0 if key[2] == "noised-step-00" else 1.0 for key in keys}
    found = effects(store, scores=scores(store, finals), activations=None)
    contrast = found.dataset["steps_less_frames"]
    assert contrast.sel(protocol="replace").item() == -1
    assert contrast.sel(protocol="matched, energy 0.5").item() == 0
    one = effects(store, variants="*-energy-*", scores=scores(store, finals), activations=None)
    assert one.dataset["protocol"].values.tolist() == ["matched, energy 0.5"]


def test_what_cannot_be_compared_is_refused(tmp_path: Path, store: Store, finals: dict) -> None:
    bare = plant(tmp_path / "bare", random_estimates([("maze-00", 0, "base")]), {})
    with pytest.raises(SelectionError, match="base runs only"):
        effects(bare)
    with pytest.raises(SelectionError, match="noised-step-09 is not there"):
        effects(store, variants="noised-step-09")
    lacking = {key: value for key, value in finals.items() if key[2] != "noised-step-01"}
    with pytest.raises(SelectionError, match="noised-step-01, are not scored"):
        effects(store, scores=scores(store, lacking))
    few = {key: value for key, value in finals.items() if key[:2] != ("maze-03", 1)}
    with pytest.raises(SelectionError, match="maze-03 seed 1 of base is not scored"):
        effects(store, scores=scores(store, few))
    with pytest.raises(SelectionError, match="metric length: the task maze has solved"):
        effects(store, scores=scores(store, finals), metric="length")
    two = {"noised-a": told(steps=[0]), "noised-b": told(steps=[1], frames=[0, 1])}
    keys = [("maze-00", 0, variant) for variant in ("base", *two)]
    with pytest.raises(SelectionError, match="two sweeps"):
        effects(plant(tmp_path / "two", random_estimates(keys), two))
    old = plant(tmp_path / "old", random_estimates(keys[:1]), {})
    clean = random_estimates(keys[:1])[keys[0]]
    with old.writer("maze-00", 0, "noised-a") as writer:
        writer.set_attrs({"intervention": told(steps=[0]), "prediction_type": "flow"})
        writer.set_schedule(1000 * SIGMAS[:-1], SIGMAS)
        for step, estimate in enumerate(clean):
            writer.write_noisy(step, estimate)
            writer.write_prediction(step, np.zeros_like(estimate))
        writer.write_noisy(len(clean), clean[-1])
        writer.finish()
    with pytest.raises(StoreError, match="does not say the energy"):
        effects(old)
