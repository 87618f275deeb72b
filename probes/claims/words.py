"""Claims in sentences: what the paper says, what was measured here, n, interval, verdict."""

from __future__ import annotations

import math

from probes.claims.claim import Measured
from probes.claims.rule import Verdict, judge
from probes.statistics import Estimate

_OF_OURS = {
    Verdict.REPRODUCED: "holds here",
    Verdict.NOT_REPRODUCED: "does not hold here",
    Verdict.NOT_TESTABLE: Verdict.NOT_TESTABLE.value,
}


def number_text(value: float) -> str:
    """A number with as many digits as it takes to tell it from 0."""
    if not math.isfinite(value):
        return "-"
    if value == 0 or abs(value) >= 0.095:
        return f"{value:.2f}"
    return f"{value:.3f}"


def estimate_text(one: Estimate) -> str:
    """`0.12 [0.05, 0.20] (n = 36 of 12 samples)`."""
    ends = f"[{number_text(one.low)}, {number_text(one.high)}]" if math.isfinite(one.low) else "(no interval)"
    return f"{number_text(one.value)} {ends} (n = {one.n:,} of {one.samples:,} samples)"


def how_text(one: Estimate) -> str:
    """How an interval was made."""
    drawn = f", bootstrap seed {one.seed}, {one.draws:,} draws" if one.seed is not None else ""
    return f"{one.level:.0%} interval: {one.method}{drawn}"


def verdict_text(measured: Measured) -> str:
    """The verdict in words; what the paper did not claim cannot be reproduced, and holds or does not."""
    verdict = judge(measured).verdict
    return verdict.value if measured.claim.source == "paper" else _OF_OURS[verdict]


def sentence_of(measured: Measured) -> str:
    """A claim, what was measured, and the verdict, in a sentence or two."""
    claim, judged = measured.claim, judge(measured)
    who = "The paper" if claim.source == "paper" else "Our question"
    text = f"{verdict_text(measured).capitalize()}: {judged.reason}. {who}: {claim.says}"
    if measured.estimate is not None:
        text += (
            f" Here: {claim.quantity}: {estimate_text(measured.estimate)}, {claim.unit}; counts if "
            f"{claim.criterion}."
        )
    return text
