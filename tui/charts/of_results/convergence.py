"""Convergence: how seeds agree by step, when runs commit, and what becomes of groups of samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tui.charts.chart import Curve, Curves
from tui.charts.making import RUNS, SAMPLES, curve_of, how_made, sentence
from tui.charts.view import Made

if TYPE_CHECKING:
    import xarray

    from probes.statistics import Estimate

_COUPLES = ("couple", "couples")
_SHARE = (0.0, 1.0)
NEVER = -1
"""The step at which runs commit that end without an answer."""
_GROUPED = {
    "committed": ("Commitment", "share of runs", RUNS),
    "distance": ("Distance of seeds", "distance", SAMPLES),
    "agreement": ("Agreement of seeds", "share of the pairs of a sample's seeds", SAMPLES),
}


def views(dataset: xarray.Dataset) -> Iterator[Made]:
    """The ways to look at convergence, what says most first."""
    readings = dataset["reading"].values.tolist() if "reading" in dataset else []
    is_grouped = dataset.sizes["group"] > 1
    if readings:
        yield Made("agreement", partial(_agreement, dataset, readings[0]))
        yield Made("commitment", partial(_commitment, dataset))
        if is_grouped:
            yield Made("commitment by group", partial(_by_group, dataset, "committed", readings[0]))
    yield Made("distance", partial(_distance, dataset))
    for reading in readings[1:]:
        yield Made(f"agreement: {reading}", partial(_agreement, dataset, reading))
    if readings:
        yield Made("distinct answers", partial(_distinct, dataset))
    for reading in readings:
        if np.isfinite(dataset["right_by_votes"].sel(reading=reading).values).any():
            name = "votes" if reading == readings[0] else f"votes: {reading}"
            yield Made(name, partial(_votes, dataset, reading))
    if is_grouped:
        yield Made("distance by group", partial(_by_group, dataset, "distance", None))
        if readings:
            yield Made("agreement by group", partial(_by_group, dataset, "agreement", readings[0]))


def _agreement(dataset: xarray.Dataset, reading: str) -> Curves:
    return _chart(
        dataset,
        f"Agreement of seeds by step: {_label(dataset, reading)}",
        "share of the pairs of a sample's seeds",
        {
            "same answer": ("agreement", SAMPLES),
            "same answer and right": ("agreement_right", SAMPLES),
            "both right, were seeds independent": ("agreement_chance", RUNS),
        },
        {"reading": reading},
        _SHARE,
    )


def _distance(dataset: xarray.Dataset) -> Curves:
    return _chart(
        dataset,
        sentence(str(dataset["distance"].attrs["long_name"])),
        "distance",
        {
            "seeds of one sample": ("distance", SAMPLES),
            "another sample, another seed": ("distance_other_seed", _COUPLES),
            "another sample, the same seed": ("distance_same_seed", _COUPLES),
        },
        {},
        None,
    )


def _commitment(dataset: xarray.Dataset) -> Curves:
    """The share of runs that has committed by each step, and that which commits there."""
    from probes.estimated import estimates_along
    from probes.groups import ALL

    steps = dataset["step"].values
    found = {
        _label(dataset, reading): estimates_along(dataset, "committed", group=ALL, reading=reading)
        for reading in dataset["reading"].values.tolist()
    }
    committed = {
        _label(dataset, reading): dataset["commit_step"].sel(reading=reading).values
        for reading in dataset["reading"].values.tolist()
    }
    here = [
        Curve(
            f"{label}: commits here",
            steps.astype(np.float64),
            np.array([np.mean(at == step) for step in steps]),
            n=np.full(len(steps), at.size),
            counted=RUNS,
            is_beside=True,
        )
        for label, at in committed.items()
    ]
    without = [f"{label} {np.mean(at == NEVER):.1%}" for label, at in committed.items()]
    return Curves(
        title="Share of runs that hold their final answer from this step on, or an earlier one",
        measure="share of runs",
        across="step",
        curves=(*(curve_of(label, steps, curve, RUNS) for label, curve in found.items()), *here),
        limits=_SHARE,
        note=f"{how_made(_joined(found), RUNS)}; end without an answer: {', '.join(without)}",
    )


def _distinct(dataset: xarray.Dataset) -> Curves:
    from probes.estimated import estimates_along
    from probes.groups import ALL

    found = {
        _label(dataset, reading): estimates_along(dataset, "distinct", group=ALL, reading=reading)
        for reading in dataset["reading"].values.tolist()
    }
    return _curves(
        dataset, "Distinct answers by step", "distinct answers of a sample's seeds", found, SAMPLES, None
    )


def _votes(dataset: xarray.Dataset, reading: str) -> Curves:
    from probes.estimated import estimates_along

    found = {
        _others(int(count)): estimates_along(dataset, "right_by_votes", reading=reading, votes=count)
        for count in dataset["votes"].values.tolist()
    }
    return _curves(
        dataset,
        f"Runs that end right, by how many other seeds agree at a step: {_label(dataset, reading)}",
        "share of runs whose final answer is right",
        found,
        RUNS,
        _SHARE,
    )


def _by_group(dataset: xarray.Dataset, name: str, reading: str | None) -> Curves:
    from probes.estimated import estimates_along

    place = {} if reading is None else {"reading": reading}
    title, measure, counted = _GROUPED[name]
    found = {
        group: estimates_along(dataset, name, group=group, **place)
        for group in dataset["group"].values.tolist()[1:]
    }
    what = "" if reading is None else f": {_label(dataset, reading)}"
    limits = None if name == "distance" else _SHARE
    return _curves(dataset, f"{title} by {dataset.attrs['by']}{what}", measure, found, counted, limits)


def _chart(
    dataset: xarray.Dataset,
    title: str,
    measure: str,
    names: Mapping[str, tuple[str, tuple[str, str]]],
    place: Mapping[str, Any],
    limits: tuple[float, float] | None,
) -> Curves:
    """Curves of several variables, each with what its n counts; those of which nothing is known left out."""
    from probes.estimated import estimates_along
    from probes.groups import ALL

    steps, curves, notes = dataset["step"].values, [], []
    for label, (name, counted) in names.items():
        own = {"group": ALL} if "group" in dataset[name].dims else {}
        found = estimates_along(dataset, name, **own, **place)
        if any(one.n for one in found):
            curves.append(curve_of(label, steps, found, counted))
            notes.append(how_made(found, counted))
    told = list(dict.fromkeys(notes))
    note = (
        told[0]
        if len(told) == 1
        else "; ".join(f"{curve.name}: {text}" for curve, text in zip(curves, notes, strict=True))
    )
    return Curves(title=title, measure=measure, across="step", curves=tuple(curves), limits=limits, note=note)


def _curves(
    dataset: xarray.Dataset,
    title: str,
    measure: str,
    found: Mapping[str, Sequence[Estimate]],
    counted: tuple[str, str],
    limits: tuple[float, float] | None,
) -> Curves:
    known = {name: curve for name, curve in found.items() if any(one.n for one in curve)}
    return Curves(
        title=title,
        measure=measure,
        across="step",
        curves=tuple(curve_of(name, dataset["step"].values, curve, counted) for name, curve in known.items()),
        limits=limits,
        note=how_made(_joined(known), counted),
    )


def _joined(found: Mapping[str, Sequence[Estimate]]) -> list[Estimate]:
    return [one for curve in found.values() for one in curve]


def _others(count: int) -> str:
    return "no other seed" if count == 0 else "1 other seed" if count == 1 else f"{count} other seeds"


def _label(dataset: xarray.Dataset, reading: str) -> str:
    return str(dataset["reading_label"].sel(reading=reading).item())
