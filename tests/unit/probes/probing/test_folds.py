"""Folds: by sample, whole and nested, whatever the problem is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.probing.folds import deal
from probes.probing.plan import Plan
from stores.errors import SelectionError
from tests.unit.probes.probing.planted_cells import layout, problem_of


@st.composite
def problems(draw):
    samples = draw(st.integers(12, 40))
    rows = draw(st.lists(st.integers(0, samples - 1), min_size=1, max_size=60))
    of = np.concatenate([np.arange(samples), rows]).astype(int)
    labels = np.random.default_rng(draw(st.integers(0, 99))).normal(size=len(of))
    labels[draw(st.integers(0, len(of) - 1))] = np.nan
    return problem_of(labels, of, np.arange(len(of)))


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(2, 5), st.integers(2, 3), st.integers(0, 5))
def test_no_sample_is_on_both_sides_of_a_fold_and_all_are_held_out_once(problem, outer, inner, seed):
    folds = deal(problem, Plan(model="ridge", outer=outer, inner=inner, seed=seed))
    of_row = folds.groups[problem.samples]
    for fold in range(outer):
        training = folds.outer_sets[fold][of_row]
        assert set(problem.samples[training]).isdisjoint(problem.samples[~training])
        np.testing.assert_array_equal(~training, folds.outer[problem.samples] == fold)
        covered = np.zeros(problem.rows, dtype=int)
        for one in range(inner):
            fitted, held_out = folds.inner_sets[fold, one][of_row], folds.inner_held_out[fold, one][of_row]
            assert set(problem.samples[fitted]).isdisjoint(problem.samples[held_out])
            assert not (fitted & ~training).any()
            assert not (held_out & ~training).any()
            np.testing.assert_array_equal(fitted | held_out, training)
            covered += held_out
        np.testing.assert_array_equal(covered, training)


@pytest.mark.parametrize(("outer", "inner"), [(5, 3), (4, 2), (3, 3)])
def test_classes_of_runs_are_spread_evenly_over_outer_and_inner_folds(outer, inner):
    samples, slots, _ = layout(60, places=1)
    labels = (np.arange(60) % 4 == 0).astype(int)
    folds = deal(problem_of(labels, samples, slots), Plan(outer=outer, inner=inner))
    for fold in range(outer):
        held_out = labels[folds.outer == fold]
        assert abs(held_out.sum() - 15 / outer) <= 1
        assert abs(len(held_out) - 60 / outer) <= 1
        for one in range(inner):
            counts = (
                folds.inner_held_out[fold, one] @ _by_group(folds, labels),
                15 * (1 - 1 / outer) / inner,
            )
            assert abs(counts[0] - counts[1]) <= 2


def _by_group(folds, labels):
    return np.bincount(folds.groups, labels, minlength=folds.group_count)


def test_folds_are_those_of_the_seed():
    samples, slots, _ = layout(30, places=2)
    problem = problem_of(np.arange(60) % 2, samples, slots)
    first, again, other = (deal(problem, Plan(seed=seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.groups, again.groups)
    assert (first.groups != other.groups).any()


def test_too_few_samples_with_labels_are_refused():
    samples, slots, _ = layout(20, places=1)
    labels = np.full(20, np.nan)
    labels[:4] = range(4)
    with pytest.raises(SelectionError, match=r"4 samples with labels, too few for 5 folds with 3 inner"):
        deal(problem_of(labels, samples, slots), Plan(model="ridge"))


def test_a_class_that_a_training_set_lacks_is_named():
    samples, slots, _ = layout(20, places=3)
    labels = np.zeros(60, dtype=int)
    labels[4] = 1
    with pytest.raises(SelectionError, match=r'the class "c1" is missing in a training set: 1 of 20 samples'):
        deal(problem_of(labels, samples, slots), Plan())


@pytest.mark.parametrize("seed", range(5))
def test_a_class_of_few_samples_is_dealt_so_that_no_training_set_lacks_it(seed):
    """Of 8 runs, 4 of each class, the even order leaves an inner training set without one."""
    samples, slots, _ = layout(8, places=1)
    problem = problem_of(np.arange(8) % 2, samples, slots)
    folds = deal(problem, Plan(outer=3, inner=2, seed=seed))
    sets = np.concatenate([folds.outer_sets, folds.inner_sets.reshape(-1, folds.group_count)])
    for label in (0, 1):
        assert (sets @ np.bincount(folds.groups[label::2], minlength=folds.group_count) > 0).all()


def test_samples_without_labels_do_not_make_folds_uneven():
    samples, slots, _ = layout(30, places=1)
    labels = np.arange(30.0)
    labels[::2] = np.nan
    folds = deal(problem_of(labels, samples, slots), Plan(model="ridge"))
    assert set(np.bincount(folds.outer[1::2], minlength=5)) == {3}
