"""Differences paired by sample: p-values, verdicts, what a cost pays for."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from probes.ensembles.paired import (
    GAIN,
    NO_GAIN,
    NOT_TOLD,
    at_size,
    holm,
    pairs,
    seeds_paid,
    sign_flip_p,
    turned,
    verdict,
)
from probes.statistics import Estimate


def interval(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, low, high, 0.95, 9, 9, "made up", None, None)


@settings(max_examples=30)
@given(st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=8))
def test_few_samples_have_the_exact_share_of_signs(differences: list[float]) -> None:
    values = np.array(differences)
    means = [abs((values * signs).mean()) for signs in product([-1, 1], repeat=len(values))]
    assert sign_flip_p(values) == pytest.approx(np.mean(np.array(means) >= abs(values.mean()) - 1e-12))


def test_of_outcomes_it_is_the_exact_test_of_mcnemar() -> None:
    differences = np.array([1.0] * 9 + [-1.0] * 2 + [0.0] * 50)
    assert sign_flip_p(differences) == pytest.approx(binomtest(9, 11).pvalue)


def test_many_samples_are_drawn_and_the_same_seed_gives_the_same_number() -> None:
    differences = np.array([1.0] * 40 + [-1.0] * 20)
    drawn = sign_flip_p(differences, seed=3)
    assert drawn == sign_flip_p(differences, seed=3)
    assert drawn == pytest.approx(binomtest(40, 60).pvalue, abs=0.005)
    assert sign_flip_p(np.ones(200)) == pytest.approx(2 / 10_001)


def test_under_the_null_hypothesis_small_p_values_are_rare() -> None:
    rng = np.random.default_rng(0)
    found = [sign_flip_p(rng.choice([-1.0, 0.0, 1.0], 40), draws=400, seed=1) for _ in range(300)]
    assert np.mean(np.array(found) <= 0.05) < 0.09


@pytest.mark.parametrize("given", [[], [float("nan")], [[1.0, 2.0]]])
def test_differences_are_finite_numbers(given: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        sign_flip_p(given)


def test_holm_multiplies_the_smallest_by_all_tests() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([1.5])


def test_the_verdict_needs_both_rules_for_a_gain_and_one_for_none() -> None:
    above, below, across = interval(0.1, 0.2), interval(-0.2, -0.1), interval(-0.1, 0.1)
    nothing = interval(float("nan"), float("nan"))
    assert verdict([above, above]) == GAIN
    assert verdict([above, across]) == NOT_TOLD
    assert verdict([above, below]) == NO_GAIN
    assert verdict([nothing, nothing]) == NOT_TOLD


@pytest.mark.parametrize(
    ("cost", "paid"), [(12, 1), (15, 1.25), (24, 2), (35.999999999999, 3), (36, 3), (99, 4), (6, 1)]
)
def test_a_cost_pays_for_seeds_and_parts_of_them(cost: float, paid: float) -> None:
    assert seeds_paid(cost, 12, 4) == paid


def test_a_part_of_a_seed_is_one_more_for_that_part_of_the_samples() -> None:
    curve = [np.array([0.0, 0.4]), np.array([1.0, 0.8])]
    assert at_size(curve, 1.0).tolist() == [0.0, 0.4]
    assert at_size(curve, 2.0).tolist() == [1.0, 0.8]
    assert at_size(curve, 1.25) == pytest.approx([0.25, 0.5])


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.randoms(use_true_random=False))
def test_what_turns_right_less_what_turns_wrong_is_the_difference(samples, seeds, runs, random) -> None:
    before = np.array([[random.choice([0.0, 1.0]) for _ in range(seeds)] for _ in range(samples)])
    after = np.array([[random.choice([0.0, 1.0]) for _ in range(runs)] for _ in range(samples)])
    right, wrong = turned(*pairs(before, after, range(seeds), range(runs)))
    assert right - wrong == pytest.approx(after.mean(axis=1) - before.mean(axis=1))


def test_runs_of_the_same_seeds_are_paired_by_seed() -> None:
    before, after = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert [one.tolist() for one in turned(*pairs(before, after, (0, 1), (0, 1)))] == [[0.5], [0.5]]
    # Each with each: of four pairs one turns right, and one turns wrong.
    assert [one.tolist() for one in turned(*pairs(before, after, (0, 1), (2, 3)))] == [[0.25], [0.25]]
