"""Figures of what noise does: effects at steps beside effects in frames, and maps of how far it spreads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from probes.estimated import estimates_along
from probes.figures.cell_maps import MOST_NUMBERS, NOTHING, draw_cells
from probes.figures.panels import PanelPage
from probes.figures.plots import OKABE_ITO
from probes.noising.places import PAPER
from probes.statistics import describe
from stores import SelectionError

if TYPE_CHECKING:
    import xarray

TOLD = 0.05
"""Places whose p over all places is below this have a filled marker."""

_AT = {"step": "noise at one step, in all frames", "frame": "noise in one latent frame, at all steps"}
_AXIS = {"step": "step of the noise (0 = noisiest)", "frame": "latent frame of the noise"}
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_HEIGHT, _NARROW, _EACH, _WIDEST = 2.9, 2.2, 0.42, 5.2
_ROW, _COLUMN = 0.27, 0.4
_BAR = 0.16
_APART = 0.14
"""How far curves of several protocols are set apart, in steps or frames."""


def effects(dataset: xarray.Dataset) -> Figure:
    """The effect of noise at each step and in each frame, side by side on one axis, a curve a protocol.

    Raises:
        SelectionError: no place is at a single step or in a single frame.
    """
    protocols = dataset["protocol"].values.tolist()
    panels = {at: places for at in _AT if len(places := _places(dataset, at))}
    if not panels:
        raise SelectionError("no place is at a single step or in a single frame; there is nothing to draw")
    page = PanelPage(
        [(_width(dataset, places), _HEIGHT) for places in panels.values()],
        title=f"What noise changes: {dataset.attrs['metric_label']}",
        under=f"task {dataset.attrs['task']}; noised runs less their base runs",
        caption=_effects_caption(dataset, panels),
        across=True,
        legend=len(protocols),
    )
    drawn, shared = {}, None
    for number, (at, places) in enumerate(panels.items()):
        axes = page.axes(number, shared)
        shared = shared or axes
        for order, protocol in enumerate(protocols):
            chosen = [
                one for one in places if str(dataset["place_protocol"].sel(place=one).item()) == protocol
            ]
            if chosen:
                drawn[protocol_text(protocol)] = _curve(axes, dataset, chosen, order, len(protocols))
        axes.axhline(0, color="black", linewidth=0.7, zorder=0.9)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.set_title(_title(dataset, at, places), fontsize=10)
        axes.set_xlabel(_AXIS[at])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=14))
        axes.margins(x=0.06)
        if number == 0:
            axes.set_ylabel("change")
    page.legend(drawn)
    return page.figure


def distances(dataset: xarray.Dataset, protocol: str) -> Figure:
    """How far clean estimates are from those of the base runs, by step."""
    return _maps(
        dataset,
        protocol,
        dataset["clean_distance"].transpose("place", "step").values,
        dataset["step"].values.tolist(),
        title="How far noise takes the clean estimates",
        across="denoising step (0 = noisiest)",
        measure="distance from base (0: the same, 1: uncorrelated)",
    )


def frames(dataset: xarray.Dataset, protocol: str) -> Figure:
    """How far the final latents are from those of the base runs, frame by frame."""
    return _maps(
        dataset,
        protocol,
        dataset["frame_distance"].transpose("place", "frame").values,
        dataset["frame"].values.tolist(),
        title="Where noise ends up: final latents, frame by frame",
        across="latent frame",
        measure="distance from base (0: the same, 1: uncorrelated)",
    )


def unlike(dataset: xarray.Dataset, protocol: str) -> Figure:
    """How unlike activations are, by step: mean over layers."""
    layers = dataset.sizes["layer"]
    return _maps(
        dataset,
        protocol,
        dataset["unlike"].mean("layer", skipna=True).transpose("place", "step").values,
        dataset["step"].values.tolist(),
        title=f"How unlike activations become: {dataset.attrs['site']}, mean over {layers} layers",
        across="denoising step (0 = noisiest)",
        measure="1 - debiased CKA with base",
    )


def unlike_by_layer(dataset: xarray.Dataset, protocol: str) -> Figure:
    """How unlike activations are, by layer: mean over the steps from the noise on."""
    values = dataset["unlike"].transpose("place", "step", "layer").values.copy()
    steps = dataset["step"].values
    for row, (at, index) in enumerate(
        zip(dataset["place_at"].values, dataset["place_index"].values, strict=True)
    ):
        if at == "step":
            values[row, steps < index] = np.nan
    return _maps(
        dataset,
        protocol,
        _mean(values),
        dataset["layer"].values.tolist(),
        title=f"How unlike activations become: {dataset.attrs['site']}, mean over steps from the noise on",
        across="layer",
        measure="1 - debiased CKA with base",
    )


def protocol_text(protocol: str) -> str:
    """A protocol in words."""
    return f"{protocol} (as Wang et al. 2026)" if protocol == PAPER else protocol


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the second axis of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.divide(total, known.sum(axis=1), out=np.full(total.shape, np.nan), where=known.any(axis=1))


def _places(dataset: xarray.Dataset, at: str, protocol: str | None = None) -> list[str]:
    chosen = dataset["place_at"].values == at
    if protocol is not None:
        chosen &= dataset["place_protocol"].values == protocol
    return dataset["place"].values[chosen].tolist()


def _width(dataset: xarray.Dataset, places: Sequence[str]) -> float:
    count = len(set(dataset["place_index"].sel(place=list(places)).values.tolist()))
    return min(max(_NARROW, _EACH * count), _WIDEST)


def _title(dataset: xarray.Dataset, at: str, places: Sequence[str]) -> str:
    width = _width(dataset, places)
    return _AT[at] if width > 3.2 else _AT[at].partition(",")[0]


def _curve(axes: Axes, dataset: xarray.Dataset, places: Sequence[str], order: int, count: int):
    colour, marker = OKABE_ITO[order % len(OKABE_ITO)], _MARKERS[order % len(_MARKERS)]
    chosen = dataset.sel(place=list(places))
    at = chosen["place_index"].values + _APART * (order - (count - 1) / 2)
    value, low, high = (chosen[name].values for name in ("effect", "effect_low", "effect_high"))
    band = {"facecolor": (colour, 0.15), "edgecolor": (colour, 0.6), "linewidth": 0.8}
    axes.fill_between(at, low, high, **band)
    (line,) = axes.plot(at, value, color=colour, marker=marker, markersize=5, linewidth=1.8)
    hollow = chosen["effect_p_all"].values >= TOLD
    axes.plot(
        at[hollow],
        value[hollow],
        color=colour,
        marker=marker,
        markersize=5,
        markerfacecolor="white",
        linestyle="none",
    )
    return line


def _effects_caption(dataset: xarray.Dataset, panels: dict[str, list[str]]) -> str:
    one = estimates_along(dataset.isel(place=[0]), "effect")
    energies = []
    for protocol in dataset["protocol"].values.tolist():
        own = {at: float(dataset["mean_energy"].sel(protocol=protocol, at=at)) for at in panels if at in _AT}
        words = {"step": "at a step", "frame": "in a frame"}
        told = [f"{energy:.2f} {words[at]}" for at, energy in own.items() if np.isfinite(energy)]
        if told:
            energies.append(f"{protocol}: {', '.join(told)}")
    return (
        f"Energy of the noise: {'; '.join(energies)} (1: all frames replaced at one step). Filled: p < "
        f"{TOLD:g} over all places (sign flips by sample). Bands: {describe(one)}."
    )


def _maps(
    dataset: xarray.Dataset,
    protocol: str,
    values: NDArray[np.float64],
    columns: list[int],
    *,
    title: str,
    across: str,
    measure: str,
) -> Figure:
    """A row a place, noise at steps beside noise in frames, with one scale of colours."""
    names = dataset["place"].values.tolist()
    panels = {at: places for at in ("step", "frame", "other") if (places := _places(dataset, at, protocol))}
    known = values[[names.index(one) for places in panels.values() for one in places]]
    top = float(np.nanmax(known)) if np.isfinite(known).any() else 1.0
    low = min(0.0, float(np.nanmin(known))) if np.isfinite(known).any() else 0.0
    colours = ScalarMappable(
        Normalize(low, top if top > low else low + 1.0), colormaps["cividis"].with_extremes(bad=NOTHING)
    )
    tallest = max(map(len, panels.values()))
    height = max(1.5, _ROW * tallest)
    width = min(max(_NARROW, _COLUMN * len(columns)), _WIDEST)
    has_numbers = max(len(columns), tallest) <= MOST_NUMBERS
    runs, samples = dataset.sizes["run"], len(set(dataset["sample"].values.tolist()))
    page = PanelPage(
        [*((width, height) for _ in panels), (_BAR, height)],
        title=title,
        under=f"{protocol_text(protocol)}; mean over runs",
        caption=f"n = {runs} runs of {samples} samples, each beside its base run. Colour: {measure}. "
        "Intervals are in the table of the result.",
        across=True,
    )
    for number, (at, places) in enumerate(panels.items()):
        axes = page.axes(number, None)
        labels = [str(dataset["label"].sel(place=one).item()) for one in places]
        rows = [names.index(one) for one in places]
        draw_cells(axes, values[rows], labels, columns, colours, has_numbers)
        axes.set_xlabel(across)
        if at in _AT:
            axes.set_title(_AT[at].partition(",")[0], fontsize=10)
    bar = page.axes(len(panels), None)
    page.figure.colorbar(colours, cax=bar)
    bar.spines[:].set_visible(False)
    return page.figure
