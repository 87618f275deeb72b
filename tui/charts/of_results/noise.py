"""Noise: effects at steps and in frames, and maps of how far it spreads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tui.charts.chart import Curves
from tui.charts.making import RUNS, curve_of, how_made
from tui.charts.view import Made
from tui.heatmaps.heatmap import Heatmap

if TYPE_CHECKING:
    import xarray

TOLD = 0.05
_AT = {"step": "noise at one step, in all frames", "frame": "noise in one latent frame, at all steps"}


def views(dataset: xarray.Dataset) -> Iterator[Made]:
    """The ways to look at what noise does, effects on the score first."""
    if "effect" in dataset:
        for at in _AT:
            if len(_places(dataset, at)):
                yield Made(f"effect by {at}", partial(_effects, dataset, at))
    protocols = dataset["protocol"].values.tolist()
    makers = {"distance by step": partial(_spread, "clean_distance", "step")}
    makers["final distance by frame"] = partial(_spread, "frame_distance", "frame")
    if "unlike" in dataset:
        makers |= {"unlike by step": _unlike_by_step, "unlike by layer": _unlike_by_layer}
    for name, make in makers.items():
        for protocol in protocols:
            told = name if len(protocols) == 1 else f"{name}, {protocol}"
            yield Made(told, partial(make, dataset, protocol))


def _effects(dataset: xarray.Dataset, at: str) -> Curves:
    """The effect of noise at each step or in each frame, a curve a protocol."""
    from probes.estimated import estimates_along

    curves, shown = [], []
    for protocol in dataset["protocol"].values.tolist():
        chosen = _places(dataset, at, protocol)
        if not len(chosen):
            continue
        chosen = chosen[np.argsort(dataset["place_index"].values[chosen], kind="stable")]
        here = dataset.isel(place=chosen)
        found = estimates_along(here, "effect")
        marked = here["effect_p_all"].values < TOLD
        curves.append(curve_of(str(protocol), here["place_index"].values, found, RUNS, marked=marked))
        shown += found
    return Curves(
        title=f"What noise changes in {dataset.attrs['metric_label']}: {_AT[at]}",
        measure=f"change in {dataset.attrs['metric_label']}, noised runs less their base runs",
        across=f"{at} of the noise",
        curves=tuple(curves),
        reference=0.0,
        mark=f"p < {TOLD:g} over all places (sign flips by sample, seed {dataset.attrs['seed']})",
        note=how_made(shown, RUNS),
    )


def _spread(name: str, across: str, dataset: xarray.Dataset, protocol: str) -> Heatmap:
    """How far clean estimates, or final latents, are from those of the base runs."""
    chosen = _of_protocol(dataset, protocol)
    here = dataset.isel(place=chosen)
    axes = across, "place"
    parts = {
        part: here[f"{name}{ending}"].transpose(*axes).values
        for part, ending in (("values", ""), ("low", "_low"), ("high", "_high"), ("n", "_n"))
    }
    attrs = dataset[name].attrs
    return _map(
        here,
        across,
        here[across].values.tolist(),
        title=f"{attrs['long_name']}; {protocol}, mean over runs",
        measure=str(attrs["long_name"]),
        **parts,
        samples=here[f"{name}_samples"].transpose(*axes).values,
        note=_how(here, name),
    )


def _unlike_by_step(dataset: xarray.Dataset, protocol: str) -> Heatmap:
    """How unlike activations are, by step: mean over layers."""
    here = dataset.isel(place=_of_protocol(dataset, protocol))
    values = here["unlike"].transpose("place", "step", "layer").values
    return _unlike(here, protocol, "step", _mean(values, 2), f"mean over {dataset.sizes['layer']} layers")


def _unlike_by_layer(dataset: xarray.Dataset, protocol: str) -> Heatmap:
    """How unlike activations are, by layer: mean over the steps from the noise on."""
    here = dataset.isel(place=_of_protocol(dataset, protocol))
    values = here["unlike"].transpose("place", "step", "layer").values.copy()
    places = zip(here["place_at"].values, here["place_index"].values, strict=True)
    for row, (at, index) in enumerate(places):
        if at == "step":
            values[row, here["step"].values < index] = np.nan
    return _unlike(here, protocol, "layer", _mean(values, 1), "mean over steps from the noise on")


def _unlike(
    here: xarray.Dataset, protocol: str, across: str, values: NDArray[np.float64], of_what: str
) -> Heatmap:
    runs, samples = here.sizes["run"], len(set(here["sample"].values.tolist()))
    return _map(
        here,
        across,
        here[across].values.tolist(),
        title=f"How unlike activations become: {here.attrs['site']}, {of_what}; {protocol}",
        measure="1 - debiased CKA with base",
        values=values.T,
        n=np.full(values.T.shape, runs),
        samples=np.full(values.T.shape, samples),
        note=f"n = {runs} runs of {samples} samples, each beside its base run; "
        "intervals, of each step and layer, are in the table of the result",
    )


def _map(here: xarray.Dataset, across: str, columns: Sequence[int], **parts: Any) -> Heatmap:
    """A map with a row a place."""
    labels = zip(
        here["place_at"].values.tolist(),
        here["place_index"].values.tolist(),
        here["label"].values.tolist(),
        strict=True,
    )
    rows = tuple(str(label) if at not in _AT else f"{at} {index}" for at, index, label in labels)
    return Heatmap(
        columns=tuple(map(str, columns)),
        rows=rows,
        column_name=across,
        row_name="noise at",
        counted=RUNS,
        **parts,
    )


def _how(dataset: xarray.Dataset, name: str) -> str:
    from probes.estimated import PARTS, estimates_along

    flat = dataset[[name, *(f"{name}_{part}" for part in PARTS)]].stack(all=dataset[name].dims)
    flat[name].attrs = dataset[name].attrs
    return how_made(estimates_along(flat, name), RUNS)


def _places(dataset: xarray.Dataset, at: str, protocol: str | None = None) -> NDArray[np.int64]:
    """The indices of places at steps, or in frames."""
    chosen = dataset["place_at"].values == at
    if protocol is not None:
        chosen &= dataset["place_protocol"].values == protocol
    return np.flatnonzero(chosen)


def _of_protocol(dataset: xarray.Dataset, protocol: str) -> NDArray[np.int64]:
    """The indices of the places of a protocol: steps, then frames, then others."""
    return np.concatenate([_places(dataset, at, protocol) for at in (*_AT, "other")])


def _mean(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Over an axis of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.divide(
        total, known.sum(axis=axis), out=np.full(total.shape, np.nan), where=known.any(axis=axis)
    )
