"""Scores of held-out predictions against scikit-learn, and their intervals against draws written out."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from probes import statistics
from probes.probing.plan import Plan
from probes.probing.scores import scored
from tests.unit.probes.probing.planted_cells import planted, problem_of

PLAN = Plan(draws=300, seed=5)


def predictions_for(problem, seed=0):
    rng = np.random.default_rng(seed)
    if problem.kind == "number":
        return (problem.labels + rng.normal(size=problem.rows) * 2)[:, None]
    if problem.kind == "binary":
        return (problem.labels - 0.5 + rng.normal(size=problem.rows)).round(1)[:, None]
    return np.eye(len(problem.classes))[problem.labels] + rng.normal(size=(problem.rows, problem.outputs))


@pytest.mark.parametrize("kind", ["binary", "classes"])
def test_scores_of_classes_are_those_of_scikit_learn(kind):
    _, problem = planted(kind=kind)
    given, folds = predictions_for(problem), np.arange(20) % 5
    decided = given.argmax(1) if kind == "classes" else (given[:, 0] > 0).astype(int)
    found = scored(problem, given, folds).estimates(PLAN)
    assert found["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(problem.labels, decided))
    assert found["accuracy"].value == pytest.approx(accuracy_score(problem.labels, decided))
    assert ("roc_auc" in found) == (kind == "binary")
    assert next(iter(found)) == "balanced_accuracy"
    assert found["accuracy"].n == 180
    assert found["accuracy"].samples == 20


def test_the_area_under_the_curve_is_over_pairs_within_folds():
    _, problem = planted()
    given, folds = predictions_for(problem), np.arange(20) % 5
    of_row = folds[problem.samples]
    areas, pairs = [], []
    for fold in range(5):
        labels = problem.labels[of_row == fold]
        areas.append(roc_auc_score(labels, given[of_row == fold, 0]))
        pairs.append(labels.sum() * (1 - labels).sum())
    found = scored(problem, given + 10 * of_row[:, None], folds).estimates(PLAN)["roc_auc"]
    assert found.value == pytest.approx(np.average(areas, weights=pairs))


def test_r2_is_against_the_mean_of_the_training_samples():
    _, problem = planted(kind="number")
    given, folds = predictions_for(problem), np.arange(20) % 5
    of_row = folds[problem.samples]
    errors = ((problem.labels - given[:, 0]) ** 2).sum()
    around = sum(
        ((problem.labels[of_row == fold] - problem.labels[of_row != fold].mean()) ** 2).sum()
        for fold in range(5)
    )
    assert scored(problem, given, folds).estimates(PLAN)["r2"].value == pytest.approx(1 - errors / around)


@pytest.mark.parametrize("kind", ["binary", "classes", "number"])
def test_a_draw_of_samples_is_the_score_of_their_rows_taken_together(kind):
    """The ratio estimator: rows of drawn samples are put together, as often as drawn, then scored."""
    _, problem = planted(kind=kind)
    labels = problem.labels.copy()
    labels[:4] = np.nan if kind == "number" else -1
    problem = problem_of(labels, problem.samples, problem.slots, kind=kind)
    given, folds = predictions_for(problem), np.arange(20) % 5
    made = scored(problem, given, folds)
    rng = np.random.default_rng(0)
    for _ in range(10):
        weights = rng.multinomial(20, np.full(20, 1 / 20)).astype(float)
        rows = np.repeat(np.arange(problem.rows), weights[problem.samples].astype(int))
        rows = rows[problem.labelled[rows]]
        if kind == "number":
            known = np.array(
                [
                    problem.labels[problem.labelled & (folds[problem.samples] != fold)].mean()
                    for fold in range(5)
                ]
            )[folds[problem.samples[rows]]]
            errors = (problem.labels[rows] - given[rows, 0]) ** 2
            expected = 1 - errors.sum() / ((problem.labels[rows] - known) ** 2).sum()
        else:
            decided = given.argmax(1) if kind == "classes" else (given[:, 0] > 0).astype(int)
            expected = balanced_accuracy_score(problem.labels[rows], decided[rows])
        assert made.main(weights[None])[0] == pytest.approx(expected)


def test_each_sample_alone_has_its_score_and_none_without_labels():
    _, problem = planted()
    labels = problem.labels.copy()
    labels[problem.samples == 7] = -1
    problem = problem_of(labels, problem.samples, problem.slots)
    given = predictions_for(problem)
    alone = scored(problem, given, np.arange(20) % 5).per_sample
    assert np.flatnonzero(np.isnan(alone)).tolist() == [7]
    for sample in (0, 19):
        rows = problem.samples == sample
        shares = [np.mean((given[rows & (labels == c), 0] > 0) == c) for c in set(labels[rows])]
        assert alone[sample] == pytest.approx(np.mean(shares))


def test_the_difference_to_a_control_is_drawn_in_pairs():
    """A control that is the score itself differs by nothing in every draw; independent draws would differ."""
    _, problem = planted()
    one = scored(problem, predictions_for(problem), np.arange(20) % 5)
    same = one.above(one, PLAN)
    assert same.value == 0
    other = one.above(scored(problem, predictions_for(problem, seed=1), np.arange(20) % 5), PLAN)
    assert other.low < other.value < other.high


def test_an_interval_of_sums_is_that_of_means_where_the_statistic_is_a_mean():
    rng = np.random.default_rng(0)
    values, samples = rng.exponential(size=90), np.repeat(np.arange(30), 3)
    sums = np.bincount(samples, values)
    ours = statistics.of_weights(
        lambda weights: (weights @ sums / (weights.sum(1) * 3))[:, None], 30, n=90, seed=4, draws=500
    )[0]
    means = statistics.mean(values, samples.tolist(), seed=4, draws=500)
    assert (ours.value, ours.low, ours.high) == pytest.approx((means.value, means.low, means.high))
    assert (ours.n, ours.samples, ours.method) == (means.n, means.samples, means.method)


def test_few_samples_take_students_t_on_the_jackknife_and_a_mean_gets_its_textbook_interval():
    values = np.array([0.2, 0.5, 0.9, 0.4])
    found = statistics.of_weights(lambda weights: (weights @ values / weights.sum(1))[:, None], 4, n=4)[0]
    half = 3.182446305 * values.std(ddof=1) / 2
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert (found.seed, found.draws) == (None, None)
    bounded = statistics.of_weights(
        lambda weights: (weights @ values / weights.sum(1))[:, None], 4, n=4, bounds=(0.0, 1.0)
    )[0]
    assert (bounded.low, bounded.high) == pytest.approx((max(0.0, 0.5 - half), min(1.0, 0.5 + half)))


def test_a_perfect_score_has_a_width():
    _, problem = planted()
    found = scored(problem, problem.labels[:, None] - 0.5, np.arange(20) % 5).estimates(PLAN)
    assert found["balanced_accuracy"].value == found["balanced_accuracy"].high == 1
    assert 0.7 < found["balanced_accuracy"].low < 1


def test_a_statistic_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        statistics.of_weights(lambda weights: weights * np.nan, 3, n=3)
