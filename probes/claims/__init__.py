"""Claims and what was measured of them: verdicts are computed by a stated rule, never written by hand.

claim      what a paper says, and the quantity, threshold and side that would count
rule       the verdict that follows
panels     what else was measured: curves and dots with intervals
findings   an experiment's claims and panels as a dataset
figures    panels and claims, drawn
"""

from probes.claims.claim import Claim, Measured
from probes.claims.findings import Findings, Shown
from probes.claims.panels import Curve, Panel
from probes.claims.rule import RULE, Judgement, Verdict, judge

__all__ = [
    "RULE",
    "Claim",
    "Curve",
    "Findings",
    "Judgement",
    "Measured",
    "Panel",
    "Shown",
    "Verdict",
    "judge",
]
