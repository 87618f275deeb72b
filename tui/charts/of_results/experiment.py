"""Experiments: claims beside their thresholds, and the panels of what else was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tui.charts.chart import Chart, Curves, Dot, Dots
from tui.charts.making import RUNS, curve_of, dot_of, how_made
from tui.charts.view import Made

if TYPE_CHECKING:
    import xarray

    from probes.claims.claim import Measured
    from probes.claims.panels import Panel


def views(dataset: xarray.Dataset) -> Iterator[Made]:
    """The claims, then the panels in their order."""
    from probes.claims.findings import Findings

    findings = Findings.from_dataset(dataset)
    yield Made("claims", partial(_claims, findings.title, findings.claims))
    for panel in findings.panels:
        yield Made(panel.name, partial(_panel, panel))


def _claims(title: str, claims: Sequence[Measured]) -> Dots:
    """The quantity of each claim, on a scale of its own about its threshold."""
    from probes.claims.words import verdict_text

    dots = []
    for one in claims:
        claim = one.claim
        told = f"{verdict_text(one)}; {claim.quantity}, {claim.unit}, counts if {claim.criterion}"
        if one.estimate is None:
            dots.append(Dot(claim.name, math.nan, told=f"{verdict_text(one)}: {one.lacking}"))
        else:
            dots.append(dot_of(claim.name, one.estimate, told=told, reference=claim.threshold))
    return Dots(
        title=f"{title}: claims and what was measured",
        measure="quantity of each claim",
        dots=tuple(dots),
        counted=RUNS,
        has_own_scales=True,
        reference_name="the threshold of the claim",
        note=how_made(one.estimate for one in claims if one.estimate is not None),
    )


def _panel(panel: Panel) -> Chart:
    return _lines(panel) if panel.form == "line" else _dots(panel)


def _lines(panel: Panel) -> Curves:
    curves = []
    for curve in panel.curves:
        at = np.array([float(place) for place in curve.at])
        order = np.argsort(at, kind="stable")
        estimates = [curve.estimates[place] for place in order]
        curves.append(curve_of(curve.name, at[order], estimates, _unit(panel)))
    return Curves(
        title=panel.title,
        measure=panel.quantity,
        across=panel.axis,
        curves=tuple(curves),
        limits=panel.limits,
        reference=panel.reference,
        note=_note(panel),
    )


def _dots(panel: Panel) -> Dots:
    """A row an estimate, those of one name together."""
    several = len(panel.curves) > 1
    names = dict.fromkeys(str(place) for curve in panel.curves for place in curve.at)
    dots: list[Dot] = []
    for name in names:
        for curve in panel.curves:
            for place, one in zip(curve.at, curve.estimates, strict=True):
                if str(place) == name:
                    dots.append(dot_of(curve.name if several else name, one, group=name if several else ""))
    return Dots(
        title=panel.title,
        measure=panel.quantity,
        dots=tuple(dots),
        counted=_unit(panel),
        limits=panel.limits,
        reference=panel.reference,
        note=_note(panel),
    )


def _unit(panel: Panel) -> tuple[str, str]:
    return panel.unit, f"{panel.unit}s"


def _note(panel: Panel) -> str:
    return how_made([one for curve in panel.curves for one in curve.estimates], _unit(panel))
