"""Similarity as pictures: maps of places with one another, and curves of dissimilarity over steps.

Figures are made without pyplot, in colours that stay apart under colour blindness; each panel of a figure has
the same colours, so panels can be compared. n, interval, baselines and seed stand below.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from probes.figures.cell_maps import MOST_NUMBERS, MOST_TICKS, NOTHING, draw_cells
from probes.figures.plots import ORDERED_MARKERS, in_order, spread
from probes.similarity.moments import Float64
from probes.similarity.words import (
    EXCHANGED,
    baseline_text,
    compared_text,
    counts_text,
    measure_of,
    measure_text,
    place_text,
)
from stores.selection import compact

if TYPE_CHECKING:
    import xarray

MOST_PANELS = 12
MOST_CURVES = len(ORDERED_MARKERS)
STEP = "denoising step (0 = noisiest)"

_SEQUENTIAL = "cividis"
_GREY = "#555555"


def square_maps(dataset: xarray.Dataset) -> Figure:
    """Maps of layers by layers at each step, of steps by steps at each layer, or of all by all.

    Of more than `MOST_PANELS` panels so many are shown, spread evenly.
    """
    name = measure_of(dataset)
    across = str(dataset.attrs["across"])
    steps, layers = (dataset[dim].values.tolist() for dim in ("step", "layer"))
    caption = _caption(dataset, False)
    if across == "grid":
        side = len(steps) * len(layers)
        panels = {"": dataset[name].values.reshape(side, side)}
        labels = [""] * side
        axis_name = f"step, and within each the layers {compact(layers)}"
    else:
        panel_dim, axis_name = ("step", "layer") if across == "layers" else ("layer", "step")
        every = steps if across == "layers" else layers
        shown = spread(every, MOST_PANELS)
        panels = {f"{panel_dim} {at}": dataset[name].sel({panel_dim: at}).values for at in shown}
        labels = [str(label) for label in dataset[axis_name].values.tolist()]
        if len(shown) < len(every):
            caption += f" {len(shown)} of {len(every)} {panel_dim}s are shown."
    colours = _colours(list(panels.values()))
    if colours.norm.vmin:
        caption += f" Colours begin at {colours.norm.vmin:.2g}."
    columns = _columns(len(panels))
    rows = -(-len(panels) // columns)
    size = 5.2 if len(panels) == 1 else 2.5 if columns > 2 else 3.4
    title = f"{_sentence(measure_text(dataset))} {compared_text(dataset)}"
    layout = _Layout(rows, columns, size, size, title, place_text(dataset), caption)
    figure = layout.figure()
    for index, (panel, cells) in enumerate(panels.items()):
        row, column = divmod(index, columns)
        axes = layout.axes(figure, row, column)
        draw_cells(axes, cells, labels, labels, colours, has_numbers=len(labels) <= 9 and size > 3)
        axes.set_title(panel, fontsize=10)
        if row == rows - 1 or index + columns >= len(panels):
            axes.set_xlabel(axis_name)
        if column == 0:
            axes.set_ylabel(axis_name)
        if across == "grid":
            _tick_by_step(axes, steps, len(layers))
    layout.bar(figure, colours, name.upper())
    return figure


def _columns(panels: int) -> int:
    """Three or four panels beside one another, whichever leaves fewer places empty."""
    if panels <= 4:
        return panels
    return min((4, 3), key=lambda columns: -panels % columns)


def _tick_by_step(axes: Axes, steps: list[int], layers: int) -> None:
    """One label for the layers of a step, in their middle, and lines between steps."""
    shown = spread(list(range(len(steps))), MOST_TICKS)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks([(at + 0.5) * layers - 0.5 for at in shown], [str(steps[at]) for at in shown])
        axis.set_ticks(np.arange(len(steps) + 1) * layers - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.0)


def dissimilarity_map(dataset: xarray.Dataset) -> Figure:
    """One minus the similarity of two sides, by step and layer."""
    name = measure_of(dataset)
    cells = 1 - dataset[name].transpose("step", "layer").values
    steps, layers = (dataset[dim].values.tolist() for dim in ("step", "layer"))
    title = f"1 - {measure_text(dataset)} {compared_text(dataset)}"
    width = min(max(4.6, 0.45 * len(layers)), 9.0)
    layout = _Layout(
        *(1, 1, width, min(max(1.6, 0.36 * len(steps)), 7.0)),
        *(title, place_text(dataset), _caption(dataset, True)),
    )
    figure = layout.figure()
    axes = layout.axes(figure, 0, 0)
    colours = _colours([cells])
    draw_cells(axes, cells, steps, layers, colours, max(len(steps), len(layers)) <= MOST_NUMBERS)
    axes.set_xlabel("layer")
    axes.set_ylabel(STEP)
    layout.bar(figure, colours, f"1 - {name.upper()}")
    return figure


def dissimilarity_curves(dataset: xarray.Dataset) -> Figure:
    """One minus the similarity of two sides over steps, a curve with its band for each layer, and baselines.

    Of more than `MOST_CURVES` layers so many are shown, spread evenly. The panel beside them has the first
    baseline there is, on an axis of its own: the curves would be flat on one that holds both.
    """
    name = measure_of(dataset)
    layers = dataset["layer"].values.tolist()
    shown = spread(layers, MOST_CURVES)
    caption = _caption(dataset, True)
    if np.isfinite(dataset["low"].values).any():
        caption += " Bands: intervals."
    if len(shown) < len(layers):
        caption += f" {len(shown)} of {len(layers)} layers are shown."
    kinds = dataset["shuffle"].values.tolist() if "baseline" in dataset else []
    if kinds:
        caption += " Right: the baseline of each layer, broken; grey is where the curves on the left lie."
    title = f"1 - {measure_text(dataset)} {compared_text(dataset)}"
    columns, width = (2, 4.6) if kinds else (1, 6.4)
    layout = _Layout(1, columns, width, 3.4, title, place_text(dataset), caption)
    figure = layout.figure()
    axes = layout.axes(figure, 0, 0)
    curves = 1 - dataset[["low", name, "high"]].sel(layer=shown)
    for layer, colour in zip(shown, in_order(len(shown)), strict=True):
        low, high = (curves[end].sel(layer=layer).values for end in ("high", "low"))
        axes.fill_between(dataset["step"].values, low, high, facecolor=(colour, 0.13), edgecolor="none")
    _draw_curves(axes, curves[name], "-")
    axes.set_ylabel(f"1 - {name.upper()}")
    if kinds:
        axes.set_title("as compared", fontsize=10)
        axes = layout.axes(figure, 0, 1)
        own = curves[name].transpose("step", "layer").values
        known = np.isfinite(own).any(axis=1)
        axes.fill_between(
            dataset["step"].values[known],
            np.nanmin(own[known], axis=1),
            np.nanmax(own[known], axis=1),
            facecolor="#dddddd",
            edgecolor="none",
        )
        _draw_curves(axes, 1 - dataset["baseline"].sel(shuffle=kinds[0], layer=shown), "--")
        axes.set_title(f"baseline: {EXCHANGED[kinds[0]]}", fontsize=10)
    axes.legend(
        *axes.get_legend_handles_labels(),
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.02),
        fontsize=8.5,
    )
    return figure


def _draw_curves(axes: Axes, values: xarray.DataArray, style: str) -> None:
    """A curve over steps for each layer, from 0 up."""
    layers = values["layer"].values.tolist()
    for layer, colour, marker in zip(layers, in_order(len(layers)), ORDERED_MARKERS, strict=False):
        axes.plot(
            values["step"].values,
            values.sel(layer=layer).values,
            color=colour,
            marker=marker,
            markersize=4.5,
            linewidth=1.6,
            linestyle=style,
            label=f"layer {layer}",
        )
    axes.set_xlabel(STEP)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=14))
    axes.margins(x=0.02)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


@dataclass
class _Layout:
    """Where things stand, in inches: panels of one size, a head above, a caption below, a bar beside."""

    rows: int
    columns: int
    panel_width: float
    panel_height: float
    title: str
    place: str
    caption: str

    _left, _right, _gap, _head, _foot = 0.8, 1.2, 0.5, 0.3, 0.5

    def __post_init__(self) -> None:
        panels = self.columns * self.panel_width + (self.columns - 1) * self._gap
        self._width = max(self._left + panels + self._right, 6.6)
        self._title = textwrap.wrap(self.title, int((self._width - self._left) * 9))
        self._lines = textwrap.wrap(self.caption, int((self._width - self._left) * 13.5))
        self._above = 0.5 + 0.21 * len(self._title)
        self._panels = self.rows * (self._head + self.panel_height + self._foot)
        self._height = self._above + self._panels + 0.19 * len(self._lines) + 0.2

    def figure(self) -> Figure:
        figure = Figure(figsize=(self._width, self._height), dpi=110, facecolor="white")
        FigureCanvasAgg(figure)
        left, height = self._left / self._width, self._height
        figure.text(left, 1 - 0.18 / height, "\n".join(self._title), fontsize=12, fontweight="bold", va="top")
        under = 1 - (self._above - 0.06) / height
        figure.text(left, under, self.place, fontsize=9.5, color=_GREY, va="bottom")
        text = "\n".join(self._lines)
        figure.text(left, 0.12 / height, text, fontsize=8.5, color=_GREY, va="bottom", linespacing=1.35)
        return figure

    def axes(self, figure: Figure, row: int, column: int) -> Axes:
        top = self._above + row * (self._head + self.panel_height + self._foot) + self._head
        left = self._left + column * (self.panel_width + self._gap)
        return self._add(figure, left, top, self.panel_width, self.panel_height)

    def bar(self, figure: Figure, colours: ScalarMappable, label: str) -> None:
        left = self._left + self.columns * self.panel_width + (self.columns - 1) * self._gap + 0.25
        height = min(self._panels - self._head - self._foot, 3.2)
        bar = self._add(figure, left, self._above + self._head, 0.16, height)
        figure.colorbar(colours, cax=bar, label=label)
        bar.tick_params(labelsize=8.5)
        bar.spines[:].set_visible(False)

    def _add(self, figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
        bottom = 1 - (top + height) / self._height
        return figure.add_axes((left / self._width, bottom, width / self._width, height / self._height))


def _colours(panels: list[Float64]) -> ScalarMappable:
    """Colours that all panels share: from 0 or below it; where all is above a half, from near the least."""
    known = np.concatenate([cells[np.isfinite(cells)] for cells in panels])
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    low = math.floor(20 * low) / 20 if low > 0.5 else min(low, 0.0)
    norm = Normalize(low, high if high > low else low + 1.0)
    return ScalarMappable(norm, colormaps[_SEQUENTIAL].with_extremes(bad=NOTHING))


def _caption(dataset: xarray.Dataset, complement: bool) -> str:
    baseline = baseline_text(dataset, complement)
    parts = [f"{counts_text(dataset)}.", f"{baseline}." if baseline else "No baselines."]
    if not np.isfinite(dataset[measure_of(dataset)].values).all():
        parts.append("Grey, or no point: one side does not vary there.")
    return " ".join(parts)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
