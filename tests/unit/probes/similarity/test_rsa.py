"""RSA is what its formulas say, ties included."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.similarity.rsa import AGREEMENTS, DISTANCES, dissimilarities, rsa, standardised
from stores import SelectionError
from tests.unit.probes.similarity import making


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("agreement", AGREEMENTS)
def test_it_is_the_agreement_of_distances_pair_by_pair(distance, agreement):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(9, 5)), rng.normal(size=(9, 7))
    y[:, :5] += x
    expected = making.rsa(x, y, distance, agreement)
    assert rsa(x, y, distance=distance, agreement=agreement) == pytest.approx(expected, abs=1e-8)


@given(st.integers(0, 10_000))
def test_equal_distances_share_their_rank(seed):
    rng = np.random.default_rng(seed)
    # Whole numbers on a line: many distances are equal.
    x, y = rng.integers(0, 4, size=(7, 1)).astype(float), rng.integers(0, 4, size=(7, 1)).astype(float)
    found = rsa(x, y, distance="euclidean")
    if np.ptp(dissimilarities(x, "euclidean")) and np.ptp(dissimilarities(y, "euclidean")):
        assert found == pytest.approx(making.rsa(x, y, "euclidean", "spearman"), abs=1e-8)
    else:
        assert math.isnan(found)


@given(st.integers(0, 10_000), st.sampled_from(DISTANCES))
def test_rotations_and_scales_change_no_ranks_of_euclidean_distances(seed, distance):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(8, 4)), rng.normal(size=(8, 4))
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0] if distance == "euclidean" else np.eye(4)
    assert rsa(3 * x @ turn, y, distance=distance) == pytest.approx(rsa(x, y, distance=distance), abs=1e-8)
    assert rsa(x, x, distance=distance) == pytest.approx(1)


def test_what_does_not_vary_is_not_a_number():
    x = np.random.default_rng(0).normal(size=(6, 3))
    assert math.isnan(rsa(np.ones((6, 3)), x))
    assert math.isnan(rsa(np.ones((6, 3)), x, distance="euclidean"))
    assert math.isnan(rsa(np.ones((6, 3)), x, distance="euclidean", agreement="cosine"))
    assert np.isnan(standardised(np.full(10, 2.0))).all()


def test_errors_are_clear():
    x = np.random.default_rng(0).normal(size=(6, 3))
    with pytest.raises(SelectionError, match="at least 3 rows, not 1"):
        rsa(x[:1], x[:1])
    with pytest.raises(SelectionError, match="two channels or more"):
        rsa(x[:, :1], x)
    with pytest.raises(SelectionError, match="differ in number"):
        rsa(x, x[:5])
