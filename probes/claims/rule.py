"""The rule that gives a claim its verdict.

The interval does it all, and nothing else is looked at: a point estimate on the claimed side counts for
nothing while its interval reaches the threshold. An effect that is there and smaller than what would count is
a claim that is not reproduced, whatever its p-value (Lakens, Soc. Psychol. Personal. Sci. 8 (2017) 355, on
tests against a smallest effect).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from probes.claims.claim import Claim, Measured
from probes.statistics import Estimate


class Verdict(StrEnum):
    """What is said of a claim."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    NOT_TESTABLE = "not testable here"


RULE = (
    "A claim names a quantity, a threshold and a side before anything is measured. It is reproduced if the "
    "whole 95 % interval of the quantity lies on the claimed side of the threshold. It is not reproduced if "
    "the whole interval lies on the other side, if it falls short of the smallest effect that would count "
    "(where the claim names one), or if the interval holds the threshold: then the two are not told apart, "
    "which is no proof of the opposite. It is not testable here if something it needs is not there: the "
    "reason is given. Each claim is judged by itself: of forty claims about nothing, one is marked "
    "reproduced by luck. Questions of our own, which the paper does not ask, are judged by the same rule and "
    "hold or do not; they are not counted."
)


@dataclass(frozen=True)
class Judgement:
    """A verdict, and the clause that says why."""

    verdict: Verdict
    reason: str


def judge(measured: Measured) -> Judgement:
    """The verdict on a claim, by `RULE`."""
    claim, estimate = measured.claim, measured.estimate
    lacking = _lacking(measured)
    if estimate is None or lacking is not None:
        return Judgement(Verdict.NOT_TESTABLE, lacking or "")
    low, high = _towards(claim, estimate)
    if high < 0:
        return Judgement(Verdict.NOT_REPRODUCED, "the opposite: the whole interval is on the other side")
    if claim.smallest is not None and high < claim.smallest:
        reason = f"the interval excludes the smallest effect that would count, {claim.smallest:g}"
        return Judgement(Verdict.NOT_REPRODUCED, reason)
    if low > 0:
        return Judgement(Verdict.REPRODUCED, "the whole interval is on the claimed side")
    return Judgement(Verdict.NOT_REPRODUCED, f"not told apart from {claim.threshold:g}")


def _lacking(measured: Measured) -> str | None:
    """Which precondition failed, if any."""
    if measured.lacking or measured.estimate is None:
        return measured.lacking
    estimate, claim = measured.estimate, measured.claim
    if estimate.samples < claim.least:
        return f"too few samples: {estimate.samples}, and {claim.least} are needed"
    if not all(math.isfinite(one) for one in (estimate.value, estimate.low, estimate.high)):
        return "no interval: the samples are all alike, or nothing is known of them"
    return None


def _towards(claim: Claim, estimate: Estimate) -> tuple[float, float]:
    """The interval as distances from the threshold, positive on the claimed side."""
    low, high = estimate.low - claim.threshold, estimate.high - claim.threshold
    return (low, high) if claim.side == "above" else (-high, -low)
