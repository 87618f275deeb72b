"""What a similarity result says of itself: measures, sides, counts and baselines in words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.similarity.designs import SQUARES
from probes.statistics import NO_INTERVAL
from stores.units import count_text

if TYPE_CHECKING:
    import xarray

EXCHANGED = {"samples": "samples exchanged", "tokens": "tokens shuffled within each run"}


def measure_of(dataset: xarray.Dataset) -> str:
    """The name of the variable that holds the measure: "cka" or "rsa"."""
    return str(dataset.attrs["measure"])


def measure_text(dataset: xarray.Dataset) -> str:
    """The measure, as "debiased linear CKA"."""
    if measure_of(dataset) == "cka":
        return "debiased linear CKA"
    return f"RSA ({dataset.attrs['agreement']} of {dataset.attrs['distance']} distances)"


def is_square(dataset: xarray.Dataset) -> bool:
    """Whether places are compared with one another, so that the result is symmetric maps."""
    return dataset.attrs["across"] in SQUARES


def compared_text(dataset: xarray.Dataset) -> str:
    """What is compared with what, as "between layers, at each step"."""
    sides = f"between {dataset.attrs['first']} and {dataset.attrs['second']}"
    return {
        "layers": "between layers, at each step",
        "steps": "between steps, at each layer",
        "grid": "between all steps and layers",
        "seeds": "between seeds of one sample, at each step and layer",
        "samples": "between samples with one seed, at each step and layer",
        "variants": f"{sides}, at each step and layer",
        "stores": f"{sides}, at each step and layer",
    }[str(dataset.attrs["across"])]


def place_text(dataset: xarray.Dataset) -> str:
    """The site and branch."""
    return f"{dataset.attrs['site']}, branch {dataset.attrs['branch']}"


def counts_text(dataset: xarray.Dataset) -> str:
    """One line with n, interval and seed."""
    attrs = dataset.attrs
    samples, runs, rows = (int(dataset[name].item()) for name in ("samples", "runs", "rows"))
    if attrs["row"] == "run":
        of_rows = ", a row for each run: the mean of its tokens"
    else:
        kept, there = int(attrs["tokens"]), int(attrs["tokens_available"])
        which = f"all {there}" if kept == there else f"{kept} of {there}"
        of_rows = f", {which} {attrs['row']}s of each, {rows:,} rows on a side"
    return (
        f"n = {count_text(runs, 'run')} of {count_text(samples, 'sample')}{of_rows}; "
        f"{_interval_text(dataset)}; seed {attrs['seed']}"
    )


def baseline_text(dataset: xarray.Dataset, complement: bool = False) -> str:
    """The range of each baseline over the places that are compared; "" if there is none.

    With ``complement`` of one minus it.
    """
    if "baseline" not in dataset:
        return ""
    parts = []
    for kind in dataset["shuffle"].values.tolist():
        values = dataset["baseline"].sel(shuffle=kind).values
        values = (1 - values if complement else values)[off_diagonal(dataset)]
        values = values[np.isfinite(values)]
        if values.size:
            parts.append(f"{EXCHANGED[kind]} {_two(values.min())} to {_two(values.max())}")
    draws = count_text(int(dataset.attrs["shuffles"]), "draw")
    return f"Baselines: {'; '.join(parts)} ({draws} each)" if parts else ""


def off_diagonal(dataset: xarray.Dataset) -> NDArray[np.bool_]:
    """Which entries compare two places, each pair once: a mask of the measure's shape."""
    shape = dataset[measure_of(dataset)].shape
    if not is_square(dataset):
        return np.ones(shape, bool)
    if dataset.attrs["across"] == "grid":
        side = shape[0] * shape[1]
        return np.triu(np.ones((side, side), bool), 1).reshape(shape)
    return np.broadcast_to(np.triu(np.ones(shape[1:], bool), 1), shape)


def entries(dataset: xarray.Dataset) -> Iterator[tuple[dict[str, int], float, float, float]]:
    """Labels, value and interval of every two places, each pair once."""
    name = measure_of(dataset)
    dims = [str(dim) for dim in dataset[name].dims]
    labels = [dataset[dim].values.tolist() for dim in dims]
    values, low, high = (dataset[one].values for one in (name, "low", "high"))
    wanted = off_diagonal(dataset)
    for index in product(*(range(len(one)) for one in labels)):
        if wanted[index]:
            at = {dim: label[i] for dim, label, i in zip(dims, labels, index, strict=True)}
            yield at, float(values[index]), float(low[index]), float(high[index])


def where_text(across: str, at: dict[str, int]) -> str:
    """An entry's place, as "layers 0 and 8 at step 3"."""
    if across == "layers":
        return f"layers {at['layer']} and {at['other_layer']} at step {at['step']}"
    if across == "steps":
        return f"steps {at['step']} and {at['other_step']} at layer {at['layer']}"
    if across == "grid":
        first = f"(step {at['step']}, layer {at['layer']})"
        return f"{first} and (step {at['other_step']}, layer {at['other_layer']})"
    return f"step {at['step']}, layer {at['layer']}"


def _interval_text(dataset: xarray.Dataset) -> str:
    method = str(dataset.attrs["method"])
    if method == NO_INTERVAL:
        few = int(dataset["samples"].item()) < 2
        return "no interval: one sample" if few else "no interval"
    return f"{dataset.attrs['level']:.0%} interval: {method}"


def _two(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00")
