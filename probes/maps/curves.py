"""Energy by frame and by layer, and the largest channels, over runs with their intervals."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from probes.figures.cell_maps import MOST_NUMBERS, NOTHING, draw_cells
from probes.figures.plots import OKABE_ITO, ORDERED_MARKERS, in_order, spread
from probes.maps.mosaic import SEQUENTIAL
from probes.maps.pictures import left_out, rule_words, where
from stores.errors import SelectionError

if TYPE_CHECKING:
    import xarray

_LINES = ("-", "--")
_RANKS = (1, 2, 3, 10)
_LEFT, _PANEL, _BETWEEN, _RIGHT = 0.75, 4.0, 0.85, 0.95
_ABOVE, _HEIGHT, _BELOW = 0.88, 2.9, 0.6


def energy_by_frame(dataset: xarray.Dataset) -> Figure:
    """The mean energy of each frame, and how far tokens move from the frame before, by layer.

    Raises:
        SelectionError: the reduction keeps no frames.
    """
    if dataset.sizes["frame"] < 2:
        raise SelectionError("energies by frame need more than one frame; the reduction keeps one")
    names = ["frame_energy"] + (["frame_change"] if "frame_change" in dataset else [])
    layers = spread(dataset["layer"].values.tolist(), len(ORDERED_MARKERS))
    step = int(dataset.attrs["shown_step"])
    page = _Page(
        "Energy by latent frame",
        f"{where(dataset)}; step {step}",
        len(names),
        f"{_of_what(dataset)} Change: the L2 distance of a token from that of the frame before, "
        f"mean over tokens. {_runs_words(dataset, 'frame_energy')} {left_out(dataset, {'layer': layers})}",
    )
    for place, (name, label) in enumerate(
        zip(names, ("mean energy of a frame", "change from the frame before"), strict=False)
    ):
        axes = page.panel(place)
        for layer, colour, marker in zip(layers, in_order(len(layers)), ORDERED_MARKERS, strict=False):
            for curve in _curves(dataset, name, step=step, layer=layer):
                _draw(axes, dataset["frame"].values, *curve, colour, marker, f"{layer}")
        axes.set_xlabel("latent frame")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    page.legend("layer")
    return page.figure


def energy_by_layer(dataset: xarray.Dataset) -> Figure:
    """The mean energy of all tokens at each step and layer, with and without massive channels."""
    names = [name for name in ("layer_energy", "layer_energy_without_massive") if name in dataset]
    titles = ("all channels", "without massive channels")
    page = _Page(
        "Energy by step and layer",
        f"{where(dataset)}; mean over tokens",
        len(names),
        f"{_of_what(dataset)} {_runs_words(dataset, 'layer_energy')}",
    )
    values = [_mean(dataset, name) for name in names]
    norm = Normalize(0.0, max(float(np.nanmax(one)) for one in values))
    for place, (one, title) in enumerate(zip(values, titles, strict=False)):
        axes = page.panel(place)
        colours = _draw_map(axes, dataset, one, norm)
        if len(names) > 1:
            axes.set_title(title, fontsize=9.5)
        if place == len(names) - 1:
            page.bar(colours, place, "mean energy")
    return page.figure


def largest_channels(dataset: xarray.Dataset) -> Figure:
    """How far the largest channels stand out: by layer at the step that is shown, and by step and layer.

    As figures 1 to 3 of Sun et al. (2024) show the largest magnitudes beside the median, in one number.

    Raises:
        SelectionError: the result has no channels.
    """
    if "top_ratio" not in dataset:
        raise SelectionError("this result has no channels: its reduction keeps none")
    step, bound = int(dataset.attrs["shown_step"]), float(dataset.attrs["massive_ratio"])
    count = int((dataset["massive_channels"].values > 0).sum())
    total = dataset["massive_channels"].size
    page = _Page(
        "The largest channels",
        f"{where(dataset)}; magnitude over the median magnitude of all tokens and channels",
        2,
        f"Left: step {step}, channels by rank. Right: the largest channel. Massive: {rule_words(dataset)}; "
        f"so are some in {count} of {total} (run, step, layer). {_runs_words(dataset, 'top_ratio')}",
    )
    axes = page.panel(0)
    ranks = [rank for rank in _RANKS if rank <= dataset.sizes["rank"]]
    for rank, colour, marker in zip(ranks, OKABE_ITO, ORDERED_MARKERS, strict=False):
        for curve in _curves(dataset, "top_ratio", step=step, rank=rank):
            _draw(axes, dataset["layer"].values, *curve, colour, marker, f"rank {rank}")
    axes.set_yscale("log")
    _tick_plainly(axes.yaxis)
    axes.axhline(bound, color="#888888", linestyle=":", linewidth=1.2)
    axes.annotate(
        f"{bound:g} times, the ratio of the rule",
        (0.99, bound),
        xycoords=("axes fraction", "data"),
        fontsize=7.5,
        color="#666666",
        va="bottom",
        ha="right",
    )
    axes.set_xlabel("layer")
    axes.set_ylabel("magnitude / median")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    page.legend("", above=True)
    values = _mean(dataset, "top_ratio", rank=1)
    known = values[np.isfinite(values) & (values > 0)]
    low, high = (float(known.min()), float(known.max())) if known.size else (1.0, 10.0)
    colours = _draw_map(page.panel(1), dataset, values, LogNorm(low, max(high, low * 1.01)))
    _tick_plainly(page.bar(colours, 1, "largest / median").yaxis)
    return page.figure


class _Page:
    """Panels of one size beside one another, a head above and a caption below; in inches."""

    def __init__(self, title: str, subtitle: str, panels: int, caption: str) -> None:
        self._width = _LEFT + panels * _PANEL + (panels - 1) * _BETWEEN + _RIGHT
        lines = textwrap.wrap(caption, int(self._width * 16.5))
        self._foot = 0.17 * len(lines) + 0.15
        self._height = _ABOVE + _HEIGHT + _BELOW + self._foot
        self.figure = Figure(figsize=(self._width, self._height), dpi=110, facecolor="white")
        FigureCanvasAgg(self.figure)
        self._panels: list[Axes] = []
        left = 0.15 / self._width
        self.figure.text(left, 1 - 0.15 / self._height, title, fontsize=12, fontweight="bold", va="top")
        self.figure.text(left, 1 - 0.42 / self._height, subtitle, fontsize=9, color="#555555", va="top")
        self.figure.text(
            left,
            0.1 / self._height,
            "\n".join(lines),
            fontsize=8,
            color="#555555",
            va="bottom",
            linespacing=1.35,
        )

    def panel(self, place: int) -> Axes:
        axes = self._axes(_LEFT + place * (_PANEL + _BETWEEN), _PANEL)
        axes.spines[["top", "right"]].set_visible(False)
        self._panels.append(axes)
        return axes

    def bar(self, colours: ScalarMappable, place: int, label: str) -> Axes:
        axes = self._axes(_LEFT + place * (_PANEL + _BETWEEN) + _PANEL + 0.15, 0.13)
        self.figure.colorbar(colours, cax=axes, label=label)
        axes.tick_params(labelsize=8)
        axes.spines[:].set_visible(False)
        return axes

    def legend(self, title: str, above: bool = False) -> None:
        """A legend of the last panel: beside it, or within it."""
        handles, names = self._panels[-1].get_legend_handles_labels()
        # Two runs bring every curve twice.
        once = dict(zip(names, handles, strict=True))
        place: dict[str, Any] = (
            {"loc": "lower left", "bbox_to_anchor": (-0.02, 1.0), "ncols": len(once), "columnspacing": 1.0}
            if above
            else {"loc": "center left", "bbox_to_anchor": (1.02, 0.5)}
        )
        self._panels[-1].legend(
            list(once.values()), list(once), title=title, fontsize=8, title_fontsize=8, frameon=False, **place
        )

    def _axes(self, left: float, width: float) -> Axes:
        bottom = (self._foot + _BELOW) / self._height
        return self.figure.add_axes((left / self._width, bottom, width / self._width, _HEIGHT / self._height))


def _curves(dataset: xarray.Dataset, name: str, **at: int) -> list[tuple[Any, Any, Any, str]]:
    """(value, low, high, line): the mean over runs, or each of the first two where none was taken."""
    if f"{name}_mean" in dataset:
        ends = (dataset[f"{name}_{end}"].sel(at).values for end in ("mean", "low", "high"))
        return [(*ends, _LINES[0])]  # type: ignore[list-item]
    values = dataset[name].sel(at).values
    none = np.full(values.shape[1:], np.nan)
    return [(value, none, none, line) for value, line in zip(values, _LINES, strict=False)]


def _mean(dataset: xarray.Dataset, name: str, **at: int) -> Any:
    """(step, layer): the mean over runs, or the first of them where none was taken."""
    if f"{name}_mean" in dataset:
        return dataset[f"{name}_mean"].sel(at).transpose("step", "layer").values
    return dataset[name].isel(run=0).sel(at).transpose("step", "layer").values


def _draw(
    axes: Axes, at: Any, value: Any, low: Any, high: Any, line: str, colour: Any, marker: str, name: str
) -> None:
    axes.fill_between(at, low, high, facecolor=(colour, 0.15), edgecolor=(colour, 0.5), linewidth=0.6)
    axes.plot(at, value, color=colour, marker=marker, markersize=4, linewidth=1.5, linestyle=line, label=name)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_map(axes: Axes, dataset: xarray.Dataset, values: Any, norm: Normalize) -> ScalarMappable:
    colours = ScalarMappable(norm, colormaps[SEQUENTIAL].with_extremes(bad=NOTHING))
    steps, layers = dataset["step"].values.tolist(), dataset["layer"].values.tolist()
    draw_cells(axes, values, steps, layers, colours, max(len(steps), len(layers)) <= MOST_NUMBERS)
    axes.set_xlabel("layer")
    axes.set_ylabel("denoising step (0 = noisiest)")
    return colours


def _tick_plainly(axis: Axis) -> None:
    """Ticks of a logarithmic axis as plain numbers, also where it spans less than a power of ten."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _of_what(dataset: xarray.Dataset) -> str:
    return f"Energy: {dataset.attrs['energy_is']}."


def _runs_words(dataset: xarray.Dataset, name: str) -> str:
    """n, interval and seed; or which runs are drawn where no mean was taken."""
    if f"{name}_mean" in dataset:
        return f"Mean over runs: {dataset[f'{name}_mean'].attrs['estimate']}."
    runs: Sequence[str] = dataset["run"].values.tolist()
    return (
        f"Runs of several stores or variants, so no mean is taken: {runs[0]} (lines and maps), {runs[1]} "
        "(broken lines); n = 1 run each."
    )
