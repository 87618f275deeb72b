"""Corrections for many tests, against their definitions written out cell by cell."""

import numpy as np
import pytest
import scipy.stats

from probes.probing.multiple_tests import benjamini_hochberg, family_wise, permutation_p

RNG = np.random.default_rng(0)
OBSERVED = RNG.normal(1.0, 1.0, 30)
NULLS = RNG.normal(0.0, 1.0, (30, 199))


def by_maximum(observed, nulls):
    result = []
    for value in observed:
        greater = sum(max(nulls[cell][draw] for cell in range(len(nulls))) >= value for draw in range(199))
        result.append((1 + greater) / 200)
    return np.array(result)


def test_the_max_statistic_is_its_definition():
    np.testing.assert_allclose(family_wise(OBSERVED, NULLS), by_maximum(OBSERVED, NULLS), atol=1e-8)


def test_a_single_cell_needs_no_correction():
    alone = permutation_p(OBSERVED[:1], NULLS[:1])
    assert alone == (1 + (NULLS[0] >= OBSERVED[0]).sum()) / 200
    np.testing.assert_array_equal(family_wise(OBSERVED[:1], NULLS[:1]), alone)


def test_a_null_equal_to_the_observation_up_to_rounding_counts():
    nulls = np.array([[0.3 - 1e-16, 0.1, 0.2]])
    assert permutation_p([0.1 + 0.2], nulls) == pytest.approx(0.5)
    assert family_wise([0.1 + 0.2], nulls) == pytest.approx(0.5)


def test_benjamini_and_hochberg_equal_the_definition_and_scipy():
    p = np.r_[RNG.uniform(size=40) ** 3, 0.02, 0.02]
    ordered = np.sort(p)
    expected = [
        min(1.0, *(ordered[j] * len(p) / (j + 1) for j in range(len(p)) if ordered[j] >= value))
        for value in p
    ]
    np.testing.assert_allclose(benjamini_hochberg(p), expected, atol=1e-8)
    np.testing.assert_allclose(benjamini_hochberg(p), scipy.stats.false_discovery_control(p), atol=1e-12)


@pytest.mark.parametrize("p", [[], [0.5, 1.1], [np.nan], [[0.5]]])
def test_what_are_no_p_values_are_refused(p):
    with pytest.raises(ValueError, match="between 0 and 1"):
        benjamini_hochberg(p)


@pytest.mark.parametrize(
    ("observed", "nulls"), [([1.0], [[1.0], [2.0]]), ([1.0], [[]]), ([np.nan], [[1.0]]), ([1.0], [[np.nan]])]
)
@pytest.mark.parametrize("function", [permutation_p, family_wise])
def test_statistics_that_do_not_fit_are_refused(function, observed, nulls):
    with pytest.raises(ValueError, match=r"expected|NaN"):
        function(observed, nulls)
