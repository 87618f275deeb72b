"""What choosing among k of K seeds gives, held against all subsets taken one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.ensembles import subsets

ANSWERS = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=6)
VALUES = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=6)


def shared(chosen: list[list[int]], count: int) -> np.ndarray:
    """The weights of seeds, where in each subset these are chosen, each as often as the others."""
    weights = np.zeros(count)
    for tied in chosen:
        weights[tied] += 1 / len(tied) / len(chosen)
    return weights


def by_answers(answers: Sequence[Any], size: int, *, with_none: bool) -> np.ndarray:
    """One subset at a time: answers that are tied share alike, and so do the seeds that give one answer."""
    weights = np.zeros(len(answers))
    taken = list(combinations(range(len(answers)), size))
    for subset in taken:
        said = [answers[seed] for seed in subset if with_none or answers[seed] is not None] or [None]
        counts = Counter(said)
        tied = [answer for answer, number in counts.items() if number == max(counts.values())]
        for answer in tied:
            seeds = [seed for seed in subset if answers[seed] == answer]
            for seed in seeds:
                weights[seed] += 1 / len(seeds) / len(tied) / len(taken)
    return weights


@given(ANSWERS, st.data())
def test_the_most_common_answer_is_that_of_each_subset(answers: list[Any], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(answers)))
    expected = by_answers(answers, size, with_none=True)
    assert subsets.most_common_weights(answers, size) == pytest.approx(expected)


@given(ANSWERS, st.data())
def test_agreement_passes_over_seeds_without_an_answer(answers: list[Any], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(answers)))
    expected = by_answers(answers, size, with_none=False)
    assert subsets.agreed_weights(answers, size) == pytest.approx(expected)


@given(VALUES, st.data())
def test_the_greatest_score_is_that_of_each_subset(scores: list[float], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(scores)))
    chosen = []
    for subset in combinations(range(len(scores)), size):
        most = max(scores[seed] for seed in subset)
        chosen.append([seed for seed in subset if scores[seed] == most])
    assert subsets.greatest_weights(scores, size) == pytest.approx(shared(chosen, len(scores)))


@given(VALUES, st.data())
def test_extremes_are_the_means_of_those_of_each_subset(values: list[float], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(values)))
    taken = list(combinations(values, size))
    row = np.array([values])
    assert subsets.greatest_means(row, size)[0] == pytest.approx(np.mean([max(one) for one in taken]))
    assert subsets.least_means(row, size)[0] == pytest.approx(np.mean([min(one) for one in taken]))


def test_known_cases() -> None:
    # Two of three agree: a pair holds both in one case of three, else it is a tie.
    assert subsets.most_common_weights(["a", "a", "b"], 3).tolist() == [0.5, 0.5, 0.0]
    assert subsets.most_common_weights(["a", "a", "b"], 2) == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert subsets.most_common_weights(["a", None, None], 3).tolist() == [0.0, 0.5, 0.5]
    assert subsets.agreed_weights(["a", None, None], 3).tolist() == [1.0, 0.0, 0.0]
    assert subsets.agreed_weights(["a", None, None], 1) == pytest.approx([1 / 3] * 3)
    assert subsets.greatest_means(np.array([[0.0, 0.0, 1.0]]), 2)[0] == pytest.approx(2 / 3)


@pytest.mark.parametrize("size", [0, 4])
def test_there_are_no_subsets_of_other_sizes(size: int) -> None:
    with pytest.raises(ValueError, match="1 to 3"):
        subsets.most_common_weights(["a", "b", "c"], size)


def test_a_score_that_is_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        subsets.greatest_weights([0.0, float("nan")], 1)


def test_many_seeds_of_many_answers_are_no_trouble() -> None:
    answers = [f"answer {number % 17}" for number in range(32)]
    assert subsets.most_common_weights(answers, 16).sum() == pytest.approx(1.0)
