"""Similarity as pictures: maps of places with one another, and curves of dissimilarity over steps.

Figures are made without pyplot, in colours that stay apart under colour blindness; each panel of a figure has
the same colours, so panels can be compared. n, interval, baselines and seed stand below.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from probes.similarity.moments import Float64
from probes.similarity.words import (
    baseline_text,
    compared_text,
    counts_text,
    measure_of,
    measure_text,
    place_text,
)

if TYPE_CHECKING:
    import xarray

MOST_PANELS = 12
MOST_CURVES = 9
MOST_NUMBERS = 15
"""Maps with more rows or columns have no numbers in their cells."""
STEP = "denoising step (0 = noisiest)"

_SEQUENTIAL = "cividis"
_UNKNOWN = "#e4e4e4"
_GREY = "#555555"
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_MOST_TICKS = 15


def square_maps(dataset: xarray.Dataset, name: str) -> Figure:
    """Maps of layers by layers at each step, of steps by steps at each layer, or of all by all.

    Of more than `MOST_PANELS` panels so many are shown, spread evenly.
    """
    values = dataset[name]
    across = str(dataset.attrs["across"])
    if across == "grid":
        steps, layers = dataset["step"].values.tolist(), dataset["layer"].values.tolist()
        side = len(steps) * len(layers)
        panels = {"": values.values.reshape(side, side)}
        labels, axis_name = [f"{s}/{layer}" for s in steps for layer in layers], "step/layer"
        left_out = 0
    else:
        panel_dim, axis_name = ("step", "layer") if across == "layers" else ("layer", "step")
        every = dataset[panel_dim].values.tolist()
        shown = _spread(every, MOST_PANELS)
        panels = {f"{panel_dim} {at}": values.sel({panel_dim: at}).values for at in shown}
        labels, left_out = (
            [str(label) for label in dataset[axis_name].values.tolist()],
            len(every) - len(shown),
        )
    title = f"{_sentence(measure_text(dataset))} {compared_text(dataset)}"
    caption = _caption(dataset, False)
    if left_out:
        caption += f" {len(panels)} of {len(panels) + left_out} {panel_dim}s are shown."
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    size = 5.2 if len(panels) == 1 else 2.5 if columns > 2 else 3.4
    layout = _Layout(rows, columns, size, size, title, place_text(dataset), caption)
    figure = layout.figure()
    colours = _colours(list(panels.values()))
    for index, (panel, cells) in enumerate(panels.items()):
        row, column = divmod(index, columns)
        axes = layout.axes(figure, row, column)
        _draw_cells(axes, cells, colours, labels, labels, has_numbers=len(labels) <= 9 and size > 3)
        axes.set_title(panel, fontsize=10)
        if row == rows - 1 or index + columns >= len(panels):
            axes.set_xlabel(axis_name)
        if column == 0:
            axes.set_ylabel(axis_name)
    layout.bar(figure, colours)
    return figure


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
    numbers = max(len(steps), len(layers)) <= MOST_NUMBERS
    _draw_cells(axes, cells, colours, [str(n) for n in steps], [str(n) for n in layers], numbers)
    axes.set_xlabel("layer")
    axes.set_ylabel(STEP)
    layout.bar(figure, colours)
    return figure


def dissimilarity_curves(dataset: xarray.Dataset) -> Figure:
    """One minus the similarity of two sides over steps, a curve with its band for each layer.

    Of more than `MOST_CURVES` layers so many are shown, spread evenly.
    """
    name = measure_of(dataset)
    steps, layers = (dataset[dim].values.tolist() for dim in ("step", "layer"))
    shown = _spread(layers, MOST_CURVES)
    caption = _caption(dataset, True)
    if np.isfinite(dataset["low"].values).any():
        caption += " Bands: intervals."
    if len(shown) < len(layers):
        caption += f" {len(shown)} of {len(layers)} layers are shown."
    title = f"1 - {measure_text(dataset)} {compared_text(dataset)}"
    layout = _Layout(1, 1, 6.4, 3.4, title, place_text(dataset), caption)
    figure = layout.figure()
    axes = layout.axes(figure, 0, 0)
    colours = colormaps[_SEQUENTIAL](np.linspace(0, 0.92, len(shown)))
    for layer, colour, marker in zip(shown, colours, _MARKERS, strict=False):
        value, low, high = (
            1 - dataset[one].sel(layer=layer).transpose("step").values for one in (name, "high", "low")
        )
        axes.fill_between(steps, low, high, facecolor=(*colour[:3], 0.13), edgecolor="none")
        axes.plot(
            steps, value, color=colour, marker=marker, markersize=4.5, linewidth=1.6, label=f"layer {layer}"
        )
    axes.set_xlabel(STEP)
    axes.set_ylabel(f"1 - {name.upper()}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=14))
    axes.margins(x=0.02)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.02), fontsize=8.5)
    return figure


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

    def bar(self, figure: Figure, colours: ScalarMappable) -> None:
        left = self._left + self.columns * self.panel_width + (self.columns - 1) * self._gap + 0.25
        height = min(self._panels - self._head - self._foot, 3.2)
        bar = self._add(figure, left, self._above + self._head, 0.16, height)
        figure.colorbar(colours, cax=bar)
        bar.tick_params(labelsize=8.5)
        bar.spines[:].set_visible(False)

    def _add(self, figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
        bottom = 1 - (top + height) / self._height
        return figure.add_axes((left / self._width, bottom, width / self._width, height / self._height))


def _draw_cells(
    axes: Axes,
    cells: Float64,
    colours: ScalarMappable,
    row_labels: list[str],
    column_labels: list[str],
    has_numbers: bool,
) -> None:
    image = axes.imshow(np.ma.masked_invalid(cells), aspect="auto", interpolation="nearest")
    image.set(cmap=colours.cmap, norm=colours.norm)
    for axis, labels in ((axes.yaxis, row_labels), (axes.xaxis, column_labels)):
        shown = range(0, len(labels), -(-len(labels) // _MOST_TICKS))
        axis.set_ticks(list(shown), [labels[index] for index in shown], fontsize=8.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if has_numbers:
        for (row, column), value in np.ndenumerate(cells):
            if math.isfinite(value):
                ink = _ink(colours.to_rgba(np.array(value)))
                text = f"{value:.2f}".replace("-0.00", "0.00")
                axes.text(column, row, text, ha="center", va="center", fontsize=7, color=ink)


def _colours(panels: list[Float64]) -> ScalarMappable:
    """Colours that all panels share, from 0 or the lowest value on."""
    known = np.concatenate([cells[np.isfinite(cells)] for cells in panels])
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    low = min(low, 0.0)
    norm = Normalize(low, high if high > low else low + 1.0)
    return ScalarMappable(norm, colormaps[_SEQUENTIAL].with_extremes(bad=_UNKNOWN))


def _ink(colour: Any) -> str:
    """Black or white, whichever stands out more (relative luminance as in WCAG 2)."""
    rgb = np.array(colour[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "black" if float(linear @ np.array([0.2126, 0.7152, 0.0722])) > 0.18 else "white"


def _caption(dataset: xarray.Dataset, complement: bool) -> str:
    baseline = baseline_text(dataset, complement)
    parts = [f"{counts_text(dataset)}.", f"{baseline}." if baseline else "No baselines."]
    if not np.isfinite(dataset[measure_of(dataset)].values).all():
        parts.append("Grey, or no point: one side does not vary there.")
    return " ".join(parts)


def _spread(items: list[int], most: int) -> list[int]:
    if len(items) <= most:
        return items
    return [items[index] for index in np.linspace(0, len(items) - 1, most).round().astype(int)]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
