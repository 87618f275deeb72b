"""Claims and panels, drawn: intervals always, n and how they were made in the caption."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from probes.claims.claim import Measured
from probes.claims.findings import Findings
from probes.claims.panels import Panel
from probes.claims.rule import Verdict, judge
from probes.figures.plots import OKABE_ITO
from probes.statistics import Estimate

CLAIMS = "claims"
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_GREY = "#555555"
_COLOURS = {Verdict.REPRODUCED: OKABE_ITO[0], Verdict.NOT_REPRODUCED: OKABE_ITO[1]}
_WIDTH, _LABELS, _LINE = 7.2, 2.75, 0.165


def figures(findings: Findings) -> Mapping[str, Callable[[], Figure]]:
    """The figures of an experiment by name: its panels, then its claims beside their thresholds."""
    found: dict[str, Callable[[], Figure]] = {
        panel.name: partial(panel_figure, panel) for panel in findings.panels
    }
    if any(one.estimate is not None for one in findings.claims):
        found[CLAIMS] = partial(claims_figure, findings.claims)
    return found


def panel_figure(panel: Panel) -> Figure:
    """A panel with its caption."""
    return _lines(panel) if panel.form == "line" else _dots(panel)


def claims_figure(claims: Sequence[Measured]) -> Figure:
    """The quantity of each claim as a distance from its threshold, positive on the claimed side.

    Quantities have units of their own, so each has an axis of its own.
    """
    shown = [one for one in claims if one.estimate is not None]
    rows = [textwrap.wrap(f"{one.claim.quantity} ({one.claim.unit})", 40) for one in shown]
    heights = [max(0.62, _LINE * len(lines) + 0.2) for lines in rows]
    caption = (
        "Each row: a claim's quantity with its 95 % interval; the line is its threshold, the shaded side the "
        "claimed one. Blue discs: reproduced; orange squares: not reproduced; white: not testable here."
    )
    lines = textwrap.wrap(caption, 100)
    height = 0.5 + sum(heights) + 0.35 * len(shown) + _LINE * len(lines) + 0.2
    figure = _blank(height)
    top = height - 0.5
    for measured, words, tall in zip(shown, rows, heights, strict=True):
        axes = figure.add_axes(
            (
                _LABELS / _WIDTH,
                (top - tall) / height,
                (_WIDTH - _LABELS - 0.25) / _WIDTH,
                0.62 * tall / height,
            )
        )
        _draw_claim(axes, measured)
        middle = (top - tall + 0.31 * tall) / height
        figure.text(0.1 / _WIDTH, middle, "\n".join(words), fontsize=8.5, va="center", linespacing=1.25)
        top -= tall + 0.35
    figure.text(
        0.1 / _WIDTH,
        1 - 0.1 / height,
        "Claims and what was measured",
        fontsize=12,
        fontweight="bold",
        va="top",
    )
    _caption(figure, lines, height)
    return figure


def _draw_claim(axes: Axes, measured: Measured) -> None:
    claim, one = measured.claim, measured.estimate
    assert one is not None
    verdict = judge(measured).verdict
    known = [value for value in (one.value, one.low, one.high, claim.threshold) if np.isfinite(value)]
    low, high = min(known), max(known)
    spare = 0.18 * (high - low) or 0.5
    axes.set_xlim(low - spare, high + spare)
    axes.set_ylim(-1, 1)
    claimed = (claim.threshold, high + spare) if claim.side == "above" else (low - spare, claim.threshold)
    axes.axvspan(*claimed, color="#eef3f7", zorder=0)
    axes.axvline(claim.threshold, color=_GREY, linewidth=1, zorder=1)
    colour = _COLOURS.get(verdict, "white")
    edge = _COLOURS.get(verdict, "#000000")
    if np.isfinite(one.low):
        axes.plot([one.low, one.high], [0, 0], color=edge, linewidth=2.2, solid_capstyle="butt", zorder=2)
    marker = "s" if verdict is Verdict.NOT_REPRODUCED else "o"
    axes.plot(one.value, 0, marker, color=colour, markeredgecolor=edge, markersize=7, zorder=3)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _lines(panel: Panel) -> Figure:
    lines = textwrap.wrap(caption_of(panel), 100)
    foot = _LINE * len(lines) + 0.2
    height = 3.6 + foot
    figure = _blank(height)
    axes = figure.add_axes((0.1, (foot + 0.5) / height, 0.87, (3.6 - 1.0) / height))
    for curve, colour, marker in zip(panel.curves, _colours(len(panel.curves)), _cycled(), strict=False):
        at = [float(place) for place in curve.at]
        value, low, high = _ends(curve.estimates)
        if len(at) > 1:
            axes.fill_between(at, low, high, facecolor=(colour, 0.13), edgecolor=(colour, 0.5), linewidth=0.8)
        else:
            axes.vlines(at, low, high, color=colour, linewidth=2)
        axes.plot(at, value, color=colour, marker=marker, markersize=5, linewidth=1.8, label=curve.name)
    if panel.reference is not None:
        axes.axhline(panel.reference, color=_GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xlabel(panel.axis)
    axes.set_ylabel("\n".join(textwrap.wrap(panel.quantity, 34)))
    _title(axes, panel.title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=14))
    axes.margins(x=0.03)
    if panel.limits is not None:
        spare = 0.03 * (panel.limits[1] - panel.limits[0])
        axes.set_ylim(panel.limits[0] - spare, panel.limits[1] + spare)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if len(panel.curves) > 1:
        axes.legend(frameon=False, loc="best", fontsize=8.5)
    _caption(figure, lines, height)
    return figure


def _dots(panel: Panel) -> Figure:
    names = list(dict.fromkeys(str(place) for curve in panel.curves for place in curve.at))
    lines = textwrap.wrap(caption_of(panel), 100)
    several = len(panel.curves) > 1
    foot = _LINE * len(lines) + 0.2 + (0.3 if several else 0.0)
    inner = max(0.9, 0.34 * len(names) * max(1.0, 0.5 * len(panel.curves)))
    height = 0.5 + inner + 0.55 + foot
    figure = _blank(height)
    axes = figure.add_axes(
        (_LABELS / _WIDTH, (foot + 0.55) / height, (_WIDTH - _LABELS - 0.2) / _WIDTH, inner / height)
    )
    offsets = np.linspace(-0.22, 0.22, len(panel.curves)) if several else [0.0]
    drawn = []
    for curve, colour, marker, offset in zip(
        panel.curves, _colours(len(panel.curves)), _cycled(), offsets, strict=False
    ):
        at = np.array([names.index(str(place)) for place in curve.at]) + offset
        value, low, high = _ends(curve.estimates)
        axes.hlines(at, low, high, color=colour, linewidth=2)
        drawn += axes.plot(value, at, marker, color=colour, markersize=6, label=curve.name)
    if panel.reference is not None:
        axes.axvline(panel.reference, color=_GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_yticks(range(len(names)), ["\n".join(textwrap.wrap(name, 38)) for name in names], fontsize=8.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(panel.quantity)
    figure.text(0.1 / _WIDTH, 1 - 0.1 / height, panel.title, fontsize=12, fontweight="bold", va="top")
    if panel.limits is not None:
        spare = 0.03 * (panel.limits[1] - panel.limits[0])
        axes.set_xlim(panel.limits[0] - spare, panel.limits[1] + spare)
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if several:
        figure.legend(
            drawn,
            [curve.name for curve in panel.curves],
            loc="lower left",
            bbox_to_anchor=(0.1 / _WIDTH, (_LINE * len(lines) + 0.15) / height),
            frameon=False,
            fontsize=8.5,
            ncols=3,
            borderaxespad=0.0,
        )
    _caption(figure, lines, height)
    return figure


def caption_of(panel: Panel) -> str:
    """n, interval and seed of a panel, and what its line is."""
    found = [one for curve in panel.curves for one in curve.estimates if one.n]
    if not found:
        return "Nothing was measured."
    methods = ", or ".join(dict.fromkeys(one.method for one in found))
    seeds = sorted({one.seed for one in found if one.seed is not None})
    runs, samples = (
        _span([one.n for one in found], panel.unit),
        _span([one.samples for one in found], "sample"),
    )
    text = f"n = {runs} of {samples}; {found[0].level:.0%} interval: {methods}"
    text += f"; bootstrap seed {', '.join(map(str, seeds))}." if seeds else "; no random draws."
    return text if panel.reference is None else f"{text} Dashed: {panel.reference:g}."


def _span(numbers: Sequence[int], noun: str) -> str:
    low, high = min(numbers), max(numbers)
    count = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{count} {noun}" if high == 1 else f"{count} {noun}s"


def _ends(estimates: Sequence[Estimate]) -> np.ndarray:
    return np.array([(one.value, one.low, one.high) for one in estimates]).T


def _colours(count: int) -> list[str]:
    return [OKABE_ITO[index % len(OKABE_ITO)] for index in range(count)]


def _cycled() -> tuple[str, ...]:
    return _MARKERS * 4


def _blank(height: float) -> Figure:
    figure = Figure(figsize=(_WIDTH, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _title(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold")


def _caption(figure: Figure, lines: Sequence[str], height: float) -> None:
    figure.text(
        0.1 / _WIDTH,
        0.08 / height,
        "\n".join(lines),
        fontsize=8.5,
        color=_GREY,
        va="bottom",
        linespacing=1.35,
    )
