"""Nested cross-validation against plain loops of scikit-learn, which know nothing of shared sums."""

import warnings

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probes.probing import logistic
from probes.probing.fitting import fit_folds
from probes.probing.folds import deal
from probes.probing.plan import Plan
from probes.probing.table import Table
from stores.errors import SelectionError
from tests.unit.probes.probing.planted_cells import planted, problem_of


def ours(features, problem, plan):
    folds = deal(problem, plan)
    labelled = problem.labelled
    table = Table(
        features[labelled],
        problem.labels[labelled],
        folds.groups[problem.samples[labelled]],
        folds.group_count,
        len(problem.classes),
    )
    probes = fit_folds(table, folds, plan)
    return probes, probes.predict(features, problem.samples)


def pipeline(problem, plan, strength, rows):
    if plan.model == "logistic":
        model = LogisticRegression(
            C=1 / (strength * rows),
            class_weight="balanced",
            tol=1e-10,
            max_iter=10_000,
            solver="newton-cholesky",
        )
    elif problem.kind == "number":
        model = Ridge(alpha=strength * rows, solver="svd")
    else:
        model = RidgeClassifier(alpha=strength * rows, class_weight="balanced", solver="svd")
    steps = [StandardScaler()] + ([PCA(plan.components, svd_solver="full")] if plan.components else [])
    return make_pipeline(*steps, model)


def output_of(model, features, problem):
    given = model.predict(features) if problem.kind == "number" else model.decision_function(features)
    return given.reshape(len(features), -1)


def weighted_loss(problem, plan, given, labels, training):
    """The held-out loss of a strength, written out; classes weigh as in the training set."""
    if problem.kind == "number":
        return ((given[:, 0] - labels) ** 2).sum()
    counts = np.bincount(training, minlength=len(problem.classes))
    weight = (len(training) / (len(counts) * counts))[labels]
    if plan.model == "ridge":
        codes = 2.0 * np.eye(len(counts))[labels] - 1
        return (weight[:, None] * (given - (codes[:, 1:] if len(counts) == 2 else codes)) ** 2).sum()
    if len(counts) == 2:
        given = np.hstack([np.zeros_like(given), given])
    chances = np.exp(given - given.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    return -(weight * np.log(chances[np.arange(len(labels)), labels])).sum()


def plainly(features, problem, plan):
    """(strengths, held-out predictions) by loops over folds and strengths."""
    folds = deal(problem, plan)
    outer, inner = folds.outer[problem.samples], folds.inner[problem.samples]
    labelled, labels = problem.labelled, problem.labels
    strengths, predictions = [], np.empty((problem.rows, problem.outputs))
    for fold in range(plan.outer):
        training = labelled & (outer != fold)
        losses = np.zeros(len(plan.strengths))
        for index, strength in enumerate(plan.strengths):
            for one in range(plan.inner):
                fitted, held_out = training & (inner != one), training & (inner == one)
                model = pipeline(problem, plan, strength, fitted.sum()).fit(features[fitted], labels[fitted])
                given = output_of(model, features[held_out], problem)
                losses[index] += weighted_loss(problem, plan, given, labels[held_out], labels[fitted])
        strengths.append(plan.strengths[int(losses.argmin())])
        model = pipeline(problem, plan, strengths[-1], training.sum()).fit(
            features[training], labels[training]
        )
        predictions[outer == fold] = output_of(model, features[outer == fold], problem)
    return np.array(strengths), predictions


STRENGTHS = (1e-3, 1e-1, 3.0)
CASES = {
    "two classes": ("logistic", {"kind": "binary", "places": 16}, None),
    "three classes": ("logistic", {"kind": "classes", "places": 16}, None),
    "two classes, components": ("logistic", {"kind": "binary", "places": 16}, 3),
    "three classes, components": ("logistic", {"kind": "classes", "places": 16}, 4),
    "fewer rows than channels": (
        "logistic",
        {"kind": "binary", "places": 1, "channels": 40, "samples": 30},
        None,
    ),
    "few rows, components": ("logistic", {"kind": "binary", "places": 1, "channels": 40, "samples": 30}, 5),
    "few rows, three classes": (
        "logistic",
        {"kind": "classes", "places": 2, "channels": 30, "samples": 24},
        None,
    ),
    "numbers": ("ridge", {"kind": "number"}, None),
    "numbers, components": ("ridge", {"kind": "number"}, 3),
    "numbers, few rows": ("ridge", {"kind": "number", "places": 1, "channels": 40, "samples": 30}, None),
    "two classes by least squares": ("ridge", {"kind": "binary"}, None),
    "three classes by least squares": ("ridge", {"kind": "classes"}, None),
    "few rows by least squares": (
        "ridge",
        {"kind": "binary", "places": 1, "channels": 40, "samples": 30},
        None,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_scores_and_strengths_are_those_of_a_plain_loop(case):
    model, made, components = CASES[case]
    features, problem = planted(seed=3, strength=0.5, **made)
    labels = problem.labels.copy()
    labels[5] = np.nan if problem.kind == "number" else -1
    problem = problem_of(labels, problem.samples, problem.slots, problem.types, kind=problem.kind)
    plan = Plan(model=model, strengths=STRENGTHS, components=components)
    probes, predictions = ours(features, problem, plan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        strengths, expected = plainly(features, problem, plan)
    np.testing.assert_array_equal(probes.strengths, strengths)
    tolerance = 1e-8 if model == "ridge" else 1e-6
    np.testing.assert_allclose(predictions, expected, rtol=0, atol=tolerance * max(1, np.abs(expected).max()))
    if problem.classes:
        known = problem.labelled
        assert decided(predictions)[known].tolist() == decided(expected)[known].tolist()


def decided(predictions):
    return predictions.argmax(1) if predictions.shape[1] > 1 else (predictions[:, 0] > 0).astype(int)


@pytest.mark.parametrize("kind", ["binary", "classes"])
def test_many_rows_need_no_fit_by_scikit_learn(kind, monkeypatch):
    """So that the cases above have tested the shared Hessian, and it is used where it is fast."""
    monkeypatch.setattr(logistic, "_fit_one", lambda *_: pytest.fail("fitted one by one"))
    features, problem = planted(kind=kind, samples=24, places=30, strength=0.5)
    probes, predictions = ours(features, problem, Plan())
    assert np.isfinite(probes.weights).all()
    assert balanced_accuracy_score(problem.labels, decided(predictions)) > 0.5


def test_training_sets_that_differ_much_still_reach_their_own_minimum():
    """Each sample has its own direction for the label, so that the Hessian of all rows is no fold's."""
    rng = np.random.default_rng(0)
    features, problem = planted(samples=12, places=40, channels=5)
    directions = 3 * rng.normal(size=(12, 5))
    labels = (np.einsum("rc,rc->r", rng.normal(size=features.shape), directions[problem.samples]) > 0).astype(
        int
    )
    features = rng.normal(size=features.shape) + 2 * labels[:, None] * directions[problem.samples]
    problem = problem_of(labels, problem.samples, problem.slots)
    plan = Plan(strengths=(1e-4, 1e-2), inner=2)
    probes, predictions = ours(features, problem, plan)
    strengths, expected = plainly(features, problem, plan)
    np.testing.assert_array_equal(probes.strengths, strengths)
    np.testing.assert_allclose(predictions, expected, atol=1e-5 * np.abs(expected).max())


def test_what_no_shared_hessian_reaches_scikit_learn_fits(monkeypatch):
    features, problem = planted(samples=24, places=30, strength=0.5)
    expected = ours(features, problem, Plan())[1]
    monkeypatch.setattr(logistic._Chord, "_pilot", lambda *_: None)
    np.testing.assert_allclose(ours(features, problem, Plan())[1], expected, atol=1e-5)


def test_float32_features_give_the_same_predictions_to_their_precision():
    features, problem = planted(samples=24, places=30, strength=0.5)
    narrow = features.astype(np.float32)
    _, expected = ours(narrow.astype(np.float64), problem, Plan())
    _, predictions = ours(narrow, problem, Plan())
    np.testing.assert_allclose(predictions, expected, atol=2e-3)


def test_a_channel_that_is_constant_and_one_that_is_huge_do_no_harm():
    features, problem = planted(samples=24, places=30, strength=0.5)
    _, expected = ours(features, problem, Plan())
    constant = np.full((len(features), 1), 7.0)
    probes, predictions = ours(np.hstack([features, constant]), problem, Plan())
    np.testing.assert_allclose(predictions, expected, atol=1e-6)
    assert (probes.weights[:, -1] == 0).all()
    _, scaled = ours(features * np.r_[1e6, np.ones(features.shape[1] - 1)], problem, Plan())
    np.testing.assert_allclose(scaled, expected, atol=1e-6)


def test_a_sample_has_no_part_in_the_probe_that_predicts_it():
    """Held-out features and labels may be anything: the fold's probe stays as it is."""
    features, problem = planted(samples=20, places=8)
    plan = Plan(strengths=(0.1,))
    probes, _ = ours(features, problem, plan)
    rows = probes.folds[problem.samples] == 2
    labels = np.where(rows, problem.labels.reshape(20, 8)[:, ::-1].ravel(), problem.labels)
    other = problem_of(labels, problem.samples, problem.slots)
    changed = np.where(rows[:, None], -features[::-1], features)
    again, _ = ours(changed, other, plan)
    np.testing.assert_array_equal(again.folds, probes.folds)
    np.testing.assert_allclose(again.weights[2], probes.weights[2], rtol=1e-5)
    assert not np.allclose(again.weights[1], probes.weights[1], rtol=1e-2)


def test_features_that_are_not_finite_are_refused():
    features, problem = planted()
    features[3, 1] = np.nan
    with pytest.raises(SelectionError, match=r"features of 1 of 180 rows are NaN or infinite"):
        ours(features, problem, Plan())


def test_steps_that_would_run_away_are_shortened(monkeypatch):
    """With features of heavy tails, full Newton steps on the way from a strong penalty overshoot."""
    rng = np.random.default_rng(4)
    _, problem = planted(samples=24, places=40)
    features = rng.standard_cauchy(size=(problem.rows, 5))
    labels = (features[:, 0] + 0.1 * rng.normal(size=problem.rows) > 0).astype(int)
    problem = problem_of(labels, problem.samples, problem.slots)
    plan = Plan(strengths=(1e-6,))
    expected = plainly(features, problem, plan)[1]
    monkeypatch.setattr(logistic, "_fit_one", lambda *_: pytest.fail("fitted one by one"))
    predictions = ours(features, problem, plan)[1]
    np.testing.assert_allclose(predictions, expected, atol=1e-5 * np.abs(expected).max())


def test_a_hessian_without_curvature_is_left_to_scikit_learn(monkeypatch):
    features, problem = planted(samples=24, places=30, strength=0.5)
    expected = ours(features, problem, Plan())[1]
    monkeypatch.setattr(logistic, "_cholesky", lambda _: None)
    np.testing.assert_allclose(ours(features, problem, Plan())[1], expected, atol=1e-5)
