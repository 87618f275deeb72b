"""Similarity: maps of places by places; of two sides curves of dissimilarity, and maps by step and layer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tui.charts.chart import Curve, Curves
from tui.charts.making import RUNS, sentence
from tui.charts.view import Made
from tui.heatmaps.heatmap import Heatmap

if TYPE_CHECKING:
    import xarray


def views(dataset: xarray.Dataset) -> Iterator[Made]:
    """The ways to look at similarity, the main one first."""
    from probes.similarity.words import EXCHANGED, is_square

    if is_square(dataset):
        yield from _squares(dataset)
        return
    kinds = dataset["shuffle"].values.tolist() if "baseline" in dataset else []
    yield Made("by step and layer", partial(_map, dataset))
    yield Made("by step", partial(_curves, dataset))
    for kind in kinds:
        yield Made(f"baseline by step: {EXCHANGED[kind]}", partial(_baselines, dataset, kind))


def _squares(dataset: xarray.Dataset) -> Iterator[Made]:
    """A map of layers by layers for each step, of steps by steps for each layer, or of all by all."""
    across = str(dataset.attrs["across"])
    if across == "grid":
        yield Made("steps and layers by steps and layers", partial(_grid, dataset))
        return
    panel, axis = ("step", "layer") if across == "layers" else ("layer", "step")
    for at in dataset[panel].values.tolist():
        yield Made(f"{axis}s by {axis}s, {panel} {at}", partial(_square, dataset, axis, panel, at))


def _square(dataset: xarray.Dataset, axis: str, panel: str, at: int) -> Heatmap:
    here = dataset.sel({panel: at})
    labels = tuple(map(str, dataset[axis].values.tolist()))
    parts = {part: here[name].transpose(axis, f"other_{axis}").values for part, name in _numbers(dataset)}
    return _heatmap(
        dataset,
        f"{panel} {at}",
        columns=labels,
        rows=labels,
        column_name=axis,
        row_name=f"other {axis}",
        **parts,
    )


def _grid(dataset: xarray.Dataset) -> Heatmap:
    steps, layers = (dataset[dim].values.tolist() for dim in ("step", "layer"))
    labels = tuple(f"{step}/{layer}" for step in steps for layer in layers)
    side = len(labels)
    order = ("step", "layer", "other_step", "other_layer")
    parts = {
        part: dataset[name].transpose(*order).values.reshape(side, side) for part, name in _numbers(dataset)
    }
    return _heatmap(
        dataset,
        "all steps and layers",
        columns=labels,
        rows=labels,
        column_name="step/layer",
        row_name="other step/layer",
        **parts,
    )


def _heatmap(dataset: xarray.Dataset, where: str, **parts: Any) -> Heatmap:
    from probes.similarity.words import compared_text, measure_text, place_text

    shape = parts["values"].shape
    return Heatmap(
        title=f"{sentence(measure_text(dataset))} {compared_text(dataset)}: {where} ({place_text(dataset)})",
        n=np.full(shape, int(dataset["runs"].item())),
        samples=np.full(shape, int(dataset["samples"].item())),
        counted=RUNS,
        note=_note(dataset, complement=False),
        measure=measure_text(dataset),
        **parts,
    )


def _map(dataset: xarray.Dataset) -> Heatmap:
    """One minus the similarity of two sides, beside one minus its first baseline."""
    from probes.similarity.words import EXCHANGED, compared_text, measure_of, measure_text, place_text

    axes = ("step", "layer")
    columns, rows = (tuple(map(str, dataset[axis].values.tolist())) for axis in axes)
    value, low, high = (
        1 - dataset[name].transpose(*axes).values for name in (measure_of(dataset), "high", "low")
    )
    beside, beside_name = None, ""
    if "baseline" in dataset:
        kind = dataset["shuffle"].values.tolist()[0]
        beside_name = f"baseline, {EXCHANGED[kind]}"
        baseline = 1 - dataset["baseline"].sel(shuffle=kind).transpose(*axes).values
        beside = Heatmap(beside_name, columns, rows, baseline)
    return Heatmap(
        f"1 - {measure_text(dataset)} {compared_text(dataset)} ({place_text(dataset)})",
        columns,
        rows,
        value,
        low,
        high,
        n=np.full(value.shape, int(dataset["runs"].item())),
        samples=np.full(value.shape, int(dataset["samples"].item())),
        counted=RUNS,
        note=_note(dataset, complement=True),
        measure=f"1 - {measure_text(dataset)}",
        beside=beside,
        beside_name=beside_name,
    )


def _curves(dataset: xarray.Dataset) -> Curves:
    """One minus the similarity of two sides over steps, a curve a layer."""
    from probes.similarity.words import compared_text, measure_of, measure_text, place_text

    steps = dataset["step"].values.astype(np.float64)
    names = (measure_of(dataset), "high", "low")
    runs, samples = (np.full(len(steps), int(dataset[name].item())) for name in ("runs", "samples"))
    curves = []
    for layer in dataset["layer"].values.tolist():
        value, low, high = (1 - dataset[name].sel(layer=layer).values for name in names)
        curves.append(Curve(f"layer {layer}", steps, value, low, high, runs, samples, RUNS))
    return Curves(
        title=f"1 - {measure_text(dataset)} {compared_text(dataset)} ({place_text(dataset)})",
        measure=f"1 - {measure_text(dataset)}",
        across="step",
        curves=tuple(curves),
        note=_note(dataset, complement=True),
    )


def _baselines(dataset: xarray.Dataset, kind: str) -> Curves:
    """The baseline of each layer: on a chart of its own, as the curves would be flat beside it."""
    from probes.similarity.words import EXCHANGED, compared_text, measure_text

    steps = dataset["step"].values.astype(np.float64)
    return Curves(
        title=f"1 - {measure_text(dataset)} {compared_text(dataset)}: baseline, {EXCHANGED[kind]}",
        measure=f"1 - {measure_text(dataset)}",
        across="step",
        curves=tuple(
            Curve(f"layer {layer}", steps, 1 - dataset["baseline"].sel(shuffle=kind, layer=layer).values)
            for layer in dataset["layer"].values.tolist()
        ),
        note=_note(dataset, complement=True),
    )


def _numbers(dataset: xarray.Dataset) -> tuple[tuple[str, str], ...]:
    from probes.similarity.words import measure_of

    return ("values", measure_of(dataset)), ("low", "low"), ("high", "high")


def _note(dataset: xarray.Dataset, *, complement: bool) -> str:
    from probes.similarity.words import baseline_text, counts_text

    baseline = baseline_text(dataset, complement)
    return f"{counts_text(dataset)}. {baseline or 'No baselines'}"
