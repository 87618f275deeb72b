"""Probes: the score by step and layer, its curves beside control task and baselines, and other maps."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tui.charts.chart import Curve, Curves
from tui.charts.view import Made
from tui.heatmaps.of_results import maps_in, maps_of_probe

if TYPE_CHECKING:
    import xarray

_FIRST = ("selectivity", "compression_over_prior")
_OF_A_SAMPLE = "by_sample"


def views(dataset: xarray.Dataset) -> Iterator[Made]:
    """The ways to look at a probe, the main one first. Raises LookupError: it has no score."""
    score = next(maps_of_probe(dataset), None)
    if score is None:
        raise LookupError("no score by step and layer with low, high and p")
    others = [one for one in maps_in(dataset) if one.name != score.name]
    yield Made(f"{score.name} by step and layer", score.make)
    yield Made("by layer", partial(_curves, dataset, "layer"))
    yield Made("by step", partial(_curves, dataset, "step"))
    # Of single samples there are too many to be looked at one by one; they are in the table.
    others = [one for one in others if not one.name.startswith(_OF_A_SAMPLE)]
    ranked = sorted(others, key=lambda one: _FIRST.index(one.name) if one.name in _FIRST else len(_FIRST))
    yield from (Made(one.name.replace("_", " "), one.make) for one in ranked)


def _curves(dataset: xarray.Dataset, along: str) -> Curves:
    """The score along steps or layers, through the best cell."""
    from probes.kinds.probe import best_cell, how, metric_name, what_was_probed

    across = "layer" if along == "step" else "step"
    fixed = best_cell(dataset)[along == "step"]
    here = dataset.sel({across: fixed})
    curves = [_curve(here, along, "probe", ("score", "low", "high"))]
    if np.isfinite(here["control"].values).any():
        names = ("control", "control_low", "control_high")
        curves.append(_curve(here, along, "control task", names, is_beside=True))
    for baseline in here["baseline"].values.tolist() if "baseline" in here.coords else ():
        names = ("baseline_score", "baseline_score_low", "baseline_score_high")
        one = here.sel(baseline=baseline)
        curves.append(_curve(one, along, f"baseline: {baseline}", names, is_beside=True))
    return Curves(
        title=f"{what_was_probed(dataset)}; through the best cell, at {across} {fixed}",
        measure=metric_name(dataset),
        across=along,
        curves=tuple(curves),
        reference=float(dataset.attrs["chance"]),
        reference_name="chance",
        note=how(dataset),
    )


def _curve(here: xarray.Dataset, along: str, name: str, names: tuple[str, str, str], **more: Any) -> Curve:
    attrs, at = here.attrs, here[along].values
    value, low, high = (here[one].values.astype(np.float64) for one in names)
    return Curve(
        name,
        at.astype(np.float64),
        value,
        low,
        high,
        np.full(len(at), int(attrs["n"])),
        np.full(len(at), int(attrs["samples"])),
        (str(attrs["unit"]), f"{attrs['unit']}s"),
        **more,
    )
