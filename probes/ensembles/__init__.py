"""What ensembles gain over the seeds they are made of, at equal cost, from the scores of a store alone."""

from probes.ensembles.analysis import compare
from probes.ensembles.comparing import SINGLE, VariantOutcomes, comparison
from probes.ensembles.outcomes import AGREEMENT, RULES, SeedOutcomes
from probes.ensembles.paired import GAIN, NO_GAIN, NOT_TOLD, VERDICTS

__all__ = [
    "AGREEMENT",
    "GAIN",
    "NOT_TOLD",
    "NO_GAIN",
    "RULES",
    "SINGLE",
    "VERDICTS",
    "SeedOutcomes",
    "VariantOutcomes",
    "compare",
    "comparison",
]
