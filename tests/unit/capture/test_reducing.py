"""Reductions against closed forms, and what random ones promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cosinterp.capture.reducing import Reducer
from cosinterp.capture.seeded import projection_matrix, token_indices
from stores.reduction import parse_reduction
from tests.reductions import reduced

GRID = (3, 4, 5)
CHANNELS = 24
TOKENS = math.prod(GRID)


def reducer(text: str, seed: int = 0) -> Reducer:
    return Reducer(parse_reduction(text), GRID, CHANNELS, seed)


def tokens(dtype: torch.dtype, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, TOKENS, CHANNELS, generator=torch.Generator().manual_seed(1)).to(dtype)


TEXTS = [
    *("full", "frames", "mean", "norm", "tokens:7", "project:6"),
    *("frames+project:6", "frames+norm", "norm+frames", "mean+project:3", "tokens:7+norm"),
    *("norm+tokens:7", "project:6+tokens:7", "tokens:7+project:6"),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("text", TEXTS)
def test_each_reduction_is_its_closed_form(text: str, dtype: torch.dtype) -> None:
    made, x = reducer(text), tokens(dtype)
    kept = made(x)
    rows = x.reshape(-1, *GRID, CHANNELS).double().numpy()
    exact = np.stack([reduced(text, row, made.token_places, made.projection) for row in rows])
    assert kept.shape == exact.shape == (2, *made.shape)
    # A bfloat16 product is rounded once, everything else is float32.
    eps = 2.0**-8 if kept.dtype == torch.bfloat16 and "project" in text else 2.0**-20
    np.testing.assert_allclose(kept.double().numpy(), exact, rtol=eps, atol=8 * eps)


@pytest.mark.parametrize("text", TEXTS)
def test_the_lengths_are_those_that_the_reduction_announces(text: str) -> None:
    announced = parse_reduction(text)
    assert len(announced.axes) == len(announced.shape(GRID, CHANNELS))
    assert reducer(text)(tokens(torch.float32)).shape[1:] == announced.shape(GRID, CHANNELS)


def test_the_tokens_are_the_same_for_the_same_seed_only() -> None:
    same = [token_indices(1000, 50, seed) for seed in (0, 0, 1)]
    assert np.array_equal(same[0], same[1])
    assert not np.array_equal(same[0], same[2])
    assert len(set(same[0].tolist())) == 50
    assert np.array_equal(np.sort(same[0]), same[0])
    assert same[0].max() < 1000


def test_a_random_choice_favours_no_token() -> None:
    counts = np.zeros(40)
    for seed in range(400):
        counts[token_indices(40, 10, seed)] += 1
    # Binomial with mean 100 and standard deviation 8.7.
    assert 100 - 5 * 8.7 < counts.min() <= counts.max() < 100 + 5 * 8.7


def test_the_matrix_is_exact_in_bfloat16_and_of_the_right_scale() -> None:
    matrix = projection_matrix(512, 64, 3)
    assert np.array_equal(torch.from_numpy(matrix).bfloat16().float().numpy(), matrix)
    assert abs(matrix.mean()) < 5 / math.sqrt(matrix.size * 64)
    assert abs(64 * matrix.var() - 1) < 5 * math.sqrt(2 / matrix.size)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    seed=st.integers(0, 2**31),
    channels=st.integers(600, 2000),
    points=st.integers(2, 24),
    offset=st.floats(-3, 3),
    spread=st.floats(0.01, 100),
)
def test_distances_hold_within_the_johnson_lindenstrauss_bound(
    seed: int, channels: int, points: int, offset: float, spread: float
) -> None:
    # Dasgupta and Gupta 2003: each squared distance is kept to within 1 +- epsilon but for a probability of
    # 2 exp(-K (eps^2 / 2 - eps^3 / 3) / 2), whatever the points are.
    components, epsilon = 512, 0.5
    pairs = points * (points - 1) / 2
    assert 2 * pairs * math.exp(-components * (epsilon**2 / 2 - epsilon**3 / 3) / 2) < 1e-6
    x = np.random.default_rng(seed).normal(offset, spread, (points, channels))
    x[-1] = x[0] + 1e-3 * x[-1]
    made = Reducer(parse_reduction(f"project:{components}"), (1, 1, points), channels, seed)
    kept = made(torch.from_numpy(x).float()[None])[0].double().numpy().reshape(points, components)
    one, other = np.triu_indices(points, 1)
    before = ((x[one] - x[other]) ** 2).sum(-1)
    after = ((kept[one] - kept[other]) ** 2).sum(-1)
    assert np.all(np.abs(after / before - 1) <= epsilon + 1e-3)
