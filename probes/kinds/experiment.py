"""The kind "experiment": claims with verdicts, and what else was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from probes.claims.findings import Findings
from probes.claims.words import how_text, sentence_of, verdict_text
from probes.kinds import Kind
from probes.statistics import Estimate

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure


def _summary(dataset: xarray.Dataset) -> list[str]:
    findings = Findings.from_dataset(dataset)
    lines = [f"{findings.title}. {findings.about}"]
    lines += [sentence_of(one) for one in findings.claims]
    hows = dict.fromkeys(how_text(one.estimate) for one in findings.claims if one.estimate is not None)
    return [*lines, *(f"{how}." for how in hows), *findings.limits]


def _table(dataset: xarray.Dataset) -> pandas.DataFrame:
    import pandas as pd

    findings = Findings.from_dataset(dataset)
    rows = []
    for measured in findings.claims:
        one, claim = measured.estimate, measured.claim
        told = {"what": "claim", "name": claim.name, "at": claim.criterion}
        rows.append(told | _numbers(one) | {"verdict": verdict_text(measured)})
    for panel in findings.panels:
        for curve in panel.curves:
            for place, one in zip(curve.at, curve.estimates, strict=True):
                at = place if isinstance(place, str) else f"{place:g}"
                rows.append(
                    {"what": panel.name, "name": curve.name, "at": at} | _numbers(one) | {"verdict": ""}
                )
    return pd.DataFrame(rows)


def _numbers(one: Estimate | None) -> dict[str, float | int | None]:
    if one is None:
        return {"value": None, "low": None, "high": None, "n": 0, "samples": 0}
    return {"value": one.value, "low": one.low, "high": one.high, "n": one.n, "samples": one.samples}


def _figures(dataset: xarray.Dataset) -> Mapping[str, Callable[[], Figure]]:
    # Drawing libraries load slowly, and a summary needs none.
    from probes.claims.figures import figures

    return figures(Findings.from_dataset(dataset))


KIND = Kind("An experiment: claims and what was measured of them", _summary, _table, _figures)
