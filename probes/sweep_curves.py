"""Effects of a sweep along one thing, and its strongest cells: the numbers that are drawn of them.

Curves are for sweeps along layers, steps, or the scale of what is added; the strongest cells are told of any
sweep, each beside its controls.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from probes import effects
from probes.effects import PLAIN
from probes.patches import choose
from probes.sweeps import IDENTITY, SCALE, cells_with, counted, place_text, places_of, steps_text
from stores.errors import SelectionError

if TYPE_CHECKING:
    import xarray

DIRECTIONS: dict[str, str] = {
    "sufficiency": "activations of the pair's donor in its recipient's run",
    "necessity": "activations of the pair's recipient in its donor's run",
}
"""Directions in the order in which they are shown, with what each is."""

ALONG: dict[str, str] = {
    "layer": "layer",
    "steps": "denoising step (0 = noisiest)",
    SCALE: "scale of what is added",
}
"""What a curve can run along, with the name of its axis."""
MOST_CURVES = 6
MOST_CELLS = 8


@dataclass(frozen=True, eq=False)
class Points:
    """Along a curve: where, value, the ends of the interval, and of how many patches and samples, each
    (point,); the names of the places."""

    at: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray
    samples: np.ndarray
    names: list[str]


@dataclass(frozen=True, eq=False)
class SweepCurve:
    """A curve: what tells it from others, in words and as labels."""

    label: str
    labels: Mapping[str, Any]
    points: Points


def curves_of(cells: xarray.Dataset, along: str) -> list[SweepCurve]:
    """The curves of some cells, in the order of what tells them apart."""
    run = ("first_step", "last_step") if along == "steps" else (along,)
    others = [name for name in (*effects.CELL, SCALE) if name in cells.coords]
    others = [name for name in others if name not in (*run, "direction", "control")]
    varying = [name for name in others if len(set(cells[name].values.tolist())) > 1]
    keys = dict.fromkeys(zip(*(cells[name].values.tolist() for name in others), strict=True))
    found = []
    for key in keys:
        labels = dict(zip(others, key, strict=True))
        points = points_of(cells_with(cells, **labels), along)
        if np.isfinite(points.value).any():
            found.append(SweepCurve(label_of(labels, varying), labels, points))
    return found


def farthest(curves: Sequence[SweepCurve]) -> list[SweepCurve]:
    """As many as can be told apart, of those that go farthest from zero; in the order they come."""
    far = sorted(curves, key=lambda one: -float(np.nanmax(np.abs(one.points.value))))[:MOST_CURVES]
    return [curve for curve in curves if curve in far]


def directions_of(cells: xarray.Dataset) -> list[str]:
    """The directions of some cells, in the order in which they are shown."""
    there = list(dict.fromkeys(cells["direction"].values.tolist()))
    return [
        *(name for name in DIRECTIONS if name in there),
        *(name for name in there if name not in DIRECTIONS),
    ]


def points_of(cells: xarray.Dataset, along: str) -> Points:
    """The cells of one curve in the order of their places, by the first step of windows of several."""
    at = cells["first_step" if along == "steps" else along].values
    order = np.argsort(at, kind="stable")
    parts = {name: cells[name].values[order] for name in ("value", "low", "high", "n", "samples")}
    names = [f"{place:g}" for place in at[order]]
    if along == "steps":
        spans = zip(cells["first_step"].values[order], cells["last_step"].values[order], strict=True)
        names = [steps_text(int(first), int(last)) for first, last in spans]
    return Points(at[order], **parts, names=names)


def identity_as_zero(cells: xarray.Dataset) -> xarray.Dataset:
    """What was made at scale 0 is its own control: the point of a curve where nothing is added."""
    here = (cells["control"].values == IDENTITY) & (cells[SCALE].values == 0)
    return cells.assign_coords(control=("cell", np.where(here, PLAIN, cells["control"].values)))


def shown_control(cells: xarray.Dataset) -> str | None:
    """The control that curves are shown beside: "random" or else the first there is; None: there is none."""
    there = [
        name for name in dict.fromkeys(cells["control"].values.tolist()) if name not in (PLAIN, IDENTITY)
    ]
    return "random" if "random" in there else next(iter(there), None)


def in_common(dataset: xarray.Dataset, along: str) -> str:
    """What all curves have in common."""
    plain = choose(dataset, control=PLAIN)
    places = [{name: value for name, value in place.items() if name != SCALE} for place in places_of(plain)]
    parts = [place_text(places[0])] if all(place == places[0] for place in places) else []
    spans = set(zip(plain["first_step"].values.tolist(), plain["last_step"].values.tolist(), strict=True))
    layers = set(plain["layer"].values.tolist())
    if len(spans) == 1 and along != "steps":
        parts.append(f"step {steps_text(*next(iter(spans)))}")
    if len(layers) == 1 and along != "layer":
        parts.append(f"layer {next(iter(layers))}")
    return ", ".join(parts)


def label_of(labels: Mapping[str, Any], varying: Sequence[str]) -> str:
    """What tells a curve, or a cell, from others, in words: the labels that differ between them."""
    parts = []
    for name in varying:
        if name == "first_step":
            parts.append(f"step {steps_text(labels['first_step'], labels['last_step'])}")
        elif name == "last_step":
            parts += [] if "first_step" in varying else [f"to step {labels[name]}"]
        elif name == SCALE:
            parts.append(f"scale {labels[name]:g}")
        elif name in ("layer", "tokens", "branch"):
            parts.append(f"{name} {labels[name]}")
        else:
            parts.append(str(labels[name]))
    return ", ".join(parts)


def cell_text(cell: xarray.Dataset, varying: Sequence[str]) -> str:
    """A cell in words, by the labels of `told_apart_by`."""
    labels = {name: cell[name].item() for name in (*varying, "first_step", "last_step")}
    return textwrap.shorten(label_of(labels, varying), 60, placeholder=" ...")


def how_known(cells: xarray.Dataset) -> str:
    """Of how many patches and samples cells are, and how their intervals were made."""
    return f"{counted(cells)}, {cells.attrs['draws']} draws; {cells.attrs['level']:.0%} intervals."


def strongest(cells: xarray.Dataset) -> dict[str, list[xarray.Dataset]]:
    """Of each direction the cells that go farthest from zero, at most `MOST_CELLS`, the farthest first.

    Args:
        cells: of an effect, controls too, as `effects.cells` makes them.

    Raises:
        SelectionError: nothing is known of any patch that is no control.
    """
    found: dict[str, list[xarray.Dataset]] = {}
    for direction in directions_of(cells):
        plain = cells_with(cells, direction=direction, control=PLAIN)
        size = np.abs(plain["value"].values)
        order = [index for index in np.argsort(-size, kind="stable") if np.isfinite(size[index])]
        if order:
            found[direction] = [plain.isel(cell=index) for index in order[:MOST_CELLS]]
    if not found:
        raise SelectionError(f'effect "{cells.attrs["effect"]}": not known of any patch that is no control')
    return found


def told_apart_by(cells: xarray.Dataset, by: Sequence[str]) -> list[str]:
    """The labels that a cell is named by beside others: those that differ, and the layer."""
    names = [name for name in by if name not in ("direction", "control", "last_step")]
    return [name for name in names if len(set(cells[name].values.tolist())) > 1 or name == "layer"]
