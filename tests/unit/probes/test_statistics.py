"""Intervals: against closed forms, against scipy, and by their coverage over simulated experiments."""

import json
import math

import numpy as np
import pytest
import scipy.stats

from probes import statistics
from probes.statistics import cluster_bootstrap, describe, mean, means, proportion, wilson


def test_wilson_equals_the_published_formula_as_scipy_computes_it():
    for successes, n in [(0, 1), (1, 1), (0, 20), (3, 7), (15, 20), (281, 512), (512, 512)]:
        for level in (0.9, 0.95, 0.99):
            theirs = scipy.stats.binomtest(successes, n).proportion_ci(level, method="wilson")
            assert wilson(successes, n, level) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_of_no_success_starts_at_zero_and_has_a_width():
    low, high = wilson(0, 10)
    z2 = scipy.stats.norm.ppf(0.975) ** 2
    assert low == 0.0
    assert high == pytest.approx(z2 / (10 + z2))


@pytest.mark.parametrize(("successes", "n"), [(-1, 3), (4, 3), (0, 0)])
def test_wilson_refuses_what_is_no_proportion(successes, n):
    with pytest.raises(ValueError, match="proportion"):
        wilson(successes, n)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_with_one_run_a_sample_it_is_scipys_ordinary_bootstrap(method):
    values = np.random.default_rng(3).lognormal(size=24)
    ours = mean(values, range(24), seed=1, draws=60_000, method=method)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=60_000, method=method, rng=np.random.default_rng(0), vectorized=True
    ).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, rel=0.01)
    assert ours.high == pytest.approx(theirs.high, rel=0.01)


def test_bca_equals_the_formulas_of_efron_and_tibshirani():
    """The draws of `cluster_bootstrap` repeated by hand, and equations 14.9 to 14.15 written out."""
    rng = np.random.default_rng(5)
    samples = np.repeat(np.arange(12), rng.integers(1, 5, size=12))
    values = rng.exponential(size=samples.size)
    ours = cluster_bootstrap(lambda rows: float(np.median(values[rows])), samples.tolist(), seed=9, draws=400)

    again = np.random.default_rng(9)
    drawn = []
    for _ in range(400):
        picked = again.integers(0, 12, 12)
        drawn.append(np.median(np.concatenate([values[samples == sample] for sample in picked])))
    drawn = np.array(drawn)
    theta = np.median(values)
    jackknife = np.array([np.median(values[samples != sample]) for sample in range(12)])
    z0 = scipy.stats.norm.ppf(np.mean(drawn < theta) + np.mean(drawn == theta) / 2)
    away = jackknife.mean() - jackknife
    a = np.sum(away**3) / (6 * np.sum(away**2) ** 1.5)
    bounds = [
        np.quantile(drawn, scipy.stats.norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z))))
        for z in scipy.stats.norm.ppf([0.025, 0.975])
    ]
    assert (ours.low, ours.high) == pytest.approx(tuple(bounds), abs=1e-12)


def test_a_mean_agrees_with_the_general_bootstrap_of_the_same_statistic():
    rng = np.random.default_rng(0)
    samples = np.repeat(np.arange(20), 3)
    values = rng.normal(size=20).repeat(3) + rng.normal(size=60)
    quick = mean(values, samples.tolist(), draws=20_000)
    general = cluster_bootstrap(lambda rows: float(values[rows].mean()), samples.tolist(), draws=8_000)
    assert quick.value == pytest.approx(general.value)
    assert quick.low == pytest.approx(general.low, abs=0.02)
    assert quick.high == pytest.approx(general.high, abs=0.02)


def test_few_samples_get_students_t_and_with_equal_sizes_it_is_the_textbook_one():
    values = np.array([1.0, 3.0, 2.0, 6.0, 5.0, 4.0])
    estimate = mean(values, ["a", "a", "b", "b", "c", "c"])
    per_sample = np.array([2.0, 4.0, 4.5])
    theirs = scipy.stats.ttest_1samp(per_sample, 0).confidence_interval()
    assert (estimate.low, estimate.high) == pytest.approx((theirs.low, theirs.high))
    assert (estimate.n, estimate.samples, estimate.seed) == (6, 3, None)
    assert "Student" in estimate.method


def test_a_one_sided_bound_cuts_the_interval_off():
    free, cut = mean([0.1, 0.9], ["a", "b"]), mean([0.1, 0.9], ["a", "b"], bounds=(0, math.inf))
    assert free.low < 0
    assert (cut.low, cut.high) == (0.0, free.high)


def test_few_samples_of_a_bounded_measure_get_wilsons_interval_between_its_bounds():
    estimate = mean([2.0, 10.0], ["a", "b"], bounds=(0, 12))
    low, high = wilson(1, 2)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((6, 12 * low, 12 * high))


def test_values_that_are_all_alike_are_not_taken_for_certain():
    samples = list(range(16))
    bounded = mean(np.ones(16), samples, bounds=(0, 1))
    assert (bounded.low, bounded.high) == pytest.approx(wilson(16, 16))
    assert math.isnan(mean(np.ones(16), samples).low)
    mixed = means(np.stack([np.ones(16), np.arange(16) / 16], axis=1), samples, bounds=(0, 1))
    assert mixed[0] == bounded
    assert "bootstrap" in mixed[1].method


def test_one_sample_has_a_value_and_no_interval_however_many_runs():
    estimate = mean([1.0, 2.0, 3.0], ["a"] * 3)
    assert estimate.value == 2.0
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)
    assert estimate.interval_text == "no interval"
    assert estimate.as_dict()["low"] is None
    json.dumps(estimate.as_dict(), allow_nan=False)


def test_outcomes_that_are_all_alike_still_have_an_interval():
    samples = np.repeat(np.arange(16), 4).tolist()
    estimate = proportion(np.zeros(64), samples)
    assert (estimate.low, estimate.high) == pytest.approx(wilson(0, 16))


def test_copies_of_a_run_do_not_narrow_the_interval():
    """Sixteen samples run eight times with the same outcome know as much as sixteen runs."""
    outcomes = np.array([1, 0] * 8)
    once = proportion(outcomes, list(range(16)))
    copied = proportion(outcomes.repeat(8), np.arange(16).repeat(8).tolist())
    assert copied.n == 128
    assert copied.samples == 16
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high), abs=1e-9)


@pytest.mark.parametrize("samples", [2, 4, 12, 24])
def test_the_interval_of_a_proportion_covers_the_truth_as_often_as_it_says(samples):
    """400 experiments with strongly clustered runs; at 0.95 fewer than 1 in 100 of them fall below 0.92."""
    rng = np.random.default_rng(samples)
    names = np.arange(samples).repeat(4).tolist()
    hits = 0
    for experiment in range(400):
        chance = rng.beta(1.2, 0.8, size=samples)
        outcomes = rng.random((samples, 4)) < chance[:, None]
        estimate = proportion(outcomes.ravel(), names, seed=experiment, draws=500)
        hits += estimate.low <= 0.6 <= estimate.high
    assert hits / 400 > 0.92


@pytest.mark.parametrize(("samples", "chance"), [(2, 0.9), (5, 0.9), (8, 0.5)])
def test_the_interval_of_a_bounded_mean_covers_the_truth_with_few_samples(samples, chance):
    """Where Student's t would not: values that pile up near a bound."""
    rng = np.random.default_rng(samples)
    names = np.arange(samples).repeat(2).tolist()
    hits = 0
    for _ in range(400):
        values = rng.beta(chance, 1 - chance, size=samples).repeat(2)
        estimate = mean(values, names, bounds=(0, 1))
        hits += estimate.low <= chance <= estimate.high
    assert hits / 400 > 0.92


def test_ignoring_the_samples_would_cover_far_too_little():
    """The reason for clusters: the same experiments with each run taken as independent."""
    rng = np.random.default_rng(24)
    hits = 0
    for experiment in range(200):
        chance = rng.beta(0.3, 0.2, size=24)
        outcomes = (rng.random((24, 8)) < chance[:, None]).ravel()
        estimate = proportion(outcomes, range(192), seed=experiment, draws=300)
        hits += estimate.low <= 0.6 <= estimate.high
    assert hits / 200 < 0.8


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.random.default_rng(0).normal(size=30)
    assert mean(values, range(30), seed=4) == mean(values, range(30), seed=4)
    assert mean(values, range(30), seed=4).low != mean(values, range(30), seed=5).low


def test_columns_share_their_draws():
    values = np.random.default_rng(0).normal(size=(30, 3))
    together = means(values, range(30), seed=4)
    for column, estimate in enumerate(together):
        alone = mean(values[:, column], range(30), seed=4)
        assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
            (alone.value, alone.low, alone.high)
        )


def test_many_samples_are_drawn_in_bounded_blocks(monkeypatch):
    values = np.random.default_rng(0).normal(size=40)
    whole = mean(values, range(40), draws=1000)
    monkeypatch.setattr(statistics, "_CHUNK", 4096)
    assert mean(values, range(40), draws=1000) == whole


def test_the_caption_names_n_interval_and_seed():
    values = np.random.default_rng(0).normal(size=40)
    samples = np.arange(20).repeat(2).tolist()
    text = describe([mean(values, samples, seed=7)])
    assert (
        text == "n = 40 runs of 20 samples; 95% interval: cluster bootstrap by sample, BCa; bootstrap seed 7"
    )
    assert describe([mean([1.0], ["a"])]) == "n = 1 run of 1 sample; no interval: one sample"
    assert describe([mean([1.0, 2.0], "ab")], "sample") == (
        "n = 2 samples; 95% interval: Student t over samples; no random draws"
    )


def test_a_caption_cannot_join_different_n():
    with pytest.raises(ValueError, match="different n"):
        describe([mean([1.0, 2.0], "ab"), mean([1.0, 2.0, 3.0], "abc")])


@pytest.mark.parametrize(
    ("values", "samples", "message"),
    [
        ([], [], "no runs"),
        ([1.0, math.nan], "ab", "finite"),
        ([1.0], "ab", "1 values but 2 samples"),
        ([[1.0]], "a", r"\(run,\)"),
    ],
)
def test_bad_observations_are_refused(values, samples, message):
    with pytest.raises(ValueError, match=message):
        mean(values, samples)


def test_a_proportion_of_anything_but_zero_and_one_is_refused():
    with pytest.raises(ValueError, match="0 or 1"):
        proportion([0.5, 1.0], "ab")


def test_a_statistic_that_some_draws_cannot_give_is_refused():
    values = np.array([math.nan, 1.0, 2.0])
    with pytest.raises(ValueError, match="not finite"):
        cluster_bootstrap(lambda rows: float(values[rows].max()), list("abc"), draws=50)
