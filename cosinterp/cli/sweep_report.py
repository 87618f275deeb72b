"""What a sweep showed: tables by step and layer, the strongest cells beside their controls, and remarks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.text import Text

from cosinterp.cli.plain import table
from probes import effects, patches
from probes.effects import PLAIN, Bootstrap
from stores.errors import SelectionError
from stores.units import count_text

if TYPE_CHECKING:
    import xarray
    from rich.table import Table

PREFERRED = ("goal_donor", "x0_recovered", "x0_relative")
"""Effects that are shown if none is chosen: the first of which anything is known."""
STRONGEST = 5
_PLACE: tuple[str, ...] = ("site", "tokens", "branch")
_EXTRA = ("scale",)
_MOVED = "x0_relative"
_CELL_WIDTH = 7
_HEAD_WIDTH = 10


@dataclass(frozen=True)
class SweepReport:
    """A result and what is shown of it.

    ``width``: characters that a table may take; ``where``: the file of the result.
    """

    result: xarray.Dataset
    effect: str
    where: str
    bootstrap: Bootstrap = effects.DEFAULT
    width: int = 80

    @cached_property
    def by(self) -> tuple[str, ...]:
        """What tells cells apart."""
        return cell_labels(self.result)

    @cached_property
    def cells(self) -> xarray.Dataset:
        """All cells with their intervals, controls too."""
        return effects.cells(self.result, self.effect, self.by, self.bootstrap)

    def tables(self) -> Iterator[Text | Table]:
        """Maps of steps and layers of each direction and place; the strongest cells of each direction."""
        for direction in self._there("direction", control=PLAIN):
            if not self._is_known(direction):
                yield Text(f"{direction}: {self.effect} is not known of any patch", "bold")
                continue
            yield from self._maps_of(direction)
            yield Text(f"{direction}: strongest cells beside their controls", "bold")
            yield self._strongest(direction)

    def maps(self) -> Iterator[Text | Table]:
        """Maps of steps and layers alone."""
        for direction in self._there("direction", control=PLAIN):
            yield from self._maps_of(direction)

    def remarks(self) -> list[str]:
        """What has to stand under the tables."""
        long_name = self.cells.attrs["long_name"]
        lines = [f"{self.effect}: {long_name}; mean and {self.bootstrap.level:.0%} interval."]
        plain = self.cells.isel(cell=np.flatnonzero(self.cells["control"].values == PLAIN))
        known = plain.isel(cell=np.flatnonzero(plain["n"].values > 0))
        methods = ", or ".join(dict.fromkeys(known["method"].values.tolist()))
        lines.append(
            f"n = {_span(known['n'].values, 'patch', 'patches')} of "
            f"{_span(known['samples'].values, 'sample', 'samples')} a cell; "
            f"interval: {methods}; bootstrap seed {self.bootstrap.seed}."
        )
        controls = [name for name in self._there("control") if name != PLAIN]
        if controls:
            of = self.cells.isel(cell=np.flatnonzero(self.cells["control"].values != PLAIN))
            lines.append(
                f"Controls ({', '.join(controls)}): n = {_span(of['n'].values, 'patch', 'patches')} a cell"
                + ("." if set(of["n"].values) == set(known["n"].values) else ", of some of the pairs alone.")
            )
        else:
            lines.append(
                "No controls were made: nothing tells these effects from those of any change as large."
            )
        identity = self._identity()
        if identity is not None:
            lines.append(
                "identity, a run's own activations: changes nothing, as it has to."
                if identity == 0
                else f"identity, a run's own activations, moves the clean estimate by up to {identity:.2g} "
                "of its norm, which it must not: the sweep is not exact here."
            )
        failed = int(plain["failed"].sum())
        if failed:
            lines.append(f"{count_text(failed, 'value')} left out of these cells: failed, or not known.")
        lines += [f"{number} failed: {error}" for error, number in self.errors.most_common(3)]
        if len(plain["cell"]) > STRONGEST:
            lines.append(
                "The strongest of many cells is strong also by luck: confirm it on pairs not used here."
            )
        return lines

    @cached_property
    def errors(self) -> Counter[str]:
        """What went wrong, and how often."""
        return Counter(text for text in self.result["error"].values.tolist() if text)

    def as_data(self) -> dict[str, Any]:
        """All cells as JSON takes them."""
        columns = [*self.by, "value", "low", "high", "n", "samples", "failed", "method"]
        rows = zip(*(self.cells[name].values.tolist() for name in columns), strict=True)
        return {
            **outcome(self.result, self.where),
            "effect": self.effect,
            "long_name": self.cells.attrs["long_name"],
            "level": self.bootstrap.level,
            "bootstrap_seed": self.bootstrap.seed,
            "identity_moves": self._identity(),
            "cells": [
                {name: _plain(value) for name, value in zip(columns, row, strict=True)} for row in rows
            ],
        }

    @property
    def _has_scales(self) -> bool:
        return any(name in self.by for name in _EXTRA)

    def _there(self, label: str, **chosen: str) -> list[str]:
        found = patches.choose(self.result, **chosen) if chosen else self.result
        return list(dict.fromkeys(found[label].values.tolist()))

    def _is_known(self, direction: str) -> bool:
        there = (self.cells["direction"].values == direction) & (self.cells["control"].values == PLAIN)
        return bool((self.cells["n"].values[there] > 0).any())

    def _maps_of(self, direction: str) -> Iterator[Text | Table]:
        of_one = patches.choose(self.result, direction=direction, control=PLAIN)
        for place in places_of(of_one):
            yield from self._maps(patches.choose(of_one, **place), direction, place)

    def _maps(
        self, of_one: xarray.Dataset, direction: str, place: Mapping[str, Any]
    ) -> Iterator[Text | Table]:
        try:
            grid = effects.grid(of_one, self.effect, direction, bootstrap=self.bootstrap)
        except SelectionError:
            # Nothing is known of any cell of this place; the remarks count what was left out.
            return
        layers, steps = grid["layer"].values.tolist(), grid["steps"].values.tolist()
        values = grid["value"].values
        title = f"{direction}: {self.effect}, {_where(place)}"
        # The shorter axis to the right, and as much of it as the terminal takes.
        if len(layers) <= len(steps) or len(layers) * _CELL_WIDTH + _HEAD_WIDTH <= self.width:
            head, down, right = "step", [str(one) for one in steps], [f"layer {one}" for one in layers]
        else:
            head, down, right = "layer", [str(one) for one in layers], [f"step {one}" for one in steps]
            values = values.T
        many = max(1, (self.width - _HEAD_WIDTH) // _CELL_WIDTH)
        for start in range(0, len(right), many):
            part = slice(start, start + many)
            what, columns = right[0].split()[0], [name.split()[1] for name in right[part]]
            made = table("", f"{head} \\ {what}", *columns)
            for name, row in zip(down, values[:, part], strict=True):
                made.add_row(name, *(_number(value) for value in row))
            yield Text(title if start == 0 else f"{title}, continued", "bold")
            yield made

    def _strongest(self, direction: str) -> Table:
        of_one = patches.choose(self.result, direction=direction)
        found = effects.strongest(of_one, self.effect, STRONGEST, self.by, self.bootstrap)
        controls = [name for name in self._there("control", direction=direction) if name != PLAIN]
        # The identity of what is added is scale 0, which is no cell of its own; the remarks tell of it.
        controls = [name for name in controls if name != "identity" or not self._has_scales]
        varying = [name for name in (*_PLACE, *_EXTRA) if name in self.by and len(self._there(name)) > 1]
        made = table(
            "",
            "step",
            "layer",
            *varying,
            "patch",
            "interval",
            *controls,
        )
        place = [name for name in self.by if name not in ("direction", "control")]
        for index in range(found.sizes["cell"]):
            one = found.isel(cell=index)
            first, last = int(one["first_step"]), int(one["last_step"])
            same = np.logical_and.reduce(
                [self.cells[name].values == one[name].item() for name in (*place, "direction")]
            )
            beside = []
            for control in controls:
                at = np.flatnonzero(same & (self.cells["control"].values == control))
                beside.append(_number(float(self.cells["value"].values[at[0]])) if len(at) else "")
            made.add_row(
                str(first) if first == last else f"{first}-{last}",
                str(int(one["layer"])),
                *(str(one[name].item()) for name in varying),
                _number(float(one["value"])),
                _interval(float(one["low"]), float(one["high"])),
                *beside,
            )
        return made

    def _identity(self) -> float | None:
        """How far the controls that must change nothing moved the clean estimate, at most; None: unknown."""
        if _MOVED not in self.result:
            return None
        of = self.result["control"].values == "identity"
        moved = self.result[_MOVED].values[of]
        known = moved[np.isfinite(moved)]
        return float(np.abs(known).max()) if len(known) else None


def effect_of(result: xarray.Dataset, asked: str | None) -> str | None:
    """The effect that is shown: the one asked for, else the first known of `PREFERRED`; None: none is known.

    Raises:
        SelectionError: the result has no such effect.
    """
    known = patches.effects_of(result)
    if asked is not None:
        if asked not in known:
            raise SelectionError(f'effect "{asked}": this result has {", ".join(known)}')
        return asked if _is_known(result, asked) else None
    return next((name for name in PREFERRED if name in known and _is_known(result, name)), None)


def _is_known(result: xarray.Dataset, effect: str) -> bool:
    """Whether a patch that did not fail tells of an effect."""
    return bool((np.isfinite(result[effect].values) & (result["error"].values == "")).any())


def outcome(result: xarray.Dataset, where: str) -> dict[str, Any]:
    """What is told of a result whatever it shows, as JSON takes it."""
    errors = Counter(text for text in result["error"].values.tolist() if text)
    anchors = int(result.attrs.get("blocks_of_anchors", 0))
    return {
        "result": where,
        "rows": int(result.sizes["patch"]),
        "failed": sum(errors.values()),
        "errors": dict(errors),
        "blocks": {"patches": int(result["blocks"].values.sum()), "unchanged": anchors},
    }


def cell_labels(result: xarray.Dataset) -> tuple[str, ...]:
    """The labels that tell cells of a result apart: the usual ones, and the scale of what is added."""
    return (*effects.CELL, *(name for name in _EXTRA if name in result))


def places_of(result: xarray.Dataset) -> list[dict[str, Any]]:
    """What a map by steps and layers is one of: site, tokens, branch and, if there is one, scale."""
    names = [name for name in (*_PLACE, *_EXTRA) if name in result]
    there = dict.fromkeys(zip(*(result[name].values.tolist() for name in names), strict=True))
    return [dict(zip(names, place, strict=True)) for place in there]


def _where(place: Mapping[str, Any]) -> str:
    tokens = "all tokens" if place["tokens"] == "all" else place["tokens"]
    branch = "all branches" if place["branch"] == "all" else place["branch"]
    scale = f", scale {place['scale']:g}" if "scale" in place else ""
    return f"{place['site']}, {tokens}, {branch}{scale}"


def _span(counts: np.ndarray, one: str, many: str) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low} {one if low == 1 else many}" if low == high else f"{low} to {high} {many}"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    text = f"{value:.2f}" if abs(value) < 99.5 else f"{value:.0f}"
    return "0.00" if text == "-0.00" else text


def _interval(low: float, high: float) -> str:
    return (
        f"{low:.2f}–{high:.2f}"
        if math.isfinite(low) and low >= 0
        else (f"{low:.2f} to {high:.2f}" if math.isfinite(low) else "none")
    )


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
