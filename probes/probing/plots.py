"""Figures of probes: maps by step and layer, curves beside baselines, and matrices of transfer."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from probes.figures.cell_maps import MOST_NUMBERS, NOTHING, draw_cells, mark_cells
from probes.figures.plots import OKABE_ITO
from probes.kinds.probe import ALPHA, best_cell, how, metric_name, what_was_coded

if TYPE_CHECKING:
    import xarray

STEP_LABEL = "denoising step (0 = noisiest)"
_CELL, _SMALL_CELL, _SMALL_MAP = 0.42, 0.16, 4.2
_LEFT, _RIGHT, _ABOVE = 0.85, 1.15, 0.5
_GREY = "#555555"
_STYLES = ("--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
_LABELS = {"step": STEP_LABEL, "layer": "layer"}


def score_map(dataset: xarray.Dataset) -> Figure:
    """The main score of each (step, layer); a cross where it is not decodable."""
    name, chance = metric_name(dataset), float(dataset.attrs["chance"])
    marked = dataset["p"].values >= ALPHA
    caption = _caption(dataset)
    if marked.any():
        test = f"max-statistic of {dataset.attrs['permutations']} permutations by sample"
        caption = f"A cross: not decodable (family-wise p ≥ {ALPHA}, {test}). {caption}"
    title = f"{_target(dataset)}: {name}"
    return _map(dataset, "score", title, caption, _colours(chance, 1.0), marked)


def selectivity_map(dataset: xarray.Dataset) -> Figure:
    """Score less that of the control task; a cross where the interval holds 0."""
    marked = dataset["selectivity_low"].values <= 0
    caption = "Selectivity: the score less that of a probe on random labels by type. "
    caption += "A cross: its interval holds 0. " if marked.any() else ""
    top = max(float(np.nanmax(dataset["selectivity"].values)), 0.05)
    title = f"{_target(dataset)}: selectivity"
    return _map(dataset, "selectivity", title, f"{caption}{how(dataset)}.", _colours(0.0, top), marked)


def compression_map(dataset: xarray.Dataset) -> Figure:
    """How many times shorter the labels are by the online code than by that of someone without features."""
    caption = (
        "Online code: code length without features, from how labels are distributed, over code length with "
        f"them; 1 where they tell nothing. {what_was_coded(dataset)}."
    )
    name = "compression_over_prior"
    top = max(float(np.nanmax(dataset[name].values)), 1.1)
    title = f"{_target(dataset)}: compression of the labels by the features"
    nothing = np.zeros(dataset["score"].shape, dtype=bool)
    return _map(dataset, name, title, caption, _colours(1.0, top), nothing)


def curves(dataset: xarray.Dataset, along: str) -> Figure:
    """The score along steps or layers, through the best cell, beside control task and baselines.

    Args:
        dataset: of a probe.
        along: "step" or "layer".
    """
    across = "layer" if along == "step" else "step"
    fixed = best_cell(dataset)[along == "step"]
    here = dataset.sel({across: fixed})
    figure, axes = _curve_figure(_caption(dataset) + f" Through the best cell, at {across} {fixed}.")
    at = here[along].values
    _curve(axes, at, here, ("score", "low", "high"), "probe", OKABE_ITO[0], "-", marker="o")
    if np.isfinite(here["control"].values).any():
        names = ("control", "control_low", "control_high")
        _curve(axes, at, here, names, "control task", OKABE_ITO[1], "-", marker="s")
    names = ("baseline_score", "baseline_score_low", "baseline_score_high")
    for number, baseline in enumerate(here["baseline"].values.tolist() if "baseline" in here.coords else ()):
        one = here.sel(baseline=baseline)
        colour = OKABE_ITO[2 + number % (len(OKABE_ITO) - 2)]
        _curve(axes, at, one, names, f"baseline: {baseline}", colour, _STYLES[number % len(_STYLES)])
    axes.axhline(float(dataset.attrs["chance"]), color="#999999", linewidth=1, zorder=0)
    axes.set_xlabel(_LABELS[along])
    axes.set_ylabel(metric_name(dataset))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=14))
    axes.set_title(f"{_target(dataset)}, by {along}", loc="left", fontsize=12, fontweight="bold")
    axes.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def transfer_matrix(dataset: xarray.Dataset, along: str, fixed: int) -> Figure:
    """Where a probe was fitted, downwards, by where it was tested, along steps at a layer or the other way.

    Args:
        dataset: of a transfer.
        along: "step" or "layer".
        fixed: the layer, or the step, of both.
    """
    across = "layer" if along == "step" else "step"
    here = dataset.sel({f"train_{across}": fixed, f"test_{across}": fixed})
    values = here["score"].transpose(f"train_{along}", f"test_{along}").values
    rows, columns = here[f"train_{along}"].values.tolist(), here[f"test_{along}"].values.tolist()
    title = f"{_target(dataset)}: {metric_name(dataset)} of probes carried along {along}s at {across} {fixed}"
    caption = f"Held-out samples of the fold that the probe was fitted without. {_caption(dataset)}"
    colours = _colours(float(dataset.attrs["chance"]), 1.0)
    figure, axes = _map_figure(len(rows), len(columns), title, _where(dataset), caption, colours)
    draw_cells(axes, values, rows, columns, colours, max(values.shape) <= MOST_NUMBERS)
    axes.set_ylabel(f"fitted at {along}")
    axes.set_xlabel(f"tested at {along}")
    return figure


def _map(
    dataset: xarray.Dataset,
    name: str,
    title: str,
    caption: str,
    colours: ScalarMappable,
    marked: NDArray[np.bool_],
) -> Figure:
    values = dataset[name].transpose("step", "layer").values
    steps, layers = dataset["step"].values.tolist(), dataset["layer"].values.tolist()
    figure, axes = _map_figure(len(steps), len(layers), title, _where(dataset), caption, colours)
    has_numbers = max(values.shape) <= MOST_NUMBERS
    draw_cells(axes, values, steps, layers, colours, has_numbers)
    mark_cells(axes, marked & np.isfinite(values), values, colours, has_numbers, marker="x")
    axes.set_xlabel("layer")
    axes.set_ylabel(STEP_LABEL)
    return figure


def _map_figure(
    rows: int, columns: int, title: str, under: str, caption: str, colours: ScalarMappable
) -> tuple[Figure, Axes]:
    """A figure with one map, in inches: a head above it, a caption below, a bar beside."""
    has_numbers = max(rows, columns) <= MOST_NUMBERS
    cell = _CELL if has_numbers else max(_SMALL_CELL, _SMALL_MAP / max(rows, columns))
    wide, high = max(3.6, columns * cell), max(1.4, rows * cell)
    width = _LEFT + wide + _RIGHT
    heads = textwrap.wrap(title, int((width - _LEFT) * 9.5))
    unders = textwrap.wrap(under, int((width - _LEFT) * 12))
    lines = textwrap.wrap(caption, int((width - _LEFT) * 13.5))
    above = 0.3 + 0.21 * len(heads) + 0.17 * len(unders)
    height = above + high + _ABOVE + 0.19 * len(lines) + 0.15
    figure = Figure(figsize=(width, height), dpi=130, facecolor="white")
    FigureCanvasAgg(figure)
    left = _LEFT / width
    figure.text(left, 1 - 0.15 / height, "\n".join(heads), fontsize=12, fontweight="bold", va="top")
    below = 1 - (above - 0.08) / height
    figure.text(left, below, "\n".join(unders), fontsize=9.5, color=_GREY, va="bottom")
    figure.text(
        *(left, 0.12 / height, "\n".join(lines)), fontsize=8.5, color=_GREY, va="bottom", linespacing=1.35
    )
    bottom = 1 - (above + high) / height
    axes = figure.add_axes((left, bottom, wide / width, high / height))
    tall = min(high, 3.2)
    bar = figure.add_axes(
        ((width - _RIGHT + 0.3) / width, 1 - (above + tall) / height, 0.16 / width, tall / height)
    )
    figure.colorbar(colours, cax=bar)
    bar.tick_params(labelsize=8.5)
    bar.spines[:].set_visible(False)
    return figure, axes


def _curve_figure(caption: str) -> tuple[Figure, Axes]:
    lines = textwrap.wrap(caption, 105)
    foot = 0.2 * len(lines) + 0.15
    height = 4.1 + foot
    figure = Figure(figsize=(8.6, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.09, (foot + 0.62) / height, 0.66, (4.1 - 1.12) / height))
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0.02)
    axes.spines[["top", "right"]].set_visible(False)
    figure.text(
        0.09, 0.12 / height, "\n".join(lines), fontsize=8.5, color=_GREY, va="bottom", linespacing=1.35
    )
    return figure, axes


def _curve(
    axes: Axes,
    at: NDArray[np.int64],
    here: xarray.Dataset,
    names: Sequence[str],
    label: str,
    colour: str,
    style: str | tuple[int, tuple[int, ...]],
    marker: str | None = None,
) -> None:
    value, low, high = (here[name].values for name in names)
    # Bands of baselines lie behind, without an edge.
    strength, edge = (0.15, 0.6) if marker else (0.08, 0.0)
    axes.fill_between(at, low, high, facecolor=(colour, strength), edgecolor=(colour, edge), linewidth=0.8)
    axes.plot(
        at, value, color=colour, linestyle=style, marker=marker, markersize=4.5, linewidth=1.7, label=label
    )


def _colours(low: float, high: float) -> ScalarMappable:
    return ScalarMappable(Normalize(low, high), colormaps["cividis"].with_extremes(bad=NOTHING))


def _target(dataset: xarray.Dataset) -> str:
    among = dataset.attrs["among"]
    return str(dataset.attrs["target"]) + (f" among {among}" if among else "")


def _where(dataset: xarray.Dataset) -> str:
    return f"{dataset.attrs['site']}, branch {dataset.attrs['branch']}, {dataset.attrs['model']} probe"


def _caption(dataset: xarray.Dataset) -> str:
    return f"Chance {float(dataset.attrs['chance']):.2f}. {how(dataset)}."
