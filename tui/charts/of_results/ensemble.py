"""Ensembles: every approach with its cost and verdict, value against cost, gains, gains by group."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tui.charts.chart import Curves, Dot, Dots
from tui.charts.making import SAMPLES, curve_of, dot_of, how_made, sentence
from tui.charts.view import Made

if TYPE_CHECKING:
    import xarray

    from probes.statistics import Estimate

_SHARE = (0.0, 1.0)


def views(dataset: xarray.Dataset) -> Iterator[Made]:
    """The ways to look at a comparison of ensembles, the main one first."""
    yield Made("approaches", partial(_approaches, dataset))
    yield Made("against cost", partial(_against_cost, dataset))
    yield Made("gain", partial(_gains, dataset))
    if dataset.sizes["group"] > 1:
        yield Made("gain by group", partial(_gains_by_group, dataset))


def _approaches(dataset: xarray.Dataset) -> Dots:
    """A single seed, the variants, and what is chosen of so many seeds by each rule."""
    from probes.ensembles.comparing import SINGLE, approach_name
    from probes.estimated import estimate_at, estimates_along
    from probes.groups import ALL

    variants = dataset["variant"].values.tolist()
    dots = []
    for approach in dataset["approach"].values.tolist():
        one = estimate_at(dataset, "value", group=ALL, approach=approach)
        if not one.n:
            continue
        cost = float(dataset["cost"].sel(approach=approach))
        told = f"{cost:g} evaluations"
        group = "chosen among seeds"
        if approach == SINGLE:
            group = ""
        elif approach in variants:
            group = "ensembles"
            told += f", {dataset['verdict'].sel(variant=approach).item()}"
        dots.append(dot_of(approach, one, group=group, told=told, is_hollow=_is_oracle(dataset, approach)))
    order = ("", "ensembles", "chosen among seeds")
    dots.sort(key=lambda dot: order.index(dot.group))
    seeds = dataset.sizes["seeds"]
    single = estimate_at(dataset, "value", group=ALL, approach=SINGLE)
    best = approach_name("best", seeds)
    chosen = f"{best} is chosen by {dataset.attrs['choose']}; " if seeds > 1 else ""
    return Dots(
        title=f"{_label(dataset)}: {_of_what(dataset)}",
        measure=f"{dataset.attrs['label']}, mean over samples",
        dots=tuple(dots),
        counted=SAMPLES,
        reference=single.value,
        reference_name=SINGLE,
        limits=_limits(dataset),
        note=chosen + how_made(estimates_along(dataset, "value", group=ALL), SAMPLES),
    )


def _against_cost(dataset: xarray.Dataset) -> Curves:
    """The value of each approach against its cost: rules by how many seeds they have, variants as points."""
    from probes.ensembles.comparing import SINGLE
    from probes.estimated import estimate_at, estimates_along
    from probes.groups import ALL

    one_seed = float(dataset["cost"].sel(approach=SINGLE))
    shown: list[Estimate] = []
    curves = []
    for name in (SINGLE, *dataset["variant"].values.tolist()):
        one = estimate_at(dataset, "value", group=ALL, approach=name)
        shown.append(one)
        curves.append(curve_of(name, [float(dataset["cost"].sel(approach=name))], [one], SAMPLES))
    if dataset.sizes["seeds"] > 1:
        costs = dataset["seeds"].values * one_seed
        for rule in ("majority", "best", "any"):
            found = estimates_along(dataset, "curve", rule=rule)
            curves.append(
                curve_of(f"{rule} of K{_how(dataset, rule)}", costs, found, SAMPLES, is_beside=rule == "any")
            )
    return Curves(
        title=f"{_label(dataset)} against cost: {_of_what(dataset)}; K seeds cost K times one seed",
        measure=f"{dataset.attrs['label']}, mean over samples",
        across="evaluations of the denoiser a sample",
        curves=tuple(curves),
        is_across_logarithmic=True,
        note="a variant gains at equal cost what it lies above the curves of best and majority; "
        + how_made(shown, SAMPLES),
    )


def _gains(dataset: xarray.Dataset) -> Dots:
    """How each variant differs from a single seed, and from what as much cost gives otherwise."""
    from probes.ensembles.comparing import HELD_AGAINST, SINGLE, approach_name
    from probes.estimated import estimate_at
    from probes.groups import ALL

    dots: list[Dot] = []
    found: list[Estimate] = []
    for variant in dataset["variant"].values.tolist():
        verdict = f"at equal cost: {dataset['verdict'].sel(variant=variant).item()}"
        one = estimate_at(dataset, "difference", group=ALL, approach=variant)
        p = float(dataset["difference_p"].sel(group=ALL, approach=variant))
        paid = float(dataset["paid"].sel(variant=variant))
        told = _p(p) if paid > 1 else f"{_p(p)}, {verdict}"
        dots.append(dot_of(f"less {SINGLE}", one, group=variant, told=told))
        found.append(one)
        for rule in HELD_AGAINST if paid > 1 else ():
            one = estimate_at(dataset, "equal", group=ALL, variant=variant, against=rule)
            p = float(dataset["equal_p"].sel(group=ALL, variant=variant, against=rule))
            is_oracle = rule == "any"
            told = _p(p) if is_oracle else f"{_p(p)}, {verdict}"
            name = f"less {approach_name(rule, paid)}"
            dots.append(dot_of(name, one, group=variant, told=told, is_hollow=is_oracle))
            found.append(one)
    return Dots(
        title=f"What is gained in {dataset.attrs['label']}: {_of_what(dataset)}",
        measure=f"difference in {dataset.attrs['label']}, paired by sample",
        dots=tuple(dots),
        counted=SAMPLES,
        reference=0.0,
        note=f"{how_made(found, SAMPLES)}; p by flipping signs, seed {dataset.attrs['seed']}",
    )


def _gains_by_group(dataset: xarray.Dataset) -> Dots:
    """How each variant differs from a single seed, and from the majority at equal cost, in each group."""
    from probes.ensembles.comparing import SINGLE
    from probes.estimated import estimate_at

    dots: list[Dot] = []
    found: list[Estimate] = []
    groups = zip(dataset["group"].values.tolist(), dataset["group_size"].values.tolist(), strict=True)
    for group, size in list(groups)[1:]:
        heading = f"{group} (n = {size})"
        for variant in dataset["variant"].values.tolist():
            one = estimate_at(dataset, "difference", group=group, approach=variant)
            dots.append(dot_of(f"{variant} less {SINGLE}", one, group=heading))
            found.append(one)
            # At the cost of one seed the majority is that seed: there is nothing else to show.
            if float(dataset["paid"].sel(variant=variant)) > 1:
                one = estimate_at(dataset, "equal", group=group, variant=variant, against="majority")
                dots.append(dot_of(f"{variant} less majority at equal cost", one, group=heading))
                found.append(one)
    return Dots(
        title=f"What is gained in {dataset.attrs['label']}, by {dataset.attrs['by']}: {_of_what(dataset)}",
        measure=f"difference in {dataset.attrs['label']}, paired by sample",
        dots=tuple(dots),
        counted=SAMPLES,
        reference=0.0,
        note=how_made(found, SAMPLES),
    )


def _is_oracle(dataset: xarray.Dataset, approach: str) -> bool:
    """Whether the truth chooses: any of K is right, or all of them have to be."""
    from probes.ensembles.comparing import approach_name
    from probes.ensembles.outcomes import BLIND

    seeds = dataset.sizes["seeds"]
    rules = [rule for rule in dataset["rule"].values.tolist() if rule not in BLIND]
    return approach in [approach_name(rule, seeds) for rule in rules if seeds > 1 and rule != "mean"]


def _how(dataset: xarray.Dataset, rule: str) -> str:
    return {"any": " (the truth chooses)", "best": f" by {dataset.attrs['choose']}"}.get(rule, "")


def _label(dataset: xarray.Dataset) -> str:
    return sentence(str(dataset.attrs["label"]))


def _of_what(dataset: xarray.Dataset) -> str:
    samples, seeds = dataset.sizes["sample"], dataset.sizes["seeds"]
    return f"task {dataset.attrs['task']}, {samples} samples, {seeds} seeds of each"


def _limits(dataset: xarray.Dataset) -> tuple[float, float] | None:
    return _SHARE if dataset.attrs["outcome"] == "share" else None


def _p(value: float) -> str:
    return "p not known" if np.isnan(value) else f"p = {value:.2g}"
