"""CKA is what its formulas say, in both forms, and does not see what it must not see."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.similarity.cka import linear_cka, u_centred
from probes.similarity.moments import Cross, Side
from probes.similarity.moments import unbiased_hsic as streamed_hsic
from stores import SelectionError
from tests.unit.probes.similarity.making import biased_hsic, cka, unbiased_hsic

SHAPES = [(4, 3, 2), (9, 4, 7), (12, 30, 5), (25, 6, 6)]


def matrices(rows: int, channels: int, others: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, rows])
    x = rng.normal(size=(rows, channels)) + 3
    # Half of it is shared, so that the value lies between the ends.
    y = rng.normal(size=(rows, others)) + 0.7 * x[:, :1] - 5
    return x, y


@pytest.mark.parametrize("form", ["features", "gram"])
@pytest.mark.parametrize(("rows", "channels", "others"), SHAPES)
def test_debiased_cka_is_the_formula_of_song_over_gram_matrices(form, rows, channels, others):
    x, y = matrices(rows, channels, others)
    assert linear_cka(x, y, form=form) == pytest.approx(cka(x, y), abs=1e-8)


@pytest.mark.parametrize("form", ["features", "gram"])
@pytest.mark.parametrize(("rows", "channels", "others"), SHAPES)
def test_biased_cka_is_that_of_centred_gram_matrices(form, rows, channels, others):
    x, y = matrices(rows, channels, others)
    expected = cka(x, y, biased_hsic)
    assert linear_cka(x, y, debiased=False, form=form) == pytest.approx(expected, abs=1e-8)


def test_the_unbiased_hsic_of_sums_is_that_of_explicit_sums_without_any_normalisation():
    x, y = matrices(11, 5, 8)
    streamed = streamed_hsic(Side.of(x), Side.of(y), Cross.of(x, y))
    assert streamed == pytest.approx(unbiased_hsic(x @ x.T, y @ y.T), rel=1e-10)


def test_the_unbiased_hsic_is_the_mean_over_all_quadruples_of_distinct_rows():
    """Song et al. 2012, theorem 5: the U-statistic that the closed form sums up."""
    from itertools import permutations

    x, y = matrices(6, 3, 2)
    k, m = x @ x.T, y @ y.T
    terms = [k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(6), 4)]
    assert streamed_hsic(Side.of(x), Side.of(y), Cross.of(x, y)) == pytest.approx(np.mean(terms), rel=1e-9)


def test_rows_of_a_u_centred_matrix_add_up_to_nothing():
    x, _ = matrices(7, 3, 2)
    assert np.allclose(u_centred(x @ x.T).sum(axis=0), 0)


@given(
    st.integers(0, 10_000),
    st.floats(0.01, 100),
    st.floats(-50, 50),
    st.sampled_from([True, False]),
    st.sampled_from(["features", "gram"]),
)
def test_rotations_one_scale_for_all_and_shifts_change_nothing(seed, scale, shift, debiased, form):
    x, y = matrices(10, 4, 6, seed)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4)))
    plain = linear_cka(x, y, debiased=debiased, form=form)
    moved = linear_cka(scale * x @ rotation + shift, y, debiased=debiased, form=form)
    assert moved == pytest.approx(plain, abs=1e-8)


@given(st.integers(0, 10_000))
def test_it_is_symmetric_bounded_and_one_with_itself(seed):
    x, y = matrices(8, 5, 3, seed)
    assert linear_cka(x, y) == pytest.approx(linear_cka(y, x), abs=1e-12)
    assert -1 <= linear_cka(x, y) <= 1
    assert linear_cka(x, x) == pytest.approx(1, abs=1e-12)
    assert 0 <= linear_cka(x, y, debiased=False) <= 1


def test_of_unrelated_rows_the_debiased_is_zero_on_the_mean_and_the_biased_far_above():
    rng = np.random.default_rng(5)
    drawn = [(rng.normal(size=(20, 60)), rng.normal(size=(20, 60))) for _ in range(400)]
    debiased = np.array([linear_cka(x, y) for x, y in drawn])
    error = debiased.std() / math.sqrt(len(debiased))
    assert abs(debiased.mean()) < 4 * error < 0.02
    assert np.mean([linear_cka(x, y, debiased=False) for x, y in drawn[:20]]) > 0.6


@pytest.mark.parametrize("form", ["features", "gram"])
def test_what_does_not_vary_is_not_a_number(form):
    x, y = matrices(9, 4, 4)
    assert math.isnan(linear_cka(np.full((9, 4), 1 / 3), y, form=form))
    assert math.isnan(linear_cka(x, np.zeros((9, 2)), form=form, debiased=False))


def test_a_distant_mean_costs_no_digits():
    x, y = matrices(30, 4, 4)
    assert linear_cka(x + 1e5, y, form="features") == pytest.approx(linear_cka(x, y), abs=1e-8)


def test_errors_say_how_many_rows_there_are():
    x, y = matrices(9, 4, 4)
    with pytest.raises(SelectionError, match="at least 4 rows, not 3"):
        linear_cka(x[:3], y[:3])
    with pytest.raises(SelectionError, match="at least 2 rows, not 1"):
        linear_cka(x[:1], y[:1], debiased=False)
    with pytest.raises(SelectionError, match="not 9 with 8"):
        linear_cka(x, y[:8])
    x[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        linear_cka(x, y)
