"""Control labels: the same for each type, with the marginal of the true ones, saying nothing."""

import numpy as np
import pytest

from probes.probing.control_task import control_task
from tests.unit.probes.probing.planted_cells import planted, problem_of


@pytest.mark.parametrize("kind", ["binary", "classes", "number"])
def test_rows_of_a_type_have_one_label_and_types_the_true_marginal(kind):
    _, problem = planted(kind=kind, samples=30, places=100)
    control = control_task(problem, seed=0)
    of_type = [np.unique(control.labels[problem.types == one]) for one in range(100)]
    assert all(len(one) == 1 for one in of_type)
    drawn = np.concatenate(of_type)
    for level in (0.1, 0.3, 0.6, 0.9):
        cut = np.quantile(problem.labels, level)
        assert (drawn <= cut).mean() == pytest.approx((problem.labels <= cut).mean(), abs=0.011)


def test_control_labels_say_nothing_of_the_true_ones_and_are_those_of_the_seed():
    _, problem = planted(samples=10, places=400)
    together = []
    for seed in range(30):
        control = control_task(problem, seed)
        np.testing.assert_array_equal(control.labels, control_task(problem, seed).labels)
        together.append(np.corrcoef(control.labels, problem.labels)[0, 1])
    assert abs(np.mean(together)) < 0.02
    assert np.std(together) > 0


def test_missing_labels_stay_missing_and_a_rare_class_is_not_lost():
    _, problem = planted(samples=10, places=20)
    labels = np.zeros(200, dtype=int)
    labels[[3, 50]] = 1
    labels[:3] = -1
    problem = problem_of(labels, problem.samples, problem.slots, problem.types)
    control = control_task(problem, seed=0)
    np.testing.assert_array_equal(control.labelled, problem.labelled)
    assert len(np.unique(problem.types[control.labels == 1])) == 1


def test_without_types_or_with_too_few_there_is_none():
    _, problem = planted()
    assert control_task(problem_of(problem.labels, problem.samples, problem.slots), seed=0) is None
    one_type = problem_of(problem.labels, problem.samples, problem.slots, problem.slots * 0)
    assert control_task(one_type, seed=0) is None
