"""What a problem refuses."""

import numpy as np
import pytest

from probes.probing.plan import Plan
from probes.probing.problem import MISSING, Problem
from stores.errors import SelectionError
from tests.unit.probes.probing.planted_cells import layout, problem_of

SAMPLES, SLOTS, _ = layout(4, places=3)


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [
        (np.zeros(12, int), ("wall", "path"), 'all labels are "wall": one class only'),
        (np.full(12, MISSING), ("wall", "path"), "no row has a label"),
        (np.arange(12) % 2, ("wall", "path", "goal"), 'no row is of the class "goal"'),
        (np.full(12, np.nan), (), "no row has a label"),
        (np.full(12, 2.5), (), "all labels are 2.5: nothing to predict"),
        (np.r_[np.inf, np.zeros(11)], (), "a label is infinite"),
    ],
)
def test_labels_that_nothing_can_be_learnt_from_are_refused(labels, classes, words):
    kind = {0: "number", 2: "binary", 3: "classes"}[len(classes)]
    with pytest.raises(SelectionError, match=words):
        Problem(kind, labels, classes, SAMPLES, SLOTS)


def test_a_selection_without_rows_is_refused():
    none = np.empty(0, int)
    with pytest.raises(SelectionError, match="no rows"):
        Problem("number", np.empty(0), (), none, none)


@pytest.mark.parametrize(
    ("samples", "slots", "words"),
    [
        (SAMPLES + 1, SLOTS, "numbered from 0"),
        (SAMPLES * 2, SLOTS, "numbered from 0"),
        (SAMPLES, SLOTS * 0, "a sample has a slot twice"),
        (SAMPLES[:-1], SLOTS, "samples must be"),
        (SAMPLES.astype(float), SLOTS, "samples must be"),
    ],
)
def test_arrays_that_do_not_fit_are_a_fault(samples, slots, words):
    with pytest.raises(ValueError, match=words):
        problem_of(np.arange(12.0), samples, slots)


def test_labels_may_be_missing():
    labels = np.arange(12) % 2
    labels[3] = MISSING
    problem = problem_of(labels, SAMPLES, SLOTS)
    assert problem.labelled.sum() == 11
    assert (problem.rows, problem.sample_count, problem.outputs) == (12, 4, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "svm"},
        {"strengths": ()},
        {"strengths": (0.0,)},
        {"strengths": (1.0, 1.0)},
        {"outer": 1},
        {"inner": 1},
        {"components": 0},
        {"permutations": -1},
        {"level": 1.0},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"\w"):
        Plan(**wrong)
