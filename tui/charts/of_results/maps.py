"""Maps on the token grid: energies by step and layer and by frame, and the largest channels.

Their pictures, maps of the tokens themselves, are what figures are for.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tui.charts.chart import Curve, Curves
from tui.charts.view import Made
from tui.heatmaps.heatmap import Heatmap

if TYPE_CHECKING:
    import xarray

_AXES = ("step", "layer")
_RANKS = (1, 2, 3, 10)
_RUNS_SHOWN = 2
"""Where no mean over runs was taken, so many of them are shown one by one, as in the figures."""
_ENERGIES = {
    "layer_energy": "energy by step and layer",
    "layer_energy_without_massive": "energy without massive channels",
}
_BY_FRAME = {"frame_energy": "energy by frame", "frame_change": "change from the frame before"}


def views(dataset: xarray.Dataset) -> Iterator[Made]:
    """The ways to look at maps in numbers, energies first."""
    for name, told in _ENERGIES.items():
        yield from _maps(dataset, name, told)
    if dataset.sizes["frame"] > 1:
        for name, told in _BY_FRAME.items():
            if name in dataset:
                yield Made(told, partial(_by_frame, dataset, name))
    if "top_ratio" in dataset:
        yield Made("largest channels by layer", partial(_channels, dataset))
        yield from _maps(dataset, "top_ratio", "largest channel by step and layer", rank=1)


def _maps(dataset: xarray.Dataset, name: str, told: str, **at: int) -> Iterator[Made]:
    """A map of the mean over runs, or of each of the first runs where no mean was taken."""
    if name not in dataset:
        return
    if f"{name}_mean" in dataset:
        yield Made(told, partial(_map, dataset, name, None, at))
        return
    for run in dataset["run"].values.tolist()[:_RUNS_SHOWN]:
        yield Made(
            told if dataset.sizes["run"] == 1 else f"{told}, {run}", partial(_map, dataset, name, run, at)
        )


def _map(dataset: xarray.Dataset, name: str, run: str | None, at: dict[str, int]) -> Heatmap:
    words = str(dataset[name].attrs.get("long_name") or name.replace("_", " "))
    columns, rows = (tuple(map(str, dataset[axis].values.tolist())) for axis in _AXES)
    own = _one_run(dataset, name, run, at) if run is not None else _means(dataset, name, at)
    parts = {part: values.transpose(*_AXES).values.astype(np.float64) for part, values in own.items()}
    shape = parts["values"].shape
    return Heatmap(
        f"{words}; {_where(dataset)}, " + ("mean over runs" if run is None else f"run {run}"),
        columns,
        rows,
        **parts,
        n=np.full(shape, dataset.sizes["run"] if run is None else 1),
        samples=np.full(shape, _samples(dataset) if run is None else 1),
        counted=("run", "runs"),
        note=_note(dataset, name),
        measure=words,
    )


def _by_frame(dataset: xarray.Dataset, name: str) -> Curves:
    """The mean over the tokens of each frame, a curve a layer, at the step that is shown."""
    step = int(dataset.attrs["shown_step"])
    frames = dataset["frame"].values.astype(np.float64)
    words = str(dataset[name].attrs.get("long_name") or name.replace("_", " "))
    curves = [
        curve
        for layer in dataset["layer"].values.tolist()
        for curve in _curves(dataset, name, f"layer {layer}", frames, step=step, layer=layer)
    ]
    return Curves(
        title=f"{words}; {_where(dataset)}, step {step}",
        measure=words,
        across="latent frame",
        curves=tuple(curves),
        note=_note(dataset, name),
    )


def _channels(dataset: xarray.Dataset) -> Curves:
    """How far the largest channels stand out, by layer at the step that is shown, a curve a rank."""
    step, bound = int(dataset.attrs["shown_step"]), float(dataset.attrs["massive_ratio"])
    layers = dataset["layer"].values.astype(np.float64)
    count = int((dataset["massive_channels"].values > 0).sum())
    curves = [
        curve
        for rank in _RANKS
        if rank <= dataset.sizes["rank"]
        for curve in _curves(dataset, "top_ratio", f"rank {rank}", layers, step=step, rank=rank)
    ]
    return Curves(
        title=f"The largest channels; {_where(dataset)}, step {step}",
        measure="magnitude over the median magnitude of all tokens and channels",
        across="layer",
        curves=tuple(curves),
        is_logarithmic=True,
        reference=bound,
        reference_name="the ratio of the rule",
        note=f"{_note(dataset, 'top_ratio')}; {count} of {dataset['massive_channels'].size} "
        "(run, step, layer) have massive activations",
    )


def _curves(dataset: xarray.Dataset, name: str, label: str, at: np.ndarray, **place: int) -> Iterator[Curve]:
    """The mean over runs, or each of the first runs where no mean was taken."""
    if f"{name}_mean" in dataset:
        parts = {
            part: values.values.astype(np.float64) for part, values in _means(dataset, name, place).items()
        }
        runs, samples = np.full(len(at), dataset.sizes["run"]), np.full(len(at), _samples(dataset))
        yield Curve(label, at, **parts, n=runs, samples=samples, counted=("run", "runs"))
        return
    for run in dataset["run"].values.tolist()[:_RUNS_SHOWN]:
        values = _one_run(dataset, name, run, place)["values"].values.astype(np.float64)
        told = label if dataset.sizes["run"] == 1 else f"{label}, {run}"
        yield Curve(told, at, values, n=np.ones(len(at), np.int64), counted=("run", "runs"))


def _means(dataset: xarray.Dataset, name: str, at: dict[str, int]) -> dict[str, Any]:
    parts = (("values", "mean"), ("low", "low"), ("high", "high"))
    return {part: dataset[f"{name}_{ending}"].sel(at) for part, ending in parts}


def _one_run(dataset: xarray.Dataset, name: str, run: str, at: dict[str, int]) -> dict[str, Any]:
    return {"values": dataset[name].sel({"run": run, **at})}


def _samples(dataset: xarray.Dataset) -> int:
    return len(set(dataset["sample"].values.tolist()))


def _where(dataset: xarray.Dataset) -> str:
    attrs = dataset.attrs
    reduction = "" if attrs["reduction"] == "full" else f", reduction {attrs['reduction']}"
    return f"{attrs['site']}{reduction}, branch {attrs['branch']}"


def _note(dataset: xarray.Dataset, name: str) -> str:
    """n, interval and seed; or that no mean was taken."""
    if f"{name}_mean" in dataset:
        return f"mean over runs: {dataset[f'{name}_mean'].attrs['estimate']}"
    if dataset.sizes["run"] == 1:
        return f"run {dataset['run'].values[0]}; n = 1 run, no interval"
    return "runs of several stores or variants, so no mean is taken; n = 1 run each, no interval"
