"""Sign flips over samples, of one place and over all of them together."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import permutation_test

from probes.noising.sign_flips import flips, sign_flip_tests


def test_all_of_one_size_and_sign_is_the_rarest_of_all_flips() -> None:
    alone, together = sign_flip_tests(np.full((1, 5), -0.5))
    assert alone[0] == together[0] == 2 / 2**5


def test_one_place_is_what_scipy_says() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((4, 9)) + 0.5
    alone, _ = sign_flip_tests(values)
    for row, p in zip(values, alone, strict=True):
        expected = permutation_test(
            (row,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
        )
        assert p == pytest.approx(expected.pvalue)


def test_over_all_places_the_greatest_statistic_of_each_flip_counts() -> None:
    values = np.random.default_rng(1).standard_normal((3, 6)) + np.array([[0.0], [0.6], [1.2]])
    _, together = sign_flip_tests(values)
    scale = np.sqrt((values**2).sum(1))
    greatest = [max(abs((values * np.array(signs)).sum(1)) / scale) for signs in product((1, -1), repeat=6)]
    for place, p in enumerate(together):
        own = abs(values[place].sum()) / scale[place]
        assert p == pytest.approx(np.mean([other >= own - 1e-12 for other in greatest]))


def test_drawn_flips_are_near_all_of_them_and_the_same_again() -> None:
    values = np.random.default_rng(2).standard_normal((2, 14)) + 0.4
    every = np.array(list(product((1.0, -1.0), repeat=14)))
    observed = abs(values.sum(1))
    exact = (abs(every @ values.T) >= observed - 1e-12).mean(0)
    alone, together = sign_flip_tests(values, seed=3)
    assert alone == pytest.approx(exact, abs=0.02)
    assert np.array_equal(alone, sign_flip_tests(values, seed=3)[0])
    assert (together >= alone - 1e-12).all()
    assert len(flips(14, draws=50)) == 50


def test_no_difference_is_no_finding() -> None:
    alone, together = sign_flip_tests(np.zeros((2, 4)))
    assert (alone == 1).all()
    assert (together == 1).all()


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((0, 3)), np.array([[1.0, np.nan]])])
def test_what_is_no_table_of_numbers_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="finite"):
        sign_flip_tests(values)
