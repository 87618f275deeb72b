"""The kind "transfer": probes fitted at some cells and tested at others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from probes.kinds import Kind
from probes.kinds.probe import how, interval, what_was_probed

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure

AXES = ("train_step", "train_layer", "test_step", "test_layer")


def summary(dataset: xarray.Dataset) -> list[str]:
    """What was probed, the best cell, and how far its probe carries along steps and along layers."""
    step, layer = best_trained(dataset)
    own = _pair(dataset, step, layer, step, layer)
    lines = [
        what_was_probed(dataset),
        f"best where fitted and tested at one cell: step {step}, layer {layer}: "
        + interval(own, "score", "low", "high"),
    ]
    for axis, fixed in (("step", f"layer {layer}"), ("layer", f"step {step}")):
        others = [
            one for one in dataset[f"test_{axis}"].values.tolist() if one != (step, layer)[axis == "layer"]
        ]
        if not others:
            continue
        told = []
        for end in (others[0], others[-1]) if len(others) > 1 else others:
            there = _pair(dataset, step, layer, *((end, layer) if axis == "step" else (step, end)))
            told.append(f"{interval(there, 'score', 'low', 'high')} at {axis} {end}")
        lines.append(f"this probe tested along {axis}s at {fixed}: {', '.join(told)}")
    return [*lines, how(dataset), *(f"note: {note}" for note in dataset.attrs["notes"].splitlines())]


def table(dataset: xarray.Dataset) -> pandas.DataFrame:
    """A row a pair of cells: where the probe was fitted and where tested, ``metric``, ``value``, ``low``,
    ``high``, ``n`` rows, ``samples`` and the other scores."""
    others = [
        str(name)
        for name, one in dataset.data_vars.items()
        if one.dims == AXES and name not in ("score", "low", "high")
    ]
    made = dataset[["score", "low", "high", *others]].to_dataframe().reset_index()
    told = {"metric": dataset.attrs["metric"], "n": int(dataset.attrs["n"])}
    made = made.rename(columns={"score": "value"}).assign(**told, samples=int(dataset.attrs["samples"]))
    return made.loc[:, [*AXES, "metric", "value", "low", "high", "n", "samples", *others]]


def figures(dataset: xarray.Dataset) -> Mapping[str, Callable[[], Figure]]:
    """Matrices of where fitted by where tested: along steps at a layer, and along layers at a step."""
    # Drawing libraries load slowly, and a summary needs none.
    from probes.probing import plots

    step, layer = best_trained(dataset)
    found: dict[str, Callable[[], Figure]] = {}
    if dataset.sizes["train_step"] > 1 or dataset.sizes["test_step"] > 1:
        found["steps"] = partial(plots.transfer_matrix, dataset, "step", layer)
    if dataset.sizes["train_layer"] > 1 or dataset.sizes["test_layer"] > 1:
        found["layers"] = partial(plots.transfer_matrix, dataset, "layer", step)
    return found


def best_trained(dataset: xarray.Dataset) -> tuple[int, int]:
    """The (step, layer) with the highest score of probes tested where they were fitted."""
    own = {
        (step, layer): float(_pair(dataset, step, layer, step, layer)["score"])
        for step in dataset["train_step"].values.tolist()
        for layer in dataset["train_layer"].values.tolist()
    }
    return max(own, key=lambda cell: (np.nan_to_num(own[cell], nan=-np.inf), -cell[0], -cell[1]))


def _pair(dataset: xarray.Dataset, *cells: int) -> xarray.Dataset:
    return dataset.sel(dict(zip(AXES, cells, strict=True)))


KIND = Kind("Probes tested at other steps and layers", summary, table, figures)
