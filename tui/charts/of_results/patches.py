"""Patching, ablation, steering and attribution: maps or curves of effects, and the strongest cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tui.charts.chart import Curve, Curves, Dot, Dots
from tui.charts.making import PATCHES, sentence
from tui.charts.view import Made
from tui.heatmaps.of_patches import PatchMap

if TYPE_CHECKING:
    import xarray

    from probes.sweep_curves import SweepCurve

_ACROSS = {"steps": "step", "layer": "layer", "scale": "scale"}


def views(dataset: xarray.Dataset) -> Iterator[Made]:
    """The main effect in all the ways that fit its grid, then maps or curves of the others."""
    from probes import sweeps

    known = sweeps.known_effects(dataset)
    if known:
        main = known[0]
        yield from _by_scale(dataset, main)
        yield from _by_grid(dataset, main)
        yield Made(f"{main}: strongest", partial(_strongest, dataset, main))
    for effect in known[1:]:
        yield from list(_by_scale(dataset, effect)) or _by_grid(dataset, effect)


def of_attribution(dataset: xarray.Dataset) -> Iterator[Made]:
    """Integrated gradients, then gradients, as maps or curves."""
    from probes.kinds.attribution import GRADIENT, INTEGRATED
    from probes.sweeps import is_known

    for effect in (INTEGRATED, GRADIENT):
        if effect in dataset and is_known(dataset, effect):
            yield from _by_grid(dataset, effect)


def _by_scale(dataset: xarray.Dataset, effect: str) -> Iterator[Made]:
    from probes.effects import PLAIN

    if "scale" not in dataset:
        return
    scales = set(dataset["scale"].values[dataset["control"].values == PLAIN].tolist())
    if len(scales) > 1:
        yield from _curves_along(dataset, effect, "scale")


def _by_grid(dataset: xarray.Dataset, effect: str) -> Iterator[Made]:
    """A map for each place with several steps and layers, and direction; for other places curves."""
    from probes import patches, sweeps
    from probes.effects import PLAIN
    from probes.sweep_curves import directions_of

    plain = patches.choose(dataset, control=PLAIN)
    places = sweeps.places_of(plain)
    flat: dict[str, None] = {}
    for place, name in zip(places, sweeps.place_names(places), strict=True):
        here = patches.choose(plain, **place)
        if not sweeps.is_known(here, effect):
            continue
        spans = zip(here["first_step"].values.tolist(), here["last_step"].values.tolist(), strict=True)
        steps, layers = len(set(spans)), len(set(here["layer"].values.tolist()))
        if steps > 1 and layers > 1:
            for direction in directions_of(here):
                if sweeps.is_known(patches.choose(here, direction=direction), effect):
                    told = f"{effect}: {direction}" + (f", {name}" if name else "")
                    yield Made(told, PatchMap(dataset, effect, direction, place))
        elif layers > 1 or steps > 1:
            flat["layer" if layers > 1 else "steps"] = None
    for along in flat:
        yield from _curves_along(dataset, effect, along)


def _curves_along(dataset: xarray.Dataset, effect: str, along: str) -> Iterator[Made]:
    """A chart for each direction."""
    from probes.sweep_curves import directions_of
    from probes.sweeps import known_patches

    known = dataset.isel(patch=np.flatnonzero(known_patches(dataset, effect) & _is_plain(dataset)))
    for direction in directions_of(known):
        make = partial(_curves, dataset, effect, along, direction)
        yield Made(f"{effect}: {direction}, by {_ACROSS[along]}", make)


def _curves(dataset: xarray.Dataset, effect: str, along: str, direction: str) -> Curves:
    """An effect along layers, steps or scales, a curve for each other cell, and its control beside it."""
    from probes import effects
    from probes.effects import PLAIN
    from probes.patches import ENDS
    from probes.sweep_curves import (
        curves_of,
        how_known,
        identity_as_zero,
        in_common,
        points_of,
        shown_control,
    )
    from probes.sweeps import cell_labels, cells_with

    found = effects.cells(dataset, effect, cell_labels(dataset))
    if along == "scale":
        found = identity_as_zero(found)
    control = shown_control(found)
    plain = cells_with(found, control=PLAIN)
    own = curves_of(cells_with(plain, direction=direction), along)
    beside = [
        None
        if control is None
        else points_of(cells_with(found, direction=direction, control=control, **one.labels), along)
        for one in own
    ]
    places = _Places(along, [one.points for one in own] + [one for one in beside if one is not None])
    curves: list[Curve] = []
    for one, other in zip(own, beside, strict=True):
        label = one.label or "patch"
        curves.append(places.curve(label, one.points))
        if other is not None and np.isfinite(other.value).any():
            told = f"control {control}" + (f", {one.label}" if one.label else "")
            curves.append(places.curve(told, other, is_beside=True))
    ends = [found.attrs.get(end) for end in ENDS]
    return Curves(
        title=f"{sentence(str(found.attrs['long_name']))}; {direction}, {in_common(dataset, along)}",
        measure=effect,
        across=_ACROSS[along],
        curves=_ranked(curves, own),
        places=places.names,
        reference=0.0,
        limits=(float(ends[0]), float(ends[1])) if None not in ends else None,  # type: ignore[arg-type]
        note=how_known(plain),
    )


def _ranked(curves: Sequence[Curve], own: Sequence[SweepCurve]) -> tuple[Curve, ...]:
    """Those that go farthest from zero first, each with its control, where there are many."""
    from probes.sweep_curves import MOST_CURVES

    if len(own) <= MOST_CURVES:
        return tuple(curves)
    far = {one.label: float(np.nanmax(np.abs(one.points.value))) for one in own}
    name = lambda curve: curve.name.partition(", ")[2] if curve.is_beside else curve.name  # noqa: E731
    return tuple(sorted(curves, key=lambda curve: -far[name(curve)]))


class _Places:
    """Where points stand: at their number, or where windows of steps begin at the same one, in a row."""

    def __init__(self, along: str, points: Sequence[Any]) -> None:
        spans = dict.fromkeys(
            (float(at), name) for one in points for at, name in zip(one.at, one.names, strict=True)
        )
        order = sorted(spans, key=lambda span: (span[0], len(span[1]), span[1]))
        self._is_row = len({at for at, _ in order}) < len(order)
        self._row = {name: float(place) for place, (_, name) in enumerate(order)}
        has_names = along == "steps" and (self._is_row or any("-" in name for _, name in order))
        self.names = {self._at(at, name): name for at, name in order} if has_names else {}

    def curve(self, name: str, points: Any, **more: Any) -> Curve:
        at = np.array([self._at(float(at), own) for at, own in zip(points.at, points.names, strict=True)])
        order = np.argsort(at)
        value, low, high = (getattr(points, part)[order] for part in ("value", "low", "high"))
        n, samples = points.n[order], points.samples[order]
        return Curve(name, at[order], value, low, high, n, samples, PATCHES, **more)

    def _at(self, at: float, name: str) -> float:
        return self._row[name] if self._is_row else at


def _strongest(dataset: xarray.Dataset, effect: str) -> Dots:
    """The strongest cells of each direction, each beside its controls."""
    from probes import effects
    from probes.effects import PLAIN
    from probes.sweep_curves import MOST_CELLS, cell_text, how_known, strongest, told_apart_by
    from probes.sweeps import cell_labels, cells_with

    by = cell_labels(dataset)
    found = effects.cells(dataset, effect, by)
    chosen = strongest(found)
    varying = told_apart_by(found, by)
    controls = [name for name in dict.fromkeys(found["control"].values.tolist()) if name != PLAIN]
    dots = []
    for direction, cells in chosen.items():
        for cell in cells:
            place = {name: cell[name].item() for name in by if name != "control"}
            beside = [
                (name, float(value))
                for name in controls
                for value in cells_with(found, **place, control=name)["value"].values
            ]
            low, high = float(cell["low"]), float(cell["high"])
            dots.append(
                Dot(
                    cell_text(cell, varying),
                    float(cell["value"]),
                    low,
                    high,
                    int(cell["n"]),
                    int(cell["samples"]),
                    group=direction,
                    beside=tuple(beside),
                )
            )
    total = max(cells_with(found, direction=name, control=PLAIN).sizes["cell"] for name in chosen)
    luck = (
        f"the {MOST_CELLS} strongest of {total} cells, strong also by luck: confirm them on other pairs; "
        if total > MOST_CELLS
        else ""
    )
    return Dots(
        title=f"{sentence(str(found.attrs['long_name']))}: the strongest cells beside their controls",
        measure=effect,
        dots=tuple(dots),
        counted=PATCHES,
        reference=0.0,
        note=luck + how_known(cells_with(found, control=PLAIN)),
    )


def _is_plain(dataset: xarray.Dataset) -> Any:
    from probes.effects import PLAIN

    return dataset["control"].values == PLAIN
