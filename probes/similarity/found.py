"""What was found of every pair of a design."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from probes.similarity.intervals import Shuffle, Shuffles
from probes.similarity.moments import Float64


@dataclass(eq=False)
class Found:
    """Measures of pairs of features; NaN where they are not defined.

    Attributes:
        value: (pair,), from all rows.
        biased: (pair,), CKA by the plain estimator; NaN of other measures.
        without: (pair, sample), from all rows but those of a sample.
        shuffled: of each baseline, (pair, draw).
    """

    value: Float64
    biased: Float64
    without: Float64
    shuffled: dict[Shuffle, Float64]

    @classmethod
    def empty(cls, pairs: int, samples: int, shuffles: Shuffles) -> Found:
        """For so many."""
        return cls(
            np.full(pairs, np.nan),
            np.full(pairs, np.nan),
            np.full((pairs, samples), np.nan),
            {kind: np.full((pairs, shuffles.draws), np.nan) for kind in shuffles.kinds},
        )
