"""The verdict on a claim follows from its interval by one rule, whatever the numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import statistics
from probes.claims import Claim, Measured, Verdict, judge
from probes.statistics import Estimate

NUMBERS = st.floats(-1e6, 1e6)


def claim(**asked: object) -> Claim:
    known = {"name": "c", "says": "s", "where": "w", "quantity": "q", "unit": "share"}
    return Claim(**(known | asked))  # type: ignore[arg-type]


def estimate(low: float, high: float, samples: int = 50) -> Estimate:
    return Estimate((low + high) / 2, low, high, 0.95, samples, samples, "planted", 0, 10)


def verdict(asked: Claim, low: float, high: float, samples: int = 50) -> Verdict:
    return judge(Measured(asked, estimate(low, high, samples))).verdict


@given(NUMBERS, NUMBERS, NUMBERS)
def test_reproduced_means_that_the_whole_interval_is_on_the_claimed_side(
    threshold: float, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    above = verdict(claim(threshold=threshold), low, high)
    assert (above is Verdict.REPRODUCED) == (low > threshold)
    below = verdict(claim(threshold=threshold, side="below"), low, high)
    assert (below is Verdict.REPRODUCED) == (high < threshold)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_claim_and_its_opposite_are_never_both_reproduced(
    threshold: float, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    both = {verdict(claim(threshold=threshold, side=side), low, high) for side in ("above", "below")}
    assert both != {Verdict.REPRODUCED}


@given(NUMBERS, NUMBERS, NUMBERS, st.floats(1e-3, 1e3))
def test_sides_mirror_each_other(threshold: float, one: float, other: float, smallest: float) -> None:
    low, high = sorted((one, other))
    up = claim(threshold=threshold, smallest=smallest)
    down = claim(threshold=-threshold, smallest=smallest, side="below")
    assert (
        judge(Measured(up, estimate(low, high))).verdict
        == judge(Measured(down, estimate(-high, -low))).verdict
    )


@given(st.floats(0.001, 1.0), st.floats(0.001, 0.999), st.floats(0.0, 0.999))
def test_an_effect_smaller_than_what_would_count_is_not_reproduced(
    smallest: float, share: float, narrow: float
) -> None:
    high = smallest * share
    judged = judge(Measured(claim(smallest=smallest), estimate(high * narrow, high)))
    assert judged.verdict is Verdict.NOT_REPRODUCED
    assert "smallest effect" in judged.reason


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.2, -0.1, "the opposite"),
        (-0.1, 0.1, "not told apart from 0"),
        (0.0, 0.1, "not told apart from 0"),
        (0.1, 0.2, "claimed side"),
    ],
)
def test_the_reason_says_where_the_interval_lies(low: float, high: float, words: str) -> None:
    assert words in judge(Measured(claim(), estimate(low, high))).reason


@given(NUMBERS, st.integers(1, 100), st.integers(1, 100))
def test_too_few_samples_say_nothing(low: float, samples: int, least: int) -> None:
    judged = verdict(claim(least=least), low, low + 1, samples)
    assert (judged is Verdict.NOT_TESTABLE) == (samples < least)


@given(NUMBERS, st.text(min_size=1))
def test_a_failed_precondition_outweighs_any_number(low: float, why: str) -> None:
    judged = judge(Measured(claim(), estimate(low, low + 1), lacking=why))
    assert judged.verdict is Verdict.NOT_TESTABLE
    assert judged.reason == why


def test_without_an_interval_nothing_is_said() -> None:
    assert verdict(claim(), math.nan, math.nan) is Verdict.NOT_TESTABLE


def test_a_claim_that_was_not_measured_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="no reason"):
        Measured(claim(), None)


def test_a_smallest_effect_is_positive() -> None:
    with pytest.raises(ValueError, match="smallest"):
        claim(smallest=0.0)


def test_of_claims_about_nothing_few_are_marked_reproduced() -> None:
    """The rule's false positives are those of a one-sided test at 2.5 %."""
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((400, 40))
    names = list(range(40))
    found = [statistics.mean(row, names, draws=400) for row in draws]
    marked = sum(judge(Measured(claim(), one)).verdict is Verdict.REPRODUCED for one in found)
    assert 0.005 <= marked / 400 <= 0.06


def test_a_planted_effect_is_reproduced_and_its_opposite_is_not() -> None:
    rng = np.random.default_rng(1)
    values, names = rng.standard_normal(60) + 1, list(range(60))
    one = statistics.mean(values, names)
    assert judge(Measured(claim(), one)).verdict is Verdict.REPRODUCED
    assert judge(Measured(replace(claim(), side="below"), one)).verdict is Verdict.NOT_REPRODUCED
