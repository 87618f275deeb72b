"""Effects of patches as maps of steps and layers, with their controls below.

An effect that can be negative is shown on a scale that is white at zero and as long to either side; one that
cannot, from zero on. A small ring marks a cell whose interval holds the value of its control: there the patch
is not told apart from it.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from probes.effects import DEFAULT, PLAIN, Bootstrap, grid
from probes.figures.cell_maps import MOST_NUMBERS, NOTHING, draw_cells, mark_cells
from probes.patches import ENDS
from probes.sweep_curves import DIRECTIONS
from stores.errors import SelectionError

if TYPE_CHECKING:
    import xarray

_Panels: TypeAlias = "Mapping[tuple[str, str], xarray.Dataset]"
"""Cells by direction and control."""
_SEQUENTIAL, _DIVERGING = "cividis", "PuOr_r"
_CELL, _SMALL_CELL, _SMALL_MAP = 0.42, 0.16, 4.2
_LEFT, _RIGHT, _GAP, _HEAD, _FOOT = 0.85, 1.15, 0.75, 0.3, 0.55


def step_layer_maps(
    dataset: xarray.Dataset,
    effect: str,
    *,
    controls: Sequence[str] | None = None,
    site: str | None = None,
    tokens: str | None = None,
    branch: str | None = None,
    title: str | None = None,
    bootstrap: Bootstrap = DEFAULT,
) -> Figure:
    """Maps of an effect by step and layer: a column for each direction, a row for the patch and each control.

    Args:
        dataset, effect, site, tokens, branch, bootstrap: as in `effects.grid`.
        controls: which, in order; None is "random", or if that was not run the first other one. Cells are
            compared with the first.
        title: default: the effect in words; what was patched stands below it.

    Raises:
        SelectionError: as `effects.grid`, or the result has none of the two directions.
    """
    labels = (dataset[name].values.tolist() for name in ("direction", "control"))
    there = dict.fromkeys(zip(*labels, strict=True))
    directions = [name for name in DIRECTIONS if (name, PLAIN) in there]
    if not directions:
        raise SelectionError(f"this result has no patches of the directions {' or '.join(DIRECTIONS)}")
    shown = [PLAIN, *(_default_control(control for _, control in there) if controls is None else controls)]
    place = {"site": site, "tokens": tokens, "branch": branch}
    panels = {
        (direction, control): grid(dataset, effect, direction, control, **place, bootstrap=bootstrap)
        for control in shown
        for direction in directions
        if (direction, control) in there or controls is not None
    }
    first = panels[directions[0], PLAIN]
    layout = _Layout(
        (len(shown), len(directions)),
        max(cells.sizes["steps"] for cells in panels.values()),
        max(cells.sizes["layer"] for cells in panels.values()),
        title or _sentence(first.attrs["long_name"]),
        _caption(panels, directions, shown),
    )
    figure = layout.figure(_patched(first))
    colours = _colours(list(panels.values()))
    for (direction, control), cells in panels.items():
        at = shown.index(control), directions.index(direction)
        axes = layout.map_axes(figure, *at)
        _draw_map(axes, cells, colours, layout.has_numbers)
        axes.set_title(direction if control == PLAIN else f"{direction}, control: {control}", fontsize=10)
        axes.set_xlabel("layer")
        if at[1] == 0:
            axes.set_ylabel("denoising step (0 = noisiest)")
        if control == PLAIN and len(shown) > 1 and (direction, shown[1]) in panels:
            _mark_alike(axes, cells, panels[direction, shown[1]], colours, layout.has_numbers)
    bar = layout.bar_axes(figure)
    figure.colorbar(colours, cax=bar)
    bar.tick_params(labelsize=8.5)
    bar.spines[:].set_visible(False)
    return figure


class _Layout:
    """Where things stand, in inches: maps of one size, a head above them, a caption below, a bar beside."""

    def __init__(self, panels: tuple[int, int], steps: int, layers: int, title: str, caption: str) -> None:
        self.has_numbers = max(steps, layers) <= MOST_NUMBERS
        cell = _CELL if self.has_numbers else max(_SMALL_CELL, _SMALL_MAP / max(steps, layers))
        self._map = max(2.6, layers * cell), max(1.4, steps * cell)
        self._row = _HEAD + self._map[1] + _FOOT
        self._width = _LEFT + panels[1] * self._map[0] + (panels[1] - 1) * _GAP + _RIGHT
        self._title = textwrap.wrap(title, int((self._width - _LEFT) * 9.5))
        self._caption = textwrap.wrap(caption, int((self._width - _LEFT) * 13.5))
        self._above = 0.52 + 0.21 * len(self._title)
        self._maps = panels[0] * self._row
        self._height = self._above + self._maps + 0.19 * len(self._caption) + 0.15

    def figure(self, patched: str) -> Figure:
        figure = Figure(figsize=(self._width, self._height), dpi=130, facecolor="white")
        FigureCanvasAgg(figure)
        left, grey = _LEFT / self._width, "#555555"
        title, caption = "\n".join(self._title), "\n".join(self._caption)
        top, under = 1 - 0.2 / self._height, 1 - (self._above - 0.06) / self._height
        figure.text(left, top, title, fontsize=12, fontweight="bold", va="top")
        figure.text(left, under, patched, fontsize=9.5, color=grey, va="bottom")
        figure.text(
            *(left, 0.12 / self._height, caption), fontsize=8.5, color=grey, va="bottom", linespacing=1.35
        )
        return figure

    def map_axes(self, figure: Figure, row: int, column: int) -> Axes:
        width, height = self._map
        top = self._above + row * self._row + _HEAD
        return self._axes(figure, _LEFT + column * (width + _GAP), top, width, height)

    def bar_axes(self, figure: Figure) -> Axes:
        height = min(self._maps - _HEAD - _FOOT, 3.2)
        return self._axes(figure, self._width - _RIGHT + 0.3, self._above + _HEAD, 0.16, height)

    def _axes(self, figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
        bottom = 1 - (top + height) / self._height
        return figure.add_axes((left / self._width, bottom, width / self._width, height / self._height))


def _draw_map(axes: Axes, cells: xarray.Dataset, colours: ScalarMappable, has_numbers: bool) -> None:
    values = cells["value"].values
    steps, layers = cells["steps"].values.tolist(), cells["layer"].values.tolist()
    draw_cells(axes, values, steps, layers, colours, has_numbers)


def _mark_alike(
    axes: Axes, cells: xarray.Dataset, control: xarray.Dataset, colours: ScalarMappable, has_numbers: bool
) -> None:
    """A ring on each cell whose interval holds the control's value: in its corner beside a number."""
    value = control["value"].reindex(steps=cells["steps"], layer=cells["layer"]).values
    alike = (cells["low"].values <= value) & (value <= cells["high"].values)
    mark_cells(axes, alike, cells["value"].values, colours, has_numbers)


def _colours(panels: Sequence[xarray.Dataset]) -> ScalarMappable:
    """Colours that all panels share, so that they can be compared."""
    largest = max(float(np.nanmax(np.abs(cells["value"].values))) for cells in panels) or 1.0
    low, high = (
        panels[0].attrs.get(name, end) for name, end in zip(ENDS, (-math.inf, math.inf), strict=True)
    )
    if low < 0:
        name, norm = _DIVERGING, Normalize(-largest, largest)
    else:
        name, norm = _SEQUENTIAL, Normalize(0.0, high if math.isfinite(high) else largest)
    return ScalarMappable(norm, colormaps[name].with_extremes(bad=NOTHING))


def _default_control(controls: Iterable[str]) -> list[str]:
    there = dict.fromkeys(control for control in controls if control not in (PLAIN, "identity"))
    return ["random"] if "random" in there else list(there)[:1]


def _caption(panels: _Panels, directions: Sequence[str], controls: Sequence[str]) -> str:
    cells = list(panels.values())
    attrs = cells[0].attrs
    methods = dict.fromkeys(
        method for one in cells for method in one["method"].values[one["n"].values > 0].tolist()
    )
    parts = ["; ".join(f"{name}: {what}" for name, what in DIRECTIONS.items() if name in directions) + "."]
    if "necessity" in directions:
        parts.append(
            "In effects, the donor is the run that activations come from, whichever of the pair it is."
        )
    if len(controls) > 1:
        parts.append(f"A ring: the interval holds the value of the control {controls[1]}.")
    if any((one["n"].values == 0).any() for one in cells):
        parts.append("Grey: not patched, or not known.")
    parts.append(
        f"n = {_span([one['n'].values for one in cells], 'patch', 'patches')} of "
        f"{_span([one['samples'].values for one in cells], 'sample', 'samples')} a cell"
        f"{_failed(cells)}; {attrs['level']:.0%} interval: {', or '.join(methods)}; "
        f"bootstrap seed {attrs['seed']}, {attrs['draws']} draws."
    )
    return _sentence(" ".join(parts))


def _span(counts: Sequence[NDArray[np.int64]], one: str, many: str) -> str:
    there = np.concatenate([count.reshape(-1) for count in counts])
    there = there[there > 0]
    low, high = int(there.min()), int(there.max())
    return f"{low} {one if low == 1 else many}" if low == high else f"{low} to {high} {many}"


def _failed(cells: Sequence[xarray.Dataset]) -> str:
    failed = sum(int(one["failed"].sum()) for one in cells)
    return f" ({failed} left out: failed or not known)" if failed else ""


def _patched(cells: xarray.Dataset) -> str:
    tokens = str(cells["tokens"].item())
    where = "all tokens" if tokens == "all" else f"tokens {tokens}"
    return f"{cells['site'].item()}, {where}, branch {cells['branch'].item()}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
