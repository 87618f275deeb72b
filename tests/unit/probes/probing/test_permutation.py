"""The closed form of the permutation test against refitting row by row, and what may be exchanged."""

import numpy as np
import pytest

from probes.probing.permutation import FOLDS, STRENGTH, exchange, statistics
from probes.probing.problem import MISSING
from stores.errors import SelectionError
from tests.unit.probes.probing.planted_cells import layout, planted, problem_of


def refitted(features, problem, exchanged):
    """T by its definition: label maps moved row by row, one least-squares fit a fold and permutation."""
    spread = features.std(0)
    z = (features - features.mean(0)) / np.where(spread > 1e-9, spread, np.inf)
    known = problem.labelled
    if problem.kind == "classes":
        coded = np.stack([problem.labels == code for code in range(len(problem.classes))], axis=1).astype(
            float
        )
    else:
        coded = problem.labels[:, None].astype(float)
    residual = np.zeros_like(coded)
    for slot in np.unique(problem.slots):
        rows = known & (problem.slots == slot)
        if rows.any():
            residual[rows] = coded[rows] - coded[rows].mean(0)
    where = {key: row for row, key in enumerate(zip(problem.samples, problem.slots, strict=True))}
    result = []
    for donors in exchanged.donors:
        y = np.array(
            [
                residual[where[donors[sample], slot]]
                for sample, slot in zip(problem.samples, problem.slots, strict=True)
            ]
        )
        agreement = size = 0.0
        for fold in range(exchanged.folds.max() + 1):
            test = exchanged.folds[problem.samples] == fold
            penalty = STRENGTH * (~test).sum() * np.eye(z.shape[1])
            probe = np.linalg.solve(z[~test].T @ z[~test] + penalty, z[~test].T @ y[~test])
            predicted = z[test] @ probe
            agreement += (predicted * y[test]).sum()
            size += (predicted**2).sum()
        result.append(agreement / np.sqrt(size * (residual**2).sum()))
    return np.array(result)


CASES = {
    "two classes": {"kind": "binary"},
    "three classes, two seeds": {"kind": "classes", "seeds": 2, "places": 4},
    "numbers": {"kind": "number"},
    "fewer rows than channels": {"kind": "number", "places": 2, "channels": 60},
}


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_the_closed_form_is_refitting_under_each_permutation(case, missing):
    features, problem = planted(samples=13, seed=4, strength=0.4, **CASES[case])
    features[:, 2] = 1.5
    if missing:
        labels = problem.labels.copy()
        labels[np.random.default_rng(1).random(len(labels)) < 0.3] = (
            np.nan if problem.kind == "number" else MISSING
        )
        problem = problem_of(labels, problem.samples, problem.slots, kind=problem.kind)
    exchanged = exchange(problem, 12, seed=2)
    np.testing.assert_allclose(
        statistics(features, problem, exchanged), refitted(features, problem, exchanged), atol=1e-8
    )


def test_the_first_is_what_was_observed_and_the_others_are_permutations_of_samples():
    _, problem = planted(samples=13)
    exchanged = exchange(problem, 50, seed=0)
    np.testing.assert_array_equal(exchanged.donors[0], np.arange(13))
    np.testing.assert_array_equal(np.sort(exchanged.donors, axis=1), np.tile(np.arange(13), (51, 1)))
    assert len(np.unique(exchanged.donors, axis=0)) == 51
    assert set(np.bincount(exchanged.folds)) == {2, 3}
    assert len(np.bincount(exchanged.folds)) == FOLDS


def test_permutations_are_those_of_the_seed_whatever_the_labels_are():
    _, one = planted(samples=13, seed=1)
    _, other = planted(samples=13, seed=2)
    np.testing.assert_array_equal(exchange(one, 20, seed=3).donors, exchange(other, 20, seed=3).donors)
    assert (exchange(one, 20, seed=3).donors != exchange(one, 20, seed=4).donors).any()


def test_label_maps_go_only_to_samples_with_the_same_rows():
    """Of twelve samples four have a second seed."""
    samples, slots, _ = layout(12, places=5)
    more, slots_more, _ = layout(4, places=5)
    all_samples, all_slots = np.r_[samples, more], np.r_[slots, slots_more + 5]
    problem = problem_of(np.arange(80.0), all_samples, all_slots)
    exchanged = exchange(problem, 100, seed=0)
    assert (exchanged.donors[:, :4] < 4).all()
    assert (exchanged.donors[:, 4:] >= 4).all()
    assert exchanged.arrangements == 24 * 40320


def test_samples_that_all_differ_in_their_rows_are_refused():
    samples = np.repeat(np.arange(6), np.arange(1, 7))
    problem = problem_of(np.arange(21.0), samples, np.arange(21))
    with pytest.raises(SelectionError, match="no two of 6 samples have the same rows"):
        exchange(problem, 10, seed=0)


def test_few_samples_say_how_small_a_p_value_can_be():
    samples, slots, _ = layout(4, places=3)
    problem = problem_of(np.arange(12.0), samples, slots)
    assert exchange(problem, 999, seed=0).least_p == 1 / 24
    assert exchange(problem, 9, seed=0).least_p == 1 / 10


def test_features_that_are_not_finite_are_refused():
    features, problem = planted()
    features[0, 0] = np.inf
    with pytest.raises(SelectionError, match="NaN or infinite"):
        statistics(features, problem, exchange(problem, 3, seed=0))
