"""Findings with every kind of verdict and of panel, for tests."""

from __future__ import annotations

from probes.claims import Claim, Curve, Findings, Measured, Panel, Shown
from probes.statistics import Estimate


def estimate(value: float = 0.5, n: int = 24) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.1, 0.95, n, 12, "Wilson, samples as n", None, None)


def drawn(value: float) -> Estimate:
    return Estimate(value, value - 0.2, value + 0.3, 0.95, 36, 12, "cluster bootstrap by sample, BCa", 0, 9)


def claims() -> tuple[Measured, ...]:
    return (
        Measured(Claim("rises", "It rises.", "abstract", "last less first", "share of runs"), drawn(0.4)),
        Measured(
            Claim("falls", "It falls.", "abstract", "change", "steps", "below", -1.0, 0.5, 5, "ours"),
            estimate(0.0),
        ),
        Measured(Claim("seen", "It sees.", "abstract", "share", "share"), None, "the model has no eyes"),
    )


def findings() -> Findings:
    lines = Panel(
        "by-step",
        "Score by step",
        "denoising step",
        "share of runs",
        (
            Curve("solved", (0, 1, 2), (estimate(0.2), estimate(0.4), drawn(0.6))),
            Curve("answered", (0, 2), (estimate(0.3), estimate(0.9))),
        ),
        limits=(0.0, 1.0),
        reference=0.5,
    )
    dots = Panel(
        "by-name",
        "By name",
        "",
        "gain",
        (Curve("gain", ("early", "late"), (drawn(0.1), drawn(0.2))),),
        "dots",
    )
    return Findings(
        *("trial", "A trial", "Planted numbers.", ("Nothing is shown.",), claims(), (lines, dots)),
        shown=(Shown("store", "convergence", "braid"),),
    )
