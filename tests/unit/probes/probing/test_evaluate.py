"""One cell, from features to all that is said of it."""

import dataclasses

import numpy as np
import pytest

from probes.probing.evaluate import Plan, evaluate, transfer
from stores.errors import SelectionError
from tests.unit.probes.probing.planted_cells import planted, problem_of

QUICK = Plan(permutations=39, draws=200, strengths=(1e-3, 1e-1))
KINDS = {"binary": "logistic", "classes": "logistic", "number": "ridge"}


def plan_for(kind, **changes):
    return dataclasses.replace(QUICK, model=KINDS[kind], **changes)


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_signal_is_found_by_all_that_is_reported(kind):
    features, problem = planted(kind=kind, samples=24, places=12, strength=1.5)
    found = evaluate(features, problem, plan_for(kind))
    first = next(iter(found.scores.values()))
    chance = {"binary": 1 / 2, "classes": 1 / 3, "number": 0.0}[kind]
    assert first.low > chance
    assert found.selectivity.low > 0
    assert found.selectivity.value == pytest.approx(first.value - found.control.value)
    assert found.p == 1 / 40
    assert found.code.length < found.code.prior
    assert found.nulls.shape == (39,)
    assert found.probes.weights.shape == (5, 6, problem.outputs)
    assert (first.n, first.samples) == (problem.rows, 24)
    assert any("least possible is 0.025" in note for note in found.notes)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_found_in_noise(kind):
    features, problem = planted(kind=kind, samples=24, places=12, strength=0.0, seed=1)
    found = evaluate(features, problem, plan_for(kind))
    first = next(iter(found.scores.values()))
    chance = {"binary": 1 / 2, "classes": 1 / 3, "number": 0.0}[kind]
    assert first.low < chance
    assert found.p is not None
    assert found.p > 0.05
    assert found.code.length > 0.98 * found.code.prior


@pytest.mark.parametrize("model", ["logistic", "ridge"])
@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("places", [3, 20])
def test_features_that_say_nothing_score_chance_whichever_samples_are_left_out(model, classes, places):
    """Rounding would choose one class in a fold and another in the next."""
    rng = np.random.default_rng(classes)
    _, like = planted(samples=24, places=places)
    labels = rng.choice(
        classes, size=like.rows, p=np.arange(3, classes + 3) / np.arange(3, classes + 3).sum()
    )
    problem = problem_of(labels, like.samples, like.slots, kind="binary" if classes == 2 else "classes")
    plan = Plan(model=model, outer=3, inner=2, permutations=0, mdl=False, control=False, draws=50)
    found = evaluate(np.ones((problem.rows, 1), np.float32), problem, plan).scored
    np.testing.assert_allclose(found.main(1 - np.eye(24)), 1 / classes, atol=1e-12)


def test_a_probe_that_knows_the_place_alone_is_not_selective():
    """Labels of the place and nothing else: they are read well, and so are those of the control task."""
    _, problem = planted(samples=20, places=10)
    assert problem.types is not None
    labels = (problem.types % 3 == 0).astype(int)
    problem = problem_of(labels, problem.samples, problem.slots, problem.types)
    features = np.eye(10)[problem.types] + 0.01 * np.random.default_rng(0).normal(size=(200, 10))
    found = evaluate(features, problem, QUICK)
    assert found.scores["balanced_accuracy"].value == 1
    assert found.control.value == 1
    assert found.selectivity.value == 0
    assert found.p is not None
    assert found.p > 0.05


def test_everything_is_the_same_again_and_follows_the_seed():
    features, problem = planted(samples=20, places=6, strength=0.3)
    first, again = evaluate(features, problem, QUICK), evaluate(features, problem, QUICK)
    for name, value in vars(first).items():
        if name in ("nulls", "per_sample"):
            np.testing.assert_array_equal(value, getattr(again, name))
        elif name == "probes":
            np.testing.assert_array_equal(value.weights, again.probes.weights)
        elif name == "scored":
            assert value.above(again.scored, QUICK).value == 0
        else:
            assert value == getattr(again, name)
    other = evaluate(features, problem, dataclasses.replace(QUICK, seed=1))
    assert other.scores["accuracy"] != first.scores["accuracy"]
    assert other.control != first.control
    assert other.code != first.code
    assert (other.nulls != first.nulls).any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_probe_transferred_to_its_own_features_scores_as_it_did(kind):
    features, problem = planted(kind=kind)
    found = evaluate(features, problem, plan_for(kind, permutations=0, mdl=False))
    assert transfer(found.probes, features, problem, plan_for(kind)) == found.scores


def test_a_probe_transferred_to_other_features_predicts_held_out_samples_only():
    """Features that hold the labels of the same direction transfer; those of another do not."""
    rng = np.random.default_rng(0)
    _, problem = planted(samples=24)
    signal = problem.labels - problem.labels.mean()
    one = rng.normal(size=(problem.rows, 6)) + np.outer(signal, [3, 0, 0, 0, 0, 0])
    like = rng.normal(size=(problem.rows, 6)) + np.outer(signal, [3, 0, 0, 0, 0, 0])
    unlike = rng.normal(size=(problem.rows, 6)) + np.outer(signal, [0, 3, 0, 0, 0, 0])
    probes = evaluate(one, problem, QUICK).probes
    assert transfer(probes, like, problem, QUICK)["balanced_accuracy"].low > 0.8
    assert transfer(probes, unlike, problem, QUICK)["balanced_accuracy"].high < 0.65
    with pytest.raises(SelectionError, match="6 channels do not carry over to 5"):
        transfer(probes, like[:, :5], problem, QUICK)
    with pytest.raises(SelectionError, match="NaN or infinite"):
        transfer(probes, np.where(like > 3, np.nan, like), problem, QUICK)


def test_what_is_not_asked_for_is_not_there():
    features, problem = planted()
    found = evaluate(features, problem, dataclasses.replace(QUICK, permutations=0, mdl=False, control=False))
    assert (found.control, found.selectivity, found.statistic, found.p, found.code) == (None,) * 5
    assert found.nulls.size == 0
    assert found.notes == ()


def test_without_types_there_is_no_control_and_that_is_said():
    features, problem = planted()
    found = evaluate(features, problem_of(problem.labels, problem.samples, problem.slots), QUICK)
    assert found.control is None
    assert "no control task: rows have no types, or too few of them" in found.notes


def test_a_logistic_probe_of_numbers_is_refused():
    features, problem = planted(kind="number")
    with pytest.raises(SelectionError, match="use ridge"):
        evaluate(features, problem, QUICK)


@pytest.mark.parametrize(
    "wrong", [np.zeros((3, 2)), np.zeros((180, 0)), np.zeros(180), np.zeros((180, 2), int)]
)
def test_features_that_are_not_those_of_the_problem_are_a_fault(wrong):
    with pytest.raises(ValueError, match="features are"):
        evaluate(wrong, planted()[1], QUICK)
