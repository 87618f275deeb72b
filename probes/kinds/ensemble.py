"""Comparisons of ensembles as words, a table and figures: a gain is one at equal cost, or said not to be."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from probes.ensembles.comparing import HELD_AGAINST, SINGLE, approach_name
from probes.ensembles.outcomes import AGREEMENT, BLIND
from probes.ensembles.paired import RULE
from probes.estimated import estimate_at, estimates_along
from probes.groups import ALL
from probes.kinds import Kind
from probes.statistics import Estimate, describe
from stores.units import count_text

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure


def _summary(dataset: xarray.Dataset) -> list[str]:
    variants = dataset["variant"].values.tolist()
    lines = [
        _against_single(dataset),
        *(line for name in variants for line in _variant(dataset, name)),
        *_rules(dataset),
        *(_group(dataset, group) for group in dataset["group"].values.tolist()[1:]),
        _intervals(dataset),
    ]
    if len(variants) > 1:
        lines.append(
            f"The best of {len(variants)} variants is best also by luck: confirm it on samples not used here."
        )
    return lines + [f"Note: {note}." for note in json.loads(dataset.attrs["notes"])]


def _against_single(dataset: xarray.Dataset) -> str:
    told = _told(estimate_at(dataset, "value", group=ALL, approach=SINGLE))
    samples = count_text(dataset.sizes["sample"], "sample")
    seeds = count_text(dataset.sizes["seeds"], "seed")
    return (
        f"{dataset.attrs['label']}, task {dataset.attrs['task']}, {samples}, {seeds} of each: {SINGLE} "
        f"{told} at {_cost(dataset, SINGLE)} evaluations of the denoiser."
    )


def _variant(dataset: xarray.Dataset, name: str) -> Iterator[str]:
    words = str(dataset["words"].sel(variant=name).item())
    p = float(dataset["difference_p"].sel(group=ALL, approach=name))
    adjusted = ""
    if dataset.sizes["variant"] > 1:
        together = float(dataset["difference_holm"].sel(variant=name))
        adjusted = f", {_p(together)} for {dataset.sizes['variant']} variants together"
    value = estimate_at(dataset, "value", group=ALL, approach=name)
    difference = estimate_at(dataset, "difference", group=ALL, approach=name)
    yield (
        f"{name}{f' ({words})' if words else ''}: {_told(value)} at {_cost(dataset, name)} evaluations, "
        f"{_change(difference)} from a {SINGLE} ({_p(p)}{adjusted}); "
        f"{dataset['verdict'].sel(variant=name).item()}: {_equal(dataset, name)}."
    )
    if "turned" in dataset:
        right, wrong = estimates_along(dataset, "turned", variant=name)
        counts = f"{right.value * right.n:.3g} and {wrong.value * right.n:.3g} of {right.n} samples"
        yield (
            f"{name}: turns {_told(right)} of runs from wrong to right and {_told(wrong)} from right to "
            f"wrong ({counts})."
        )


def _equal(dataset: xarray.Dataset, name: str) -> str:
    """What as much cost gives otherwise, and how a variant differs from it."""
    paid = float(dataset["paid"].sel(variant=name))
    if paid == 1:
        return "its cost pays for one seed"
    told = []
    for rule in HELD_AGAINST:
        one = estimate_at(dataset, "equal", group=ALL, variant=name, against=rule)
        p = float(dataset["equal_p"].sel(group=ALL, variant=name, against=rule))
        told.append(f"{_change(one)} from {approach_name(rule, paid)} ({_p(p)})")
    return f"its cost pays for {paid:.3g} seeds, {', '.join(told)}"


def _rules(dataset: xarray.Dataset) -> Iterator[str]:
    seeds = dataset.sizes["seeds"]
    if seeds < 2:
        return
    told = []
    for rule in dataset["rule"].values.tolist():
        name = approach_name(rule, seeds)
        told.append(f"{name} {_told(estimate_at(dataset, 'value', group=ALL, approach=name))}")
    yield (
        f"At {_cost(dataset, approach_name('any', seeds))} evaluations: {', '.join(told)}. The best is "
        f"chosen by {_choice(dataset.attrs['choose'])}, without the truth; any and all need it."
    )


def _choice(choose: str) -> str:
    if choose == AGREEMENT:
        return AGREEMENT
    return f"the least {choose[1:]}" if choose.startswith("-") else f"the most {choose}"


def _group(dataset: xarray.Dataset, group: str) -> str:
    size = int(dataset["group_size"].sel(group=group))
    single = _told(estimate_at(dataset, "value", group=group, approach=SINGLE))
    told = [
        f"{name} {_change(estimate_at(dataset, 'difference', group=group, approach=name))}"
        for name in dataset["variant"].values.tolist()
    ]
    return f"{group} (n = {size}): {SINGLE} {single}; from it {', '.join(told)}."


def _intervals(dataset: xarray.Dataset) -> str:
    values = estimates_along(dataset, "value", group=ALL)
    return (
        f"Means over samples, {describe(values, 'sample')}; differences paired by sample, p-values by "
        f"flipping their signs (seed {dataset.attrs['seed']}). {RULE}"
    )


def _told(one: Estimate) -> str:
    if not math.isfinite(one.low):
        return f"{one.value:.3f} (no interval)"
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def _change(one: Estimate) -> str:
    if not math.isfinite(one.low):
        return f"{one.value:+.3f} (no interval)"
    return f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"


def _p(value: float) -> str:
    return f"p = {value:.2g}"


def _cost(dataset: xarray.Dataset, approach: str) -> str:
    return f"{float(dataset['cost'].sel(approach=approach)):g}"


def _table(dataset: xarray.Dataset) -> pandas.DataFrame:
    """What each approach gives, differences from a single seed, and at equal cost; curves; what turned."""
    import pandas as pd

    columns = ("quantity", "group", "approach", "against", "seeds", "cost", "value", "low", "high", "n", "p")
    columns += ("verdict", "interval")
    rows = [
        {name: place.get(name) for name in columns}
        | {"value": one.value, "low": one.low, "high": one.high, "n": one.n, "interval": one.method}
        for place, one in _entries(dataset)
        if one.n
    ]
    return pd.DataFrame(rows, columns=list(columns)).astype({"seeds": "Float64"})


def _entries(dataset: xarray.Dataset) -> Iterator[tuple[dict[str, Any], Estimate]]:
    one_seed = float(dataset["cost"].sel(approach=SINGLE))
    approaches, variants = dataset["approach"].values.tolist(), dataset["variant"].values.tolist()
    cost = dict(zip(approaches, dataset["cost"].values.tolist(), strict=True))
    paid = dict(zip(variants, dataset["paid"].values.tolist(), strict=True))
    verdicts = dict(zip(variants, dataset["verdict"].values.tolist(), strict=True))
    for group in dataset["group"].values.tolist():
        for approach in approaches:
            place = {"group": group, "approach": approach, "cost": cost[approach]}
            at = {"group": group, "approach": approach}
            yield {"quantity": "value", **place}, estimate_at(dataset, "value", **at)
            if approach != SINGLE:
                p = float(dataset["difference_p"].sel(at))
                told = {"quantity": "difference", **place, "against": SINGLE, "p": p}
                yield told, estimate_at(dataset, "difference", **at)
        for variant in variants:
            # Of one seed all rules are that seed.
            for rule in HELD_AGAINST if paid[variant] > 1 else HELD_AGAINST[:1]:
                at = {"group": group, "variant": variant, "against": rule}
                told = {
                    "quantity": "at equal cost",
                    "group": group,
                    "approach": variant,
                    "against": approach_name(rule, paid[variant]) if paid[variant] > 1 else SINGLE,
                    "seeds": paid[variant],
                    "cost": cost[variant],
                    "p": float(dataset["equal_p"].sel(at)),
                    "verdict": verdicts[variant] if group == ALL and rule in BLIND else None,
                }
                yield told, estimate_at(dataset, "equal", **at)
    for rule in dataset["rule"].values.tolist():
        for seeds in dataset["seeds"].values.tolist():
            place = {
                "group": ALL,
                "approach": approach_name(rule, seeds),
                "seeds": seeds,
                "cost": seeds * one_seed,
            }
            yield (
                {"quantity": "of so many seeds", **place},
                estimate_at(dataset, "curve", rule=rule, seeds=seeds),
            )
    if "turned" in dataset:
        for variant in variants:
            for turn in dataset["turn"].values.tolist():
                place = {"quantity": turn.replace("_", " "), "group": ALL, "approach": variant}
                yield place, estimate_at(dataset, "turned", variant=variant, turn=turn)


def _figures(dataset: xarray.Dataset) -> Mapping[str, Callable[[], Figure]]:
    from probes.ensembles import plots

    return plots.figures(dataset)


KIND = Kind("Ensembles beside what their seeds give at equal cost", _summary, _table, _figures)
