"""What a paper says, put so that a number can tell against it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from probes.statistics import FEW_SAMPLES, Estimate

Side = Literal["above", "below"]
Source = Literal["paper", "ours"]


@dataclass(frozen=True)
class Claim:
    """A claim about one quantity.

    Attributes:
        name: a word or a few, joined by dashes; names it within its experiment.
        says: what is claimed, in our words.
        where: where the paper says it; for a question of our own, why it is asked.
        quantity: what is measured, in words.
        unit: of the quantity, such as "share of runs".
        side: on which side of the threshold it has to lie.
        threshold: in the quantity's unit.
        smallest: the smallest effect that would count, as a distance from the threshold; None: any counts.
        least: independent samples below which nothing is said.
        source: "paper", or "ours" for what the paper does not ask.

    Raises:
        ValueError: a threshold that is no number, or a smallest effect or least number that is not positive.
    """

    name: str
    says: str
    where: str
    quantity: str
    unit: str
    side: Side = "above"
    threshold: float = 0.0
    smallest: float | None = None
    least: int = FEW_SAMPLES
    source: Source = "paper"

    def __post_init__(self) -> None:
        if not math.isfinite(self.threshold):
            raise ValueError(f"{self.name}: a threshold is a number, not {self.threshold}")
        if self.smallest is not None and not 0 < self.smallest < math.inf:
            raise ValueError(f"{self.name}: the smallest effect that counts is above 0, not {self.smallest}")
        if self.least < 1:
            raise ValueError(f"{self.name}: at least one sample is needed, not {self.least}")

    @property
    def criterion(self) -> str:
        """What would count, such as "above 0" or "above 0, by 0.05 or more"."""
        text = f"{self.side} {self.threshold:g}"
        return text if self.smallest is None else f"{text}, by {self.smallest:g} or more"


@dataclass(frozen=True)
class Measured:
    """A claim and what was measured of it.

    Attributes:
        claim: what was asked.
        estimate: of its quantity; None where it could not be measured.
        lacking: why it cannot be tested here, as a clause such as "the model has no layers"; None if it can.

    Raises:
        ValueError: there is neither an estimate nor a reason.
    """

    claim: Claim
    estimate: Estimate | None
    lacking: str | None = None

    def __post_init__(self) -> None:
        if self.estimate is None and not self.lacking:
            raise ValueError(f"{self.claim.name}: not measured, and no reason why")
