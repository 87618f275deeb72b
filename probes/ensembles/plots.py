"""Figures of a comparison of ensembles: value against cost, gains beside one another, gains by group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FuncFormatter, NullLocator

from probes.ensembles.comparing import HELD_AGAINST, SINGLE, approach_name
from probes.estimated import estimate_at, estimates_along
from probes.figures.panels import PanelPage
from probes.figures.plots import OKABE_ITO
from probes.groups import ALL
from probes.statistics import describe

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from probes.statistics import Estimate

_LINES = {"any": ("#555555", "--"), "majority": (OKABE_ITO[0], "-"), "best": (OKABE_ITO[4], "-.")}
_COLOURS = (OKABE_ITO[1], OKABE_ITO[2], OKABE_ITO[3], OKABE_ITO[5], OKABE_ITO[6])
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_RULE = "#dddddd"


def figures(dataset: xarray.Dataset) -> dict[str, Callable[[], Figure]]:
    """The figures that a comparison has, by name; each is drawn when it is called."""
    made: dict[str, Callable[[], Figure]] = {
        "cost": partial(against_cost, dataset),
        "gain": partial(gains, dataset),
    }
    if dataset.sizes["group"] > 1:
        made["gain-by-group"] = partial(gains_by_group, dataset)
    return made


def against_cost(dataset: xarray.Dataset) -> Figure:
    """The value of each approach against its cost: rules by how many seeds they have, variants as points."""
    variants = dataset["variant"].values.tolist()
    several = dataset.sizes["seeds"] > 1
    one = _cost(dataset, SINGLE)
    page = PanelPage(
        [(5.6, 3.3)],
        title=f"{_label(dataset)} against cost",
        under=_under(dataset),
        caption=_caption(
            dataset,
            "K seeds cost K times one seed; a rule's value is the mean over all subsets of so many seeds. "
            "A variant gains at equal cost what it lies above the lines of best and majority.",
            estimates_along(dataset, "value", group=ALL),
        ),
        across=True,
        legend=(len(_LINES) if several else 0) + 1 + len(variants),
    )
    axes = page.axes(0, None)
    drawn: dict[str, Any] = {}
    if several:
        at = dataset["seeds"].values * one
        # Between whole seeds a part of one is paid for: straight in cost, so bent on a log axis.
        between = np.linspace(at[0], at[-1], 200)
        for rule, (colour, style) in _LINES.items():
            value, low, high = _parts(estimates_along(dataset, "curve", rule=rule))
            axes.fill_between(
                between,
                np.interp(between, at, low),
                np.interp(between, at, high),
                facecolor=(colour, 0.1),
                edgecolor="none",
            )
            (drawn[_rule_name(dataset, rule)],) = axes.plot(
                between, np.interp(between, at, value), style, color=colour, linewidth=1.6
            )
            axes.plot(at, value, ".", color=colour, markersize=7)
    points = [(SINGLE, "black", "o")]
    points += [(name, *_look(number)) for number, name in enumerate(variants)]
    for name, colour, marker in points:
        estimate = estimate_at(dataset, "value", group=ALL, approach=name)
        drawn[name] = _point(axes, _cost(dataset, name), estimate, colour, marker)
    axes.set_xscale("log")
    # Where one seed is as cheap as all approaches are, a log axis alone would have no width.
    axes.set_xlim(one / 1.25, max([*dataset["cost"].values.tolist(), 2 * one]) * 1.25)
    axes.set_xticks(_ticks(dataset, one))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("evaluations of the denoiser a sample")
    axes.set_ylabel(f"{dataset.attrs['label']}, mean over samples")
    axes.grid(axis="y", color=_RULE, linewidth=0.8)
    _within(axes, dataset)
    page.legend(drawn)
    return page.figure


def gains(dataset: xarray.Dataset) -> Figure:
    """How each variant differs from a single seed, and from what as much cost gives otherwise."""
    rows = [
        (variant, row) for variant in dataset["variant"].values.tolist() for row in _rows(dataset, variant)
    ]
    widest = max(len(label) for _, (label, _, _) in rows)
    page = PanelPage(
        [(5.2, 0.3 * (len(rows) + 0.6))],
        title=f"What is gained in {dataset.attrs['label']}",
        under=_under(dataset),
        caption=_caption(
            dataset,
            "Differences paired by sample."
            + (
                " Hollow: the truth chooses among the seeds, which nobody can."
                if any(is_oracle for _, (_, _, is_oracle) in rows)
                else ""
            ),
            [estimate for _, (_, estimate, _) in rows],
        ),
        across=True,
        left=0.35 + 0.075 * widest,
    )
    axes = page.axes(0, None)
    variants = dataset["variant"].values.tolist()
    for at, (variant, (_, one, is_oracle)) in enumerate(rows):
        colour, marker = _look(variants.index(variant))
        axes.plot([one.low, one.high], [at, at], color=colour, linewidth=2.0, solid_capstyle="butt")
        axes.plot(
            one.value,
            at,
            marker,
            color=colour,
            markerfacecolor="white" if is_oracle else colour,
            markersize=6,
            zorder=3,
        )
    axes.axvline(0, color="black", linewidth=0.8, zorder=0.9)
    axes.set_yticks(range(len(rows)), [label for _, (label, _, _) in rows], fontsize=8.5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=_RULE, linewidth=0.8)
    axes.set_xlabel(f"difference in {dataset.attrs['label']}")
    return page.figure


def gains_by_group(dataset: xarray.Dataset) -> Figure:
    """How each variant differs from a single seed, and from the majority at equal cost, by group."""
    groups = dataset["group"].values.tolist()[1:]
    variants = dataset["variant"].values.tolist()
    sizes = dataset["group_size"].values.tolist()[1:]
    estimates = [
        estimate_at(dataset, "difference", group=group, approach=variant)
        for group in groups
        for variant in variants
    ]
    by = str(dataset.attrs["by"])
    # At the cost of one seed the majority is that seed: there is nothing else to show.
    shown = [
        (number, is_equal)
        for number, variant in enumerate(variants)
        for is_equal in ([False, True] if float(dataset["paid"].sel(variant=variant)) > 1 else [False])
    ]
    equal = any(is_equal for _, is_equal in shown)
    page = PanelPage(
        [(5.6, 3.0)],
        title=f"What is gained in {dataset.attrs['label']}, by {by}",
        under=_under(dataset),
        caption=_caption(
            dataset,
            "Differences paired by sample, over the samples of each group."
            + (" Hollow: from the majority of as many seeds as the cost pays for." if equal else ""),
            estimates,
            counts=f"n = {', '.join(map(str, sizes))} samples",
        ),
        across=True,
        legend=len(shown),
    )
    axes = page.axes(0, None)
    drawn: dict[str, Any] = {}
    width = min(0.16, 0.8 / len(shown))
    for place, (number, is_equal) in enumerate(shown):
        variant, aside = variants[number], width * (place - (len(shown) - 1) / 2)
        name = f"{variant} − {'majority at equal cost' if is_equal else SINGLE}"
        for at, group in enumerate(groups):
            if is_equal:
                one = estimate_at(dataset, "equal", group=group, variant=variant, against="majority")
            else:
                one = estimate_at(dataset, "difference", group=group, approach=variant)
            drawn[name] = _point(axes, at + aside, one, *_look(number), is_hollow=is_equal)
    axes.axhline(0, color="black", linewidth=0.8, zorder=0.9)
    axes.set_xticks(range(len(groups)), [group.removeprefix(f"{by} ") for group in groups])
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_xlabel(by)
    axes.set_ylabel(f"difference in {dataset.attrs['label']}")
    axes.grid(axis="y", color=_RULE, linewidth=0.8)
    page.legend(drawn)
    return page.figure


def _rows(dataset: xarray.Dataset, variant: str) -> list[tuple[str, Estimate, bool]]:
    """What a variant is held against: in words, the difference, and whether the truth chooses there."""
    rows = [(f"{variant} − {SINGLE}", estimate_at(dataset, "difference", group=ALL, approach=variant), False)]
    paid = float(dataset["paid"].sel(variant=variant))
    if paid > 1:
        rows += [
            (
                f"{variant} − {approach_name(rule, paid)}",
                estimate_at(dataset, "equal", group=ALL, variant=variant, against=rule),
                rule == "any",
            )
            for rule in HELD_AGAINST
        ]
    return rows


def _point(axes: Axes, at: float, one: Estimate, colour: str, marker: str, *, is_hollow: bool = False) -> Any:
    axes.plot([at, at], [one.low, one.high], color=colour, linewidth=1.8, solid_capstyle="butt", zorder=2.5)
    (mark,) = axes.plot(
        at,
        one.value,
        marker,
        color=colour,
        markerfacecolor="white" if is_hollow else colour,
        markersize=6.5,
        zorder=3,
    )
    return mark


def _rule_name(dataset: xarray.Dataset, rule: str) -> str:
    how = {"any": " (the truth chooses)", "best": f" by {dataset.attrs['choose']}"}
    return f"{rule} of K{how.get(rule, '')}"


def _look(number: int) -> tuple[str, str]:
    """Colour and marker of a variant: together they differ for 35 of them."""
    return _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]


def _ticks(dataset: xarray.Dataset, one: float) -> list[float]:
    """The costs of whole seeds, as many as have room on a log axis."""
    most = int(max(dataset["cost"].values.max() / one, 2))
    kept = [1]
    for seeds in range(2, most + 1):
        if seeds / kept[-1] > 1.2:
            kept.append(seeds)
    return [one * seeds for seeds in kept]


def _parts(estimates: Sequence[Estimate]) -> np.ndarray:
    return np.array([(one.value, one.low, one.high) for one in estimates]).T


def _cost(dataset: xarray.Dataset, approach: str) -> float:
    return float(dataset["cost"].sel(approach=approach))


def _label(dataset: xarray.Dataset) -> str:
    label = str(dataset.attrs["label"])
    return label[:1].upper() + label[1:]


def _under(dataset: xarray.Dataset) -> str:
    seeds = dataset.sizes["seeds"]
    return f"task {dataset.attrs['task']}, {dataset.sizes['sample']} samples, {seeds} seeds of each"


def _within(axes: Axes, dataset: xarray.Dataset) -> None:
    """A share lies between 0 and 1, and is drawn from 0 on."""
    if dataset.attrs["outcome"] == "share":
        axes.set_ylim(-0.02, min(1.02, axes.get_ylim()[1]))


def _caption(
    dataset: xarray.Dataset, words: str, estimates: Sequence[Estimate], counts: str | None = None
) -> str:
    """What is drawn, its n and how its intervals were made."""
    if counts is None:
        return f"{words} {describe(estimates, 'sample')}."
    methods = ", or ".join(dict.fromkeys(one.method for one in estimates))
    drawn = any(one.seed is not None for one in estimates)
    seed = f"bootstrap seed {dataset.attrs['seed']}" if drawn else "no random draws"
    return f"{words} {counts}; {estimates[0].level:.0%} interval: {methods}; {seed}."
