"""What noise in latents does, as words, a table and figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.estimated import estimate_at, long_table
from probes.kinds import Kind
from probes.statistics import Estimate, describe

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure

_LEVEL = 0.05


def _summary(dataset: xarray.Dataset) -> list[str]:
    lines = [_what(dataset)]
    for protocol in dataset["protocol"].values.tolist():
        lines += _of_protocol(dataset, protocol)
    if "effect" in dataset:
        lines += _effects(dataset)
    lines += _spread(dataset)
    return [*lines, *(f"Note: {note}." for note in json.loads(dataset.attrs["notes"]))]


def _what(dataset: xarray.Dataset) -> str:
    runs, samples = dataset.sizes["run"], len(set(dataset["sample"].values.tolist()))
    counts = {at: int((dataset["place_at"].values == at).sum()) for at in ("step", "frame", "other")}
    words = {"step": "at a step", "frame": "in a frame", "other": "elsewhere"}
    places = [f"{count} {words[at]}" for at, count in counts.items() if count]
    return (
        f"Noise in latents, {dataset.sizes['place']} places ({', '.join(places)}), each beside base: "
        f"{runs} runs of {samples} samples."
    )


def _of_protocol(dataset: xarray.Dataset, protocol: str) -> list[str]:
    at = {one: float(dataset["mean_energy"].sel(protocol=protocol, at=one)) for one in ("step", "frame")}
    energies = [f"{energy:.2f} at a step" for energy in [at["step"]] if math.isfinite(energy)]
    energies += [f"{energy:.2f} in a frame" for energy in [at["frame"]] if math.isfinite(energy)]
    lines = [f"{_sentence(_protocol(protocol))}: energy {', '.join(energies)}."] if energies else []
    if "steps_less_frames" not in dataset:
        return lines
    contrast = estimate_at(dataset, "steps_less_frames", protocol=protocol)
    if not contrast.n:
        return lines
    steps, frames = (
        estimate_at(dataset, "mean_effect", protocol=protocol, at=one) for one in ("step", "frame")
    )
    p = float(dataset["steps_less_frames_p"].sel(protocol=protocol))
    lines.append(
        f"Effect on {dataset.attrs['metric_label']}: {_number(steps)} at steps, {_number(frames)} in frames; "
        f"steps less frames {_number(contrast)}, p = {_p(p)} (sign flips by sample); {_verdict(contrast)}."
    )
    lines.append(f"{describe([contrast])}.")
    return lines


def _verdict(contrast: Estimate) -> str:
    """What the interval says of which hurts more."""
    if contrast.high < 0:
        return "noise at a step hurts more"
    if contrast.low > 0:
        return "noise in a frame hurts more"
    return "which hurts more is not told"


def _effects(dataset: xarray.Dataset) -> list[str]:
    base = estimate_at(dataset, "score", variant="base")
    label = _sentence(str(dataset.attrs["metric_label"]))
    lines = [f"{label} of the base runs: {base}."]
    names = dataset["place"].values.tolist()
    effects = {name: estimate_at(dataset, "effect", place=name) for name in names}
    worst = min(effects, key=lambda name: effects[name].value)
    one = effects[worst]
    p = float(dataset["effect_p_all"].sel(place=worst))
    least = "Largest loss" if one.value < 0 else "No loss; least gain"
    lines.append(f"{least}: {worst}, {_number(one)}, p = {_p(p)} over all places.")
    told = int((dataset["effect_p_all"].values < _LEVEL).sum())
    lines.append(
        f"{told} of {len(names)} places change it (p < {_LEVEL:g} over all places, greatest of sign flips by "
        f"sample, seed {dataset.attrs['seed']}). {describe(list(effects.values()))}."
    )
    return lines


def _spread(dataset: xarray.Dataset) -> list[str]:
    names = dataset["place"].values.tolist()
    far = {name: estimate_at(dataset, "final_distance", place=name) for name in names}
    most, least = max(far, key=lambda one: far[one].value), min(far, key=lambda one: far[one].value)
    lines = [
        f"Final latents are farthest from base with {most}: {far[most]}; nearest with {least}: {far[least]}.",
        f"Distances: 0 the same, 1 uncorrelated; {describe([far[most]])}.",
    ]
    if "unlike" in dataset:
        mean = dataset["unlike"].mean(("step", "layer"), skipna=True)
        name = names[int(np.nanargmax(mean.values))]
        lines.append(
            f"Activations ({dataset.attrs['site']}) are most unlike those of base with {name}: 1 - CKA "
            f"{float(np.nanmax(mean.values)):.2f}, mean over steps and layers."
        )
    return lines


def _table(dataset: xarray.Dataset) -> pandas.DataFrame:
    import pandas as pd

    table = long_table(dataset)
    more: list[dict[str, Any]] = []
    for name in ("energy", "effect_p", "effect_p_all"):
        if name in dataset:
            more += [
                {"quantity": name, "place": place, "value": value}
                for place, value in zip(
                    dataset["place"].values.tolist(), dataset[name].values.tolist(), strict=True
                )
            ]
    if "unlike" in dataset:
        more += _unlike_rows(dataset)
    joined = pd.concat([table, pd.DataFrame(more)], ignore_index=True)
    whole = {axis: "Int64" for axis in ("step", "frame", "layer", "n", "samples") if axis in joined}
    return joined.astype(whole)


def _unlike_rows(dataset: xarray.Dataset) -> list[dict[str, Any]]:
    runs, samples = dataset.sizes["run"], len(set(dataset["sample"].values.tolist()))
    dims = ("place", "step", "layer")
    value, low, high = (
        dataset[name].transpose(*dims).values for name in ("unlike", "unlike_low", "unlike_high")
    )
    labels = [dataset[dim].values.tolist() for dim in dims]
    rows = []
    for at in zip(*np.nonzero(np.isfinite(value)), strict=True):
        place = {dim: own[index] for dim, own, index in zip(dims, labels, at, strict=True)}
        numbers = {"value": float(value[at]), "low": float(low[at]), "high": float(high[at])}
        rows.append({"quantity": "unlike", **place, **numbers, "n": runs, "samples": samples})
    return rows


def _figures(dataset: xarray.Dataset) -> Mapping[str, Callable[[], Figure]]:
    protocols = dataset["protocol"].values.tolist()
    figures: dict[str, Callable[[], Figure]] = {}
    if "effect" in dataset:
        figures["effects"] = partial(_draw, "effects", dataset)
    maps = {"distances": "distances", "frames": "frames"}
    if "unlike" in dataset:
        maps |= {"unlike": "unlike", "unlike-layers": "unlike_by_layer"}
    for called, function in maps.items():
        for number, protocol in enumerate(protocols):
            suffix = f"-{number + 1}" if number else ""
            figures[called + suffix] = partial(_draw, function, dataset, protocol)
    return figures


def _draw(function: str, dataset: xarray.Dataset, *more: str) -> Figure:
    from probes.noising import plots

    return getattr(plots, function)(dataset, *more)


def _protocol(name: str) -> str:
    return f"noise by the protocol {name}"


def _number(one: Estimate) -> str:
    return f"{one.value:+.2f} {one.interval_text}"


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "under 0.0001"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


KIND = Kind("What noise in latents does", _summary, _table, _figures)
