"""Similarity of representations, as words, a table and figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from probes.kinds import Kind
from probes.similarity.words import (
    baseline_text,
    compared_text,
    counts_text,
    entries,
    is_square,
    measure_text,
    place_text,
    where_text,
)

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure


def _summary(dataset: xarray.Dataset) -> list[str]:
    title = f"{measure_text(dataset)} {compared_text(dataset)} ({place_text(dataset)})"
    lines = [f"{title[:1].upper()}{title[1:]}."]
    known = [entry for entry in entries(dataset) if math.isfinite(entry[1])]
    if known:
        across = str(dataset.attrs["across"])
        for word, (at, *numbers) in (
            ("Least alike", min(known, key=lambda entry: entry[1])),
            ("Most alike", max(known, key=lambda entry: entry[1])),
        ):
            lines.append(f"{word}: {where_text(across, at)}, {_estimate(*numbers)}.")
    baseline = baseline_text(dataset)
    lines += [f"{baseline}."] if baseline else ["No baselines."]
    lines.append(f"{counts_text(dataset)}.")
    notes = str(dataset.attrs["notes"])
    return [*lines, *(f"Note: {note}." for note in notes.split("\n") if note)]


def _estimate(value: float, low: float, high: float) -> str:
    interval = f" [{low:.2f}, {high:.2f}]" if math.isfinite(low) else ", no interval"
    return f"{value:.2f}{interval}"


def _table(dataset: xarray.Dataset) -> pandas.DataFrame:
    import pandas as pd

    runs, samples = (int(dataset[name].item()) for name in ("runs", "samples"))
    rows = []
    for at, value, low, high in entries(dataset):
        row = {**at, "value": value, "low": low, "high": high, "n": runs, "samples": samples}
        if "biased" in dataset:
            row["biased"] = float(dataset["biased"].sel(at).item())
        if "baseline" in dataset:
            baselines = dataset["baseline"].sel(at)
            for kind in dataset["shuffle"].values.tolist():
                row[f"{kind}_shuffled"] = float(baselines.sel(shuffle=kind).item())
        rows.append(row)
    return pd.DataFrame(rows)


def _figures(dataset: xarray.Dataset) -> Mapping[str, Callable[[], Figure]]:
    if is_square(dataset):
        return {"maps": partial(_square_maps, dataset)}
    return {"curves": partial(_curves, dataset), "map": partial(_map, dataset)}


def _square_maps(dataset: xarray.Dataset) -> Figure:
    from probes.similarity.plots import square_maps

    return square_maps(dataset)


def _curves(dataset: xarray.Dataset) -> Figure:
    from probes.similarity.plots import dissimilarity_curves

    return dissimilarity_curves(dataset)


def _map(dataset: xarray.Dataset) -> Figure:
    from probes.similarity.plots import dissimilarity_map

    return dissimilarity_map(dataset)


KIND = Kind("Similarity of representations", _summary, _table, _figures)
