"""What several rows are merged into, and that merging what is the same changes nothing at all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cosinterp.ensembles.merging import HOWS, WEIGHTED, MergeError, merge, merger

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, max_side=5)
VALUES = st.floats(-1e3, 1e3, width=32)
ROWS = SHAPES.flatmap(lambda shape: arrays.arrays(np.float32, shape, elements=VALUES))


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(row=ROWS, count=st.integers(1, 7), how=st.sampled_from(HOWS), dtype=st.sampled_from(DTYPES))
def test_identical_rows_give_that_row_exactly(row, count, how, dtype):
    one = torch.from_numpy(row).to(dtype)
    for each in {0, row.ndim - 1}:
        merged = merge(torch.stack([one] * count), how, each=each)
        assert merged.dtype == dtype
        assert torch.equal(merged, one)


@given(
    row=ROWS, weights=st.lists(st.floats(0.01, 100), min_size=1, max_size=6), how=st.sampled_from(WEIGHTED)
)
def test_identical_rows_give_that_row_exactly_whatever_their_weights(row, weights, how):
    one = torch.from_numpy(row)
    assert torch.equal(merge(torch.stack([one] * len(weights)), how, weights), one)


@pytest.mark.parametrize("how", HOWS)
def test_identical_rows_of_the_size_of_a_latent_give_that_row_exactly(how):
    """Many numbers are summed in parts, by several threads, and by other code than a few."""
    one = gaussian(16, 5, 31, 53)
    for count in (1, 2, 3, 5):
        assert torch.equal(merge(one.expand(count, -1, -1, -1, -1), how), one)
    tokens = gaussian(1560, 193)
    assert torch.equal(merge(tokens.expand(3, -1, -1), how, each=1), tokens)


@settings(max_examples=60)
@given(
    rows=st.integers(1, 6).flatmap(
        lambda count: arrays.arrays(np.float32, (count, 3, 4), elements=st.floats(-10, 10, width=32))
    ),
    data=st.data(),
    how=st.sampled_from(HOWS),
)
def test_the_order_of_rows_and_their_weights_does_not_matter(rows, data, how):
    order = data.draw(st.permutations(range(len(rows))))
    weights = data.draw(st.lists(st.floats(0.1, 10), min_size=len(rows), max_size=len(rows)))
    own = weights if how in WEIGHTED else None
    moved = None if own is None else [own[place] for place in order]
    one, other = (merge(torch.from_numpy(some), how, some_weights) for some, some_weights in (
        (rows, own), (rows[order], moved)
    ))  # fmt: skip
    if how == "medoid":
        # Of several that are as near, another may be the first.
        assert summed_distance(rows, one.numpy()) == pytest.approx(summed_distance(rows, other.numpy()))
    else:
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def summed_distance(rows: np.ndarray, row: np.ndarray) -> float:
    return sum(float(np.linalg.norm((other - row).astype(np.float64))) for other in rows)


@settings(max_examples=60)
@given(
    rows=st.integers(1, 6).flatmap(
        lambda count: arrays.arrays(np.float32, (count, 2, 3), elements=st.floats(-10, 10, width=32))
    )
)
def test_the_medoid_is_a_row_that_no_other_is_nearer_than(rows):
    medoid = merge(torch.from_numpy(rows), "medoid").numpy()
    assert any(np.array_equal(medoid, row) for row in rows)
    nearest = min(summed_distance(rows, row) for row in rows)
    assert summed_distance(rows, medoid) == pytest.approx(nearest, rel=1e-5, abs=1e-5)


def test_ties_of_the_medoid_go_to_the_first_row():
    rows = torch.tensor([[0.0], [1.0], [0.0], [1.0]])
    assert merge(rows, "medoid").item() == 0.0
    assert merge(rows.flip(0), "medoid").item() == 1.0
    assert torch.equal(merge(gaussian(2, 4), "medoid"), gaussian(2, 4)[0])


def test_means_and_medians_are_those_of_numpy():
    for count in (3, 4):
        rows = gaussian(count, 5, 6)
        weights = [1.0, 0.0, 3.0, 0.5][:count]
        np.testing.assert_allclose(merge(rows, "mean"), rows.numpy().mean(0), atol=1e-6)
        np.testing.assert_allclose(
            merge(rows, "mean", weights), np.average(rows.numpy(), 0, weights=weights), atol=1e-6
        )
        np.testing.assert_allclose(merge(rows, "median"), np.median(rows.numpy(), 0), atol=1e-6)


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 5.0]])
def test_the_norm_preserving_mean_has_the_mean_norm_of_its_rows_and_points_where_their_mean_does(weights):
    rows = gaussian(3, 4, 5) * torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    merged, mean = merge(rows, "norm-mean", weights), merge(rows, "mean", weights)
    expected = np.average(rows.flatten(1).norm(dim=1).numpy(), weights=weights)
    assert merged.norm().item() == pytest.approx(expected, rel=1e-6)
    assert torch.cosine_similarity(merged.flatten(), mean.flatten(), dim=0).item() == pytest.approx(1)


def test_the_norm_preserving_mean_of_opposite_rows_is_nothing():
    row = gaussian(4)
    assert torch.equal(merge(torch.stack([row, -row]), "norm-mean"), torch.zeros(4))


def test_tokens_are_merged_each_by_itself():
    rows = gaussian(3, 6, 4)
    for how in ("norm-mean", "medoid"):
        alone = torch.stack([merge(rows[:, token], how) for token in range(6)])
        torch.testing.assert_close(merge(rows, how, each=1), alone)
    assert len({tuple(row.tolist()) for row in merge(rows, "medoid", each=1)}) == 6


def test_the_rows_that_decide_choose_which_row_of_another_tensor_is_the_medoid():
    rows = torch.tensor([[0.0], [5.0], [6.0]])
    other = gaussian(3, 2, 7)
    assert torch.equal(merger(rows, "medoid")(other), other[1])
    torch.testing.assert_close(merger(rows, "mean")(other), other.mean(0))


def test_half_precision_is_merged_in_full_precision():
    rows = torch.tensor([[1.0], [1.0], [1.0078125]], dtype=torch.bfloat16)
    assert merge(rows, "mean").dtype == torch.bfloat16
    assert merge(rows.repeat(64, 1), "mean").item() == 1.0


@pytest.mark.parametrize(
    ("how", "weights", "message"),
    [
        ("mode", None, 'by "mode"; choose from mean, norm-mean, median, medoid'),
        ("median", [1, 1], "weights do not go with median"),
        ("mean", [1], "1 weights for 2 seeds"),
        ("mean", [1, -1], "add up to 0"),
        ("mean", [1, float("nan")], "add up to nan"),
    ],
)
def test_what_cannot_be_merged_is_said(how, weights, message):
    with pytest.raises(MergeError, match=message):
        merge(gaussian(2, 3), how, weights)


def test_nothing_cannot_be_merged():
    with pytest.raises(MergeError, match="at least one seed"):
        merge(gaussian(0, 3), "mean")
