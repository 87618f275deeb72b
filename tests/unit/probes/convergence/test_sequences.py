"""What one run answers in a course of steps: planted courses, and what holds for all of them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.convergence import changes, commit_step, corrections, settle_step

COURSES = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=14)
HOLDS = st.integers(1, 5)


def course(text):
    """ "aab.c" as answers by step; a dot is none."""
    return [None if letter == "." else letter for letter in text]


@pytest.mark.parametrize(
    ("text", "commit", "changed", "corrected"),
    [
        ("aaaa", 0, 0, []),
        ("aabb", 2, 1, ["ab"]),
        ("aabbcc", 4, 2, ["ab", "bc"]),
        # Held, lost for a step, and back: nothing was corrected.
        ("aabaa", 3, 2, []),
        # What flickers was never held.
        ("abcab", 4, 4, []),
        ("abcabb", 4, 4, []),
        # The final answer counts however short.
        ("aaaab", 4, 1, ["ab"]),
        # No answer in between changes nothing.
        ("aa..bb", 4, 1, ["ab"]),
        ("aa..aa", 4, 0, []),
        # A run that ends without an answer commits to none, and what it held was not replaced.
        ("aa..", -1, 0, []),
        ("aabb.", -1, 1, ["ab"]),
        # An answer of one step between two held ones is passed over.
        ("aabcc", 3, 2, ["ac"]),
        ("....", -1, 0, []),
        ("a", 0, 0, []),
    ],
)
def test_planted_courses(text, commit, changed, corrected):
    assert commit_step(course(text)) == commit
    assert changes(course(text)) == changed
    assert [f"{one.held}{one.then}" for one in corrections(course(text))] == corrected


def test_a_correction_names_the_steps_on_both_of_its_sides():
    [one] = corrections(course("aa.c.bb"))
    assert (one.held, one.before, one.then, one.after) == ("a", 1, "b", 5)


def test_hold_is_how_long_an_answer_has_to_last():
    text = course("aabbbcccc")
    assert [len(corrections(text, hold)) for hold in (1, 2, 3, 4, 5)] == [2, 2, 1, 0, 0]
    with pytest.raises(ValueError, match="1 step or more, not 0"):
        corrections(text, 0)


@given(COURSES)
def test_the_commit_step_is_the_first_from_which_the_answer_is_constant(labels):
    step = commit_step(labels)
    if labels[-1] is None:
        assert step == -1
    else:
        assert all(answer == labels[-1] for answer in labels[step:])
        assert step == 0 or labels[step - 1] != labels[-1]


@given(COURSES, HOLDS)
def test_corrections_never_exceed_changes_and_fewer_are_found_the_longer_one_asks(labels, hold):
    found = corrections(labels, hold)
    assert len(corrections(labels, hold + 1)) <= len(found) <= changes(labels) <= len(labels) - 1
    assert all(one.held != one.then and one.before < one.after for one in found)
    for one in found:
        assert labels[one.before] == one.held
        assert labels[one.after] == one.then


@given(COURSES)
def test_with_a_hold_of_one_every_change_is_a_correction(labels):
    given_answers = [answer for answer in labels if answer is not None]
    expected = [(one, other) for one, other in pairwise(given_answers) if one != other]
    assert [(one.held, one.then) for one in corrections(labels, 1)] == expected
    assert changes(labels) == len(expected)


@given(COURSES, HOLDS)
def test_what_answers_are_called_does_not_matter(labels, hold):
    renamed = [None if label is None else {"a": 3, "b": 1, "c": 2}[label] for label in labels]
    assert commit_step(renamed) == commit_step(labels)
    assert len(corrections(renamed, hold)) == len(corrections(labels, hold))


@given(COURSES, HOLDS)
def test_a_run_that_goes_on_giving_its_final_answer_stays_as_it_was(labels, hold):
    if labels[-1] is not None:
        longer = [*labels, labels[-1]]
        assert commit_step(longer) == commit_step(labels)
        assert len(corrections(longer, hold)) == len(corrections(labels, hold))


@pytest.mark.parametrize(
    ("values", "tolerance", "step"),
    [
        ([0, 0.5, 0.96, 1.0], 0.05, 2),
        ([1, 1, 1], 0.0, 0),
        ([0, 1, 0, 1], 0.0, 3),
        # Near the end, away, and near again: it settles the second time.
        ([1.0, 0.2, 0.99, 1.0], 0.05, 2),
        # 0.7 - 0.65 is more than 0.05 in floating point.
        ([0.0, 0.65, 0.7], 0.05, 1),
    ],
)
def test_settling(values, tolerance, step):
    assert settle_step(values, tolerance) == step


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.floats(0, 2))
def test_a_settled_metric_stays_near_its_end(values, tolerance):
    step = settle_step(values, tolerance)
    assert np.abs(np.array(values[step:]) - values[-1]).max() <= tolerance + 1e-7
    assert step == 0 or abs(values[step - 1] - values[-1]) > tolerance


@pytest.mark.parametrize(
    ("values", "tolerance", "message"),
    [([], 0.1, "each step"), ([1, np.nan], 0.1, "finite"), ([1, 2], -1, "0 or more, not -1")],
)
def test_what_cannot_settle_is_refused(values, tolerance, message):
    with pytest.raises(ValueError, match=message):
        settle_step(values, tolerance)
