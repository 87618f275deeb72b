"""How probes are fitted and judged: the same for all cells of a grid."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from probes.statistics import LEVEL

Model = Literal["logistic", "ridge"]

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


@dataclass(frozen=True)
class Plan:
    """How probes are fitted and judged.

    Attributes:
        model: `logistic`, for classes; or `ridge`, least squares, for numbers and classes alike.
        strengths: penalties to choose from in the inner folds, on the squared weights of standardised
            features, *per row*: of n training rows, scikit-learn's `Ridge` calls this alpha = strength * n,
            its `LogisticRegression` C = 1 / (strength * n).
        outer: folds that scores are taken from.
        inner: folds within each training set, in which the strength is chosen.
        components: principal components that are kept of the standardised features, fitted in each fold; None
            for all features.
        permutations: of label maps between samples; 0 for no test.
        seed: of folds, control labels, permutations, bootstrap draws and the order of the code's blocks.
        mdl: whether to compute the code length of the labels.
        control: whether to fit the control task, where the problem has types.
        draws: of the bootstrap.
        level: coverage of intervals.

    Raises:
        ValueError: a number that makes no sense.
    """

    model: Model = "logistic"
    strengths: tuple[float, ...] = STRENGTHS
    outer: int = 5
    inner: int = 3
    components: int | None = None
    permutations: int = 1000
    seed: int = 0
    mdl: bool = True
    control: bool = True
    draws: int = 2_000
    level: float = LEVEL

    def __post_init__(self) -> None:
        if self.model not in ("logistic", "ridge"):
            raise ValueError(f"a probe is logistic or ridge, not {self.model!r}")
        object.__setattr__(self, "strengths", tuple(sorted(map(float, self.strengths))))
        if not self.strengths or not all(0 < one < math.inf for one in self.strengths):
            raise ValueError(f"strengths are positive numbers, at least one, not {self.strengths}")
        if len(set(self.strengths)) < len(self.strengths):
            raise ValueError(f"a strength is named twice: {self.strengths}")
        least = {"outer": 2, "inner": 2, "permutations": 0, "seed": 0, "draws": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} is at least {bound}, not {getattr(self, name)}")
        if self.components is not None and self.components < 1:
            raise ValueError(f"components is at least 1, not {self.components}")
        if not 0 < self.level < 1:
            raise ValueError(f"a level lies between 0 and 1, not {self.level}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for what a result says of itself."""
        return {**asdict(self), "strengths": list(self.strengths)}
