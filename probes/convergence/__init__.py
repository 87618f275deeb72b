"""How the seeds of a sample agree as denoising goes on, from a store alone.

Two views. `distances` compares the clean estimates themselves, so it needs no task. `answers` and `sequences`
compare what they say once something has read them (which goal is reached, which way is taken), and tell when
a run commits and how often it corrects itself. Read both together: averages are alike without agreeing.
`analysis` makes a result of both.
"""

from probes.convergence.answers import Answers, answers
from probes.convergence.distances import (
    NORMALISERS,
    Disagreement,
    Normaliser,
    Reference,
    cross_distances,
    pair_distances,
    reference_distances,
    seed_disagreement,
)
from probes.convergence.sequences import (
    HOLD,
    Correction,
    changes,
    commit_step,
    corrections,
    settle_step,
)

__all__ = [
    "HOLD",
    "NORMALISERS",
    "Answers",
    "Correction",
    "Disagreement",
    "Normaliser",
    "Reference",
    "answers",
    "changes",
    "commit_step",
    "corrections",
    "cross_distances",
    "pair_distances",
    "reference_distances",
    "seed_disagreement",
    "settle_step",
]
