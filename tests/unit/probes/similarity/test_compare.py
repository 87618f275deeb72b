"""A store's similarity is that of its rows, by every comparison, and is found where it was planted alone."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from probes.similarity.cka import linear_cka
from probes.similarity.compare import similarity
from probes.similarity.rsa import rsa
from stores import SelectionError, Store, StoreError
from tests.unit.probes.similarity.making import (
    CHANNELS,
    GRID,
    TOKENS,
    add_run,
    cka,
    make_store,
    noise,
)

SAMPLES, SEEDS = ("a", "b", "c", "d"), (0, 1)


def shared(sample: str, seed: int, step: int, layer: int) -> np.ndarray:
    """Layers share a part of what a run holds, so that nothing is 0 or 1."""
    return noise(sample, seed, step, layer) + 0.8 * noise(sample, 9, 9, 9) + 2 * (layer + 1)


def rows(values, step: int, layer: int, samples=SAMPLES, seeds=SEEDS) -> np.ndarray:
    parts = [values(sample, seed, step, layer).astype(np.float32) for sample in samples for seed in seeds]
    return np.concatenate(parts)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path / "store", shared)


def test_layers_are_compared_over_all_tokens_of_all_runs_at_each_step(store: Store):
    dataset = similarity(store, tokens="all").dataset
    assert dataset["cka"].dims == ("step", "layer", "other_layer")
    for step in (0, 1):
        for one, other in combinations(range(3), 2):
            expected = cka(rows(shared, step, one), rows(shared, step, other))
            assert dataset["cka"].values[step, one, other] == pytest.approx(expected, abs=1e-8)
            assert dataset["cka"].values[step, other, one] == dataset["cka"].values[step, one, other]
            plain = linear_cka(rows(shared, step, one), rows(shared, step, other), debiased=False)
            assert dataset["biased"].values[step, one, other] == pytest.approx(plain, abs=1e-10)
    assert np.allclose(dataset["cka"].values[:, range(3), range(3)], 1)
    assert (int(dataset["rows"]), int(dataset["runs"]), int(dataset["samples"])) == (8 * TOKENS, 8, 4)


def test_the_interval_is_the_jackknife_that_leaves_out_whole_samples(store: Store):
    from scipy import stats

    dataset = similarity(store, steps=0, layers="0,1", tokens="all").dataset
    without = []
    for left_out in SAMPLES:
        kept = [sample for sample in SAMPLES if sample != left_out]
        without.append(cka(rows(shared, 0, 0, kept), rows(shared, 0, 1, kept)))
    error = np.sqrt(3 / 4 * np.sum((np.array(without) - np.mean(without)) ** 2))
    half = stats.t.ppf(0.975, 3) * error
    value = dataset["cka"].values[0, 0, 1]
    assert dataset["low"].values[0, 0, 1] == pytest.approx(value - half, abs=1e-8)
    assert dataset["high"].values[0, 0, 1] == pytest.approx(value + half, abs=1e-8)


def test_steps_and_the_whole_grid_are_compared_with_themselves(store: Store):
    steps = similarity(store, "steps", tokens="all").dataset["cka"]
    grid = similarity(store, "grid", tokens="all").dataset["cka"]
    assert steps.dims == ("layer", "step", "other_step")
    assert grid.dims == ("step", "layer", "other_step", "other_layer")
    expected = cka(rows(shared, 0, 2), rows(shared, 1, 2))
    assert steps.values[2, 0, 1] == pytest.approx(expected, abs=1e-8)
    assert grid.values[0, 2, 1, 2] == grid.values[1, 2, 0, 2] == pytest.approx(expected, abs=1e-8)
    assert grid.values[1, 0, 0, 2] == pytest.approx(cka(rows(shared, 1, 0), rows(shared, 0, 2)), abs=1e-8)


def test_seeds_of_a_sample_are_compared_token_by_token(tmp_path: Path):
    store = make_store(tmp_path / "store", shared, seeds=(0, 1, 4))
    dataset = similarity(store, "seeds", tokens="all").dataset
    expected = np.mean(
        [
            cka(rows(shared, 1, 2, seeds=[a]), rows(shared, 1, 2, seeds=[b]))
            for a, b in ((0, 1), (0, 4), (1, 4))
        ]
    )
    assert dataset["cka"].values[1, 2] == pytest.approx(expected, abs=1e-8)
    assert int(dataset["runs"]) == 12


def test_samples_are_compared_in_pairs_and_left_out_with_all_their_pairs(store: Store):
    dataset = similarity(store, "samples", tokens="all", steps=0, layers=1).dataset
    found = {
        pair: cka(rows(shared, 0, 1, [pair[0]]), rows(shared, 0, 1, [pair[1]]))
        for pair in combinations(SAMPLES, 2)
    }
    assert dataset["cka"].values[0, 0] == pytest.approx(np.mean(list(found.values())), abs=1e-8)
    without = [np.mean([v for pair, v in found.items() if one not in pair]) for one in SAMPLES]
    error = np.sqrt(3 / 4 * np.sum((np.array(without) - np.mean(without)) ** 2))
    width = dataset["high"].values[0, 0] - dataset["low"].values[0, 0]
    assert width == pytest.approx(2 * 3.182446305284263 * error, abs=1e-8)
    assert dataset["shuffle"].values.tolist() == ["tokens"]


def test_a_variant_is_compared_with_the_base_run_of_the_same_sample_and_seed(store: Store):
    def noised(sample: str, seed: int, step: int, layer: int) -> np.ndarray:
        return shared(sample, seed, step, layer) + (step + 1) * noise(sample + "x", seed, step, layer)

    for sample in SAMPLES:
        for seed in SEEDS:
            add_run(store, sample, seed, noised, variant="noised")
    dataset = similarity(store, "variants", tokens="all").dataset
    expected = cka(rows(shared, 1, 2), rows(noised, 1, 2))
    assert dataset["cka"].values[1, 2] == pytest.approx(expected, abs=1e-8)
    assert (dataset["cka"].values[0] > dataset["cka"].values[1]).all()


def test_another_store_is_compared_where_both_have_the_run_and_the_place(store: Store, tmp_path: Path):
    other = make_store(tmp_path / "other", noise, samples=("b", "c", "d", "e"), layers=(0, 2))
    result = similarity(store, other=other, tokens="all")
    dataset = result.dataset
    assert dataset["layer"].values.tolist() == [0, 2]
    kept = ("b", "c", "d")
    expected = cka(rows(shared, 1, 2, kept), rows(noise, 1, 2, kept))
    assert dataset["cka"].values[1, 1] == pytest.approx(expected, abs=1e-8)
    assert result.provenance["asked"]["samples"] == ["b", "c", "d"]
    assert any("layers that all runs hold: 0,2" in note for note in result.provenance["notes"])


def test_a_run_that_holds_fewer_layers_leaves_those_of_all(store: Store):
    add_run(store, "d", 2, shared, layers=(0, 2))
    add_run(store, "a", 2, shared)
    for sample in ("b", "c"):
        add_run(store, sample, 2, shared)
    result = similarity(store, tokens="all")
    assert result.dataset["layer"].values.tolist() == [0, 2]
    assert int(result.dataset["runs"]) == 12
    assert any("layers that all runs hold: 0,2" in note for note in result.provenance["notes"])


def test_other_channels_are_no_hindrance(store: Store, tmp_path: Path):
    def wide(*at) -> np.ndarray:
        return np.concatenate([noise(*at), shared(*at)[:, :3]], axis=1)

    other = make_store(tmp_path / "other", wide)
    found = similarity(store, other=other, tokens="all").dataset["cka"].values[0, 1]
    assert found == pytest.approx(cka(rows(shared, 0, 1), rows(wide, 0, 1)), abs=1e-8)


def test_runs_as_rows_are_the_means_of_their_tokens(store: Store):
    dataset = similarity(store, rows="runs", steps=1).dataset

    def means(layer: int) -> np.ndarray:
        return rows(shared, 1, layer).reshape(8, TOKENS, CHANNELS).astype(np.float64).mean(axis=1)

    assert dataset["cka"].values[0, 0, 2] == pytest.approx(cka(means(0), means(2)), abs=1e-8)
    assert int(dataset["rows"]) == 8
    ranked = similarity(store, rows="runs", steps=1, measure="rsa").dataset
    assert ranked["rsa"].values[0, 0, 2] == pytest.approx(rsa(means(0), means(2)), abs=1e-8)


def test_rsa_is_taken_in_each_run_and_averaged(store: Store):
    dataset = similarity(
        store, measure="rsa", distance="euclidean", agreement="pearson", tokens="all"
    ).dataset
    each = [
        rsa(shared(a, s, 1, 0), shared(a, s, 1, 2), distance="euclidean", agreement="pearson")
        for a in SAMPLES
        for s in SEEDS
    ]
    assert dataset["rsa"].values[1, 0, 2] == pytest.approx(np.mean(each), abs=1e-6)
    assert dataset["low"].values[1, 0, 2] < np.mean(each) < dataset["high"].values[1, 0, 2]
    assert dataset.attrs["method"] == "Student t over samples"


# Of RSA in runs of 24 tokens chance is wider than of CKA over all 192 rows.
@pytest.mark.parametrize(("measure", "chance"), [("cka", 0.05), ("rsa", 0.2)])
def test_what_is_planted_is_found_there_and_nowhere_else(tmp_path: Path, measure: str, chance: float):
    """Layers 1 and 2 hold the same at step 1, turned and scaled; all else is unrelated."""
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(64, 64)))[0]

    def planted(sample: str, seed: int, step: int, layer: int) -> np.ndarray:
        copied = (step, layer) == (1, 2)
        label = f"{sample} {seed} {step} {1 if copied else layer}"
        values = np.random.default_rng(list(label.encode())).normal(size=(TOKENS, 64))
        return 5 * values @ turn if copied else values

    store = make_store(tmp_path / "store", planted)
    found = similarity(store, measure=measure, tokens="all", distance="euclidean").dataset[measure]
    assert found.values[1, 1, 2] == pytest.approx(1, abs=1e-5)
    for step in (0, 1):
        for one, other in combinations(range(3), 2):
            if (step, one, other) != (1, 1, 2):
                assert abs(found.values[step, one, other]) < chance


@pytest.mark.parametrize("measure", ["cka", "rsa"])
def test_baselines_keep_position_or_the_run_and_nothing_else(tmp_path: Path, measure: str):
    """What all runs share by position survives an exchange of samples; what is a run's own does not."""

    def by_position(sample: str, seed: int, step: int, layer: int) -> np.ndarray:
        return noise("position", 0, 0, 0)

    def by_run(sample: str, seed: int, step: int, layer: int) -> np.ndarray:
        return noise(sample, seed, 0, 0)

    place = similarity(make_store(tmp_path / "place", by_position), tokens="all", measure=measure, shuffles=3)
    own = similarity(make_store(tmp_path / "own", by_run), tokens="all", measure=measure, shuffles=3)
    for result, left in ((place, 1.0), (own, 0.0)):
        assert np.allclose(result.dataset[measure], 1)
        baseline = result.dataset["baseline"]
        assert np.allclose(baseline.sel(shuffle="samples"), left, atol=0.06)
        assert np.allclose(baseline.sel(shuffle="tokens"), 0, atol=0.06)


def test_tokens_that_all_hold_what_their_run_is_survive_a_shuffle_of_tokens(tmp_path: Path):
    def constant(sample: str, seed: int, step: int, layer: int) -> np.ndarray:
        return np.repeat(noise(sample, seed, 0, 0)[:1], TOKENS, axis=0)

    baseline = similarity(make_store(tmp_path / "store", constant), tokens="all").dataset["baseline"]
    assert np.allclose(baseline.sel(shuffle="tokens"), 1)
    assert (baseline.sel(shuffle="samples") < 0.9).all()


def test_some_tokens_are_the_same_ones_in_every_run_and_again_for_the_same_seed(store: Store):
    first, again = (similarity(store, tokens=7, seed=3).dataset for _ in range(2))
    assert first.equals(again)
    assert not first.equals(similarity(store, tokens=7, seed=4).dataset)
    chosen = np.sort(np.random.default_rng([3, TOKENS]).choice(TOKENS, 7, replace=False))
    parts = [
        np.concatenate([shared(a, s, 1, layer).astype(np.float32)[chosen] for a in SAMPLES for s in SEEDS])
        for layer in (0, 1)
    ]
    assert first["cka"].values[1, 0, 1] == pytest.approx(cka(*parts), abs=1e-8)


def test_a_layer_that_does_not_vary_is_not_a_number_and_said(tmp_path: Path):
    def flat(sample: str, seed: int, step: int, layer: int) -> np.ndarray:
        return np.full((TOKENS, CHANNELS), 0.3) if layer == 1 else noise(sample, seed, step, layer)

    store = make_store(tmp_path / "store", flat)
    for measure in ("cka", "rsa"):
        result = similarity(store, measure=measure, tokens="all")
        values = result.dataset[measure].values
        assert np.isnan(values[:, 1]).all()
        assert np.isfinite(values[:, 0, 2]).all()
        assert any("NaN in 10 of 18 cells" in note for note in result.provenance["notes"])
        assert any("does not vary" in line for line in result.summary())


def test_samples_without_all_seeds_are_left_out_and_named(store: Store):
    add_run(store, "half-made", 0)
    result = similarity(store)
    assert result.provenance["asked"]["samples"] == list(SAMPLES)
    assert result.provenance["notes"] == ["left out for want of seeds 0-1: half-made"]


def test_one_sample_has_no_interval_and_no_exchange(store: Store):
    dataset = similarity(store, samples="a").dataset
    assert np.isnan(dataset["low"]).all()
    assert dataset["shuffle"].values.tolist() == ["tokens"]
    assert not similarity(store, shuffles=0).dataset.data_vars.keys() & {"baseline"}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"across": "columns"}, '"columns" cannot be compared across; there are layers, steps'),
        ({"layers": "0-5"}, "there is no layer 5; every chosen run has layers 0-2"),
        ({"layers": "1"}, "one layer only, and nothing to compare it with"),
        ({"across": "seeds", "seeds": "1"}, "there is seed 1 only"),
        ({"across": "samples", "samples": "a"}, "there is a only"),
        ({"across": "variants"}, "has base only; compare with another store"),
        ({"across": "variants", "other_variant": "noised"}, "no runs of the variant noised; it has base"),
        ({"across": "stores"}, "say which other store"),
        ({"rows": "runs", "samples": "a"}, "at least 4 rows, not 2"),
        ({"measure": "rsa", "tokens": 2}, "at least 3 tokens of each run, not 2"),
        ({"samples": "z"}, "z"),
        ({"tokens": 0}, "give a number from 1"),
        ({"measure": "cca"}, "there are cka, rsa"),
        ({"host_memory": 1000}, "too little for a single pair"),
    ],
)
def test_what_cannot_be_compared_is_said(store: Store, asked: dict, message: str):
    with pytest.raises(SelectionError, match=message):
        similarity(store, **asked)


def test_stores_that_cannot_be_compared_are_told_apart(store: Store, tmp_path: Path):
    cases = {
        "no samples in common": make_store(tmp_path / "samples", samples=("x", "y")),
        "no seeds in common": make_store(tmp_path / "seeds", seeds=(7,)),
        "token grid 2x3x4.*the token grid 4x3x2": make_store(tmp_path / "grid", grid=(4, 3, 2)),
        "runs of 2 steps .* those of 5": make_store(tmp_path / "steps", num_steps=5),
        "compared with itself": store,
    }
    assert GRID != (4, 3, 2)
    for message, other in cases.items():
        with pytest.raises(SelectionError, match=message):
            similarity(store, other=other)


def test_a_value_that_is_no_number_is_damage_and_said(store: Store):
    def broken(sample: str, seed: int, step: int, layer: int) -> np.ndarray:
        values = shared(sample, seed, step, layer)
        values[3, 2] = math.inf if (step, layer) == (1, 1) else values[3, 2]
        return values

    for seed in SEEDS:
        add_run(store, "e", seed, broken)
    with pytest.raises(StoreError, match="NaN or infinity at step 1, layer 1"):
        similarity(store, tokens="all")
