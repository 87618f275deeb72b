"""Effects of patches where a map of steps and layers does not do: curves, and cells beside their controls.

Curves are for sweeps along one thing: layers, steps, or the scale of what is added. Dots are for any sweep:
its strongest cells, each with its interval and with its controls, whatever they differ in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from probes import effects
from probes.effects import DEFAULT, PLAIN, Bootstrap
from probes.figures.panels import PanelPage
from probes.figures.plots import OKABE_ITO
from probes.patches import ENDS
from probes.sweep_curves import (
    ALONG,
    MOST_CELLS,
    MOST_CURVES,
    Points,
    SweepCurve,
    cell_text,
    curves_of,
    directions_of,
    farthest,
    how_known,
    identity_as_zero,
    in_common,
    points_of,
    shown_control,
    strongest,
    told_apart_by,
)
from probes.sweeps import SCALE, cell_labels, cells_with

if TYPE_CHECKING:
    import xarray

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_RULE = "#dddddd"
_FEW, _MOST_TICKS = 10, 15
_WIDTH, _WIDE, _HEIGHT, _CELL_HEIGHT = 3.6, 5.2, 2.7, 0.3


def curves(dataset: xarray.Dataset, effect: str, along: str, *, bootstrap: Bootstrap = DEFAULT) -> Figure:
    """An effect along layers, steps or scales: a panel for each direction, a curve for each other cell.

    Controls are dashed lines in the colour of their curve. Of many curves those are shown that go farthest
    from zero. Along scales, what the identity did stands at zero, where nothing is added.

    Args:
        dataset, effect, bootstrap: as in `effects.cells`.
        along: one of `ALONG`.

    Raises:
        SelectionError: as `effects.cells`.
    """
    found = effects.cells(dataset, effect, cell_labels(dataset), bootstrap)
    if along == SCALE:
        found = identity_as_zero(found)
    control = shown_control(found)
    panels, left_out = {}, 0
    for direction in directions_of(found):
        own = curves_of(cells_with(found, direction=direction, control=PLAIN), along)
        panels[direction] = farthest(own)
        left_out = max(left_out, len(own) - MOST_CURVES)
    legend = list(dict.fromkeys(curve.label for own in panels.values() for curve in own))
    parts = [f"Dashed: the control {control}." if control else "No controls were made."]
    if left_out > 0:
        parts.append(f"The {MOST_CURVES} curves that go farthest from zero, of {left_out + MOST_CURVES}.")
    parts.append(how_known(cells_with(found, control=PLAIN)))
    page = PanelPage(
        [(_WIDTH if len(panels) > 1 else _WIDE, _HEIGHT)] * len(panels),
        title=_sentence(found.attrs["long_name"]),
        under=in_common(dataset, along),
        caption=" ".join(parts),
        across=True,
        legend=len(legend) if len(legend) > 1 else 0,
    )
    colours = {label: index for index, label in enumerate(legend)}
    drawn: dict[str, Any] = {}
    shared: Axes | None = None
    for number, (direction, own) in enumerate(panels.items()):
        axes = page.axes(number, shared)
        shared = shared or axes
        for place, curve in enumerate(own):
            aside = _apart(own) * (place - (len(own) - 1) / 2)
            drawn[curve.label] = _draw(axes, curve, colours[curve.label], aside)
            if control:
                beside = cells_with(found, direction=direction, control=control, **curve.labels)
                _draw_control(axes, points_of(beside, along), colours[curve.label], aside)
        axes.axhline(0, color="black", linewidth=0.7, zorder=0.9)
        axes.set_title(direction, fontsize=10)
        axes.set_xlabel(ALONG[along])
        axes.margins(x=0.04)
        if number == 0:
            axes.set_ylabel(effect)
        _name_places(axes, own)
        if all(end in found.attrs for end in ENDS):
            _within(axes, found.attrs[ENDS[0]], found.attrs[ENDS[1]])
    page.legend(drawn)
    return page.figure


def strongest_dots(dataset: xarray.Dataset, effect: str, *, bootstrap: Bootstrap = DEFAULT) -> Figure:
    """The strongest cells of each direction with their intervals, each beside its controls.

    Args:
        dataset, effect, bootstrap: as in `effects.cells`.

    Raises:
        SelectionError: as `effects.cells`.
    """
    by = cell_labels(dataset)
    found = effects.cells(dataset, effect, by, bootstrap)
    panels = strongest(found)
    controls = [name for name in dict.fromkeys(found["control"].values.tolist()) if name != PLAIN]
    total = max(cells_with(found, direction=direction, control=PLAIN).sizes["cell"] for direction in panels)
    parts = []
    if total > MOST_CELLS:
        parts.append(
            f"The {MOST_CELLS} strongest of {total} cells: strong also by luck, so to be confirmed on other "
            "pairs."
        )
    parts.append(how_known(cells_with(found, control=PLAIN)))
    varying = told_apart_by(found, by)
    labels = {direction: [cell_text(one, varying) for one in cells] for direction, cells in panels.items()}
    widest = max(len(text) for own in labels.values() for text in own)
    page = PanelPage(
        [(5.2, _CELL_HEIGHT * (len(cells) + 0.6)) for cells in panels.values()],
        title=_sentence(found.attrs["long_name"]),
        under=f"{effect}, the strongest cells beside their controls",
        caption=" ".join(parts),
        across=False,
        left=0.35 + 0.075 * widest,
        legend=1 + len(controls),
    )
    drawn: dict[str, Any] = {}
    shared: Axes | None = None
    for number, (direction, cells) in enumerate(panels.items()):
        axes = page.axes(number, None)
        if shared is not None:
            axes.sharex(shared)
        shared = shared or axes
        for row, one in enumerate(cells):
            value, low, high = (float(one[name]) for name in ("value", "low", "high"))
            axes.plot([low, high], [row, row], color=OKABE_ITO[0], linewidth=2.2, solid_capstyle="butt")
            (drawn["patch, with its interval"],) = axes.plot(
                value, row, "o", color=OKABE_ITO[0], markersize=6, zorder=3
            )
            place = {name: one[name].item() for name in by if name != "control"}
            for index, control in enumerate(controls):
                beside = cells_with(found, **place, control=control)["value"].values
                (mark,) = axes.plot(
                    beside,
                    [row] * len(beside),
                    _MARKERS[1 + index % (len(_MARKERS) - 1)],
                    color=OKABE_ITO[1 + index % (len(OKABE_ITO) - 1)],
                    markerfacecolor="none",
                    markersize=6,
                )
                if len(beside):
                    drawn[f"control: {control}"] = mark
        axes.set_yticks(range(len(cells)), labels[direction], fontsize=8.5)
        axes.set_ylim(len(cells) - 0.4, -0.6)
        axes.axvline(0, color="black", linewidth=0.7, zorder=0.9)
        axes.set_title(direction, fontsize=10, loc="left")
        axes.grid(axis="x", color=_RULE, linewidth=0.8)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
    assert shared is not None
    page.last.set_xlabel(effect)
    page.legend(drawn)
    return page.figure


def _draw(axes: Axes, curve: SweepCurve, number: int, aside: float) -> Any:
    colour, marker = OKABE_ITO[number % len(OKABE_ITO)], _MARKERS[number % len(_MARKERS)]
    points = curve.points
    at = points.at + aside
    if aside or len(at) <= _FEW:
        axes.vlines(at, points.low, points.high, color=colour, linewidth=1.3, alpha=0.75)
    else:
        band = (colour, 0.15), (colour, 0.6)
        axes.fill_between(at, points.low, points.high, facecolor=band[0], edgecolor=band[1], linewidth=0.8)
    (line,) = axes.plot(at, points.value, color=colour, marker=marker, markersize=5, linewidth=1.8)
    axes.grid(axis="y", color=_RULE, linewidth=0.8)
    return line


def _draw_control(axes: Axes, points: Points, number: int, aside: float) -> None:
    axes.plot(
        points.at + aside,
        points.value,
        color=OKABE_ITO[number % len(OKABE_ITO)],
        marker=_MARKERS[number % len(_MARKERS)],
        markerfacecolor="white",
        markersize=4,
        linewidth=1.1,
        linestyle="--",
    )


def _apart(own: Sequence[SweepCurve]) -> float:
    """How far curves of few points are set apart, so that no interval hides another; 0 for many points."""
    places = np.unique(np.concatenate([curve.points.at for curve in own])).astype(np.float64)
    if len(places) > _FEW or len(places) < 2 or len(own) < 2:
        return 0.0
    return 0.4 * float(np.diff(places).min()) / len(own)


def _name_places(axes: Axes, own: Sequence[SweepCurve]) -> None:
    """The places of the points, as far as there is room; windows of several steps are named as such."""
    names = {
        float(at): name for curve in own for at, name in zip(curve.points.at, curve.points.names, strict=True)
    }
    at = sorted(names)
    shown = at[:: -(-len(at) // _MOST_TICKS)]
    axes.set_xticks(shown, [names[place] for place in shown])


def _within(axes: Axes, low: float, high: float) -> None:
    spare = 0.03 * (high - low)
    axes.set_ylim(low - spare, high + spare)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
