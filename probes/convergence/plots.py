"""Figures of a result of convergence: curves by step, when runs commit, and the answers themselves."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from probes.estimated import estimates_along
from probes.figures import plots
from probes.figures.plots import OKABE_ITO
from probes.groups import ALL
from probes.statistics import Estimate

if TYPE_CHECKING:
    import xarray

_GREY = "#555555"


def figures(dataset: xarray.Dataset) -> dict[str, Callable[[], Figure]]:
    """The figures that a result has, by name, those that say most first; each is drawn when it is called."""
    from probes.convergence.braid import braid

    readings = dataset["reading"].values.tolist() if "reading" in dataset else []
    is_grouped = dataset.sizes["group"] > 1
    made: dict[str, Callable[[], Figure]] = {}
    if readings:
        made["agreement"] = partial(agreement, dataset, readings[0])
        made["commitment"] = partial(commitment, dataset)
        if is_grouped:
            made["commitment-by-group"] = partial(by_group, dataset, "committed", readings[0])
        made["braid"] = partial(braid, dataset)
    made["distance"] = partial(distance, dataset)
    if readings:
        made |= {f"agreement-{reading}": partial(agreement, dataset, reading) for reading in readings[1:]}
        made["distinct"] = partial(distinct, dataset)
    for reading in readings:
        if np.isfinite(dataset["right_by_votes"].sel(reading=reading).values).any():
            name = "votes" if reading == readings[0] else f"votes-{reading}"
            made[name] = partial(votes, dataset, reading)
    if is_grouped:
        made["distance-by-group"] = partial(by_group, dataset, "distance", None)
        if readings:
            made["agreement-by-group"] = partial(by_group, dataset, "agreement", readings[0])
    return made


def distance(dataset: xarray.Dataset) -> Figure:
    """How far seeds are apart by step, beside runs of different samples."""
    curves = {
        "seeds of one sample": estimates_along(dataset, "distance", group=ALL),
        "another sample, another seed": estimates_along(dataset, "distance_other_seed"),
        "another sample, the same seed": estimates_along(dataset, "distance_same_seed"),
    }
    units = dict.fromkeys(curves, "couple") | {"seeds of one sample": "sample"}
    return _by_step(
        curves,
        "Distance of clean estimates by step",
        "distance",
        f"{_sentence(dataset['distance'].attrs['long_name'])}.",
        units,
        None,
    )


def agreement(dataset: xarray.Dataset, reading: str) -> Figure:
    """How many seeds give the same answer, and how many pairs would be right by chance."""
    place = {"group": ALL, "reading": reading}
    curves = {
        "same answer": estimates_along(dataset, "agreement", **place),
        "same answer and right": estimates_along(dataset, "agreement_right", **place),
        "both right, were seeds independent": estimates_along(dataset, "agreement_chance", **place),
    }
    return _by_step(
        curves,
        f"Agreement of seeds by step: {_label(dataset, reading)}",
        "share of the pairs of a sample's seeds",
        "Were seeds independent: the share of runs that is right, squared. A pair of which one gives no "
        "answer does not agree.",
        {name: "sample" if name.startswith("same") else "run" for name in curves},
        (0, 1),
    )


def distinct(dataset: xarray.Dataset) -> Figure:
    """How many distinct answers the seeds of a sample give by step."""
    curves = {
        _label(dataset, reading): estimates_along(dataset, "distinct", group=ALL, reading=reading)
        for reading in dataset["reading"].values.tolist()
    }
    seeds = dataset["seeds"].values
    of = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    return _by_step(
        curves,
        "Distinct answers by step",
        "distinct answers of a sample's seeds",
        f"Of {of} seeds a sample; no answer is not one.",
        dict.fromkeys(curves, "sample"),
        None,
    )


def votes(dataset: xarray.Dataset, reading: str) -> Figure:
    """Whether runs end right, by how many other seeds give their answer at a step."""
    curves = {
        _others(int(count)): estimates_along(dataset, "right_by_votes", reading=reading, votes=count)
        for count in dataset["votes"].values.tolist()[: len(OKABE_ITO)]
    }
    return _by_step(
        curves,
        f"Runs that end right, by agreement at a step: {_label(dataset, reading)}",
        "share of runs whose final answer is right",
        "Runs that give an answer at the step, by how many other seeds of the sample give the same.",
        dict.fromkeys(curves, "run"),
        (0, 1),
    )


def by_group(dataset: xarray.Dataset, name: str, reading: str | None) -> Figure:
    """A curve of each group of samples."""
    place = {} if reading is None else {"reading": reading}
    curves = {
        group: estimates_along(dataset, name, group=group, **place)
        for group in dataset["group"].values.tolist()[1 : 1 + len(OKABE_ITO)]
    }
    label = _sentence(dataset[name].attrs["long_name"])
    what = "" if reading is None else f": {_label(dataset, reading)}"
    title = {"distance": "Distance of seeds", "agreement": "Agreement of seeds"}.get(name, "Commitment")
    return _by_step(
        curves,
        f"{title} by {dataset.attrs['by']}{what}",
        {"distance": "distance", "agreement": "share of pairs of seeds"}.get(name, "share of runs"),
        f"{label}.",
        dict.fromkeys(curves, "run" if name == "committed" else "sample"),
        None if name == "distance" else (0, 1),
    )


def commitment(dataset: xarray.Dataset) -> Figure:
    """When runs commit: a histogram of the step, and the share that has committed by each."""
    steps = dataset["step"].values
    readings = dataset["reading"].values.tolist()[: len(OKABE_ITO)]
    curves = {
        reading: estimates_along(dataset, "committed", group=ALL, reading=reading) for reading in readings
    }
    caption = textwrap.wrap(
        "Bars: share of runs that commit at this step (first step from which the answer is the final one); "
        "the last bars: runs that end without an answer. Curves: share that has committed. "
        + notes(curves, dict.fromkeys(curves, "run")),
        92,
    )
    foot = 0.2 * len(caption) + 0.15
    height = 3.9 + foot
    figure = Figure(figsize=(7.2, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.1, (foot + 0.62) / height, 0.87, (3.9 - 1.12) / height))
    width = 0.8 / len(readings)
    for place, (reading, colour) in enumerate(zip(readings, OKABE_ITO, strict=False)):
        committed = dataset["commit_step"].sel(reading=reading).values
        shares = [np.mean(committed == step) for step in [*steps, -1]]
        at = np.arange(len(shares)) - 0.4 + width * (place + 0.5)
        label = _label(dataset, reading)
        axes.bar(
            at, shares, width, color=colour, alpha=0.85, label=f"{label}, commits here",
            hatch=None if place == 0 else "///", edgecolor="white", linewidth=0.5,
        )  # fmt: skip
        value, low, high = np.array([(one.value, one.low, one.high) for one in curves[reading]]).T
        axes.fill_between(steps, low, high, facecolor=(colour, 0.12), edgecolor=(colour, 0.5), linewidth=0.7)
        marker = "os^Dv"[place % 5]
        axes.plot(
            steps, value, color=colour, marker=marker, markersize=4.5, linewidth=1.6,
            label=f"{label}, has committed",
        )  # fmt: skip
    every = -(-len(steps) // 16)
    ticks = [*range(0, len(steps), every), len(steps)]
    axes.set_xticks(ticks, [*(str(steps[tick]) for tick in ticks[:-1]), "none"])
    axes.set_xlabel("denoising step (0 = noisiest)")
    axes.set_ylabel("share of runs")
    axes.set_ylim(0, 1.02)
    axes.set_title("When runs commit to their final answer", loc="left", fontsize=12, fontweight="bold")
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="center right", fontsize=9)
    figure.text(
        0.1, 0.12 / height, "\n".join(caption), fontsize=8.5, color=_GREY, va="bottom", linespacing=1.35
    )
    return figure


def notes(curves: Mapping[str, Sequence[Estimate]], units: Mapping[str, str]) -> str:
    """n of each curve, and how the intervals were made, for figures whose curves differ in n."""
    by_text: dict[str, list[str]] = {}
    for name, curve in curves.items():
        by_text.setdefault(_counted(curve, units[name]), []).append(name)
    if len(by_text) == 1:
        counts = f"n = {next(iter(by_text))}"
    else:
        counts = "n = " + ", ".join(f"{text} ({'; '.join(names)})" for text, names in by_text.items())
    known = [one for curve in curves.values() for one in curve if one.n]
    methods = ", or ".join(dict.fromkeys(one.method for one in known))
    seeds = sorted({one.seed for one in known if one.seed is not None})
    drawn = f"; bootstrap seed {', '.join(map(str, seeds))}" if seeds else ""
    return f"{counts}; {known[0].level:.0%} interval: {methods}{drawn}."


def _counted(curve: Sequence[Estimate], unit: str) -> str:
    known = [one for one in curve if one.n]
    text = f"{_span([one.n for one in known])} {unit}s"
    return text if unit != "run" else f"{text} of {_span([one.samples for one in known])} samples"


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"


def _by_step(
    curves: Mapping[str, Sequence[Estimate]],
    title: str,
    ylabel: str,
    words: str,
    units: Mapping[str, str],
    limits: tuple[float, float] | None,
) -> Figure:
    shown = {name: curve for name, curve in curves.items() if any(one.n for one in curve)}
    figure = plots.by_step(
        shown, title=title, ylabel=ylabel, caption=f"{words} {notes(shown, units)}", limits=limits
    )
    if limits is None:
        axes = figure.axes[0]
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=8))
    return figure


def _others(count: int) -> str:
    return "no other seed" if count == 0 else "1 other seed" if count == 1 else f"{count} other seeds"


def _label(dataset: xarray.Dataset, reading: str) -> str:
    return str(dataset["reading_label"].sel(reading=reading).item())


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
