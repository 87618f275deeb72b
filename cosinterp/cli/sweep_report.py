"""What a sweep showed: tables by step and layer, the strongest cells beside their controls, and remarks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.text import Text

from cosinterp.cli.plain import table
from probes import effects, patches, sweeps
from probes.effects import PLAIN, Bootstrap
from stores.errors import SelectionError

if TYPE_CHECKING:
    import xarray
    from rich.table import Table

_PLACE: tuple[str, ...] = ("site", "tokens", "branch")
_EXTRA = (sweeps.SCALE,)
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
        return sweeps.cell_labels(self.result)

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
        return sweeps.remarks(self.result, self.cells)

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
            "identity_moves": sweeps.identity_moves(self.result),
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
        for place in sweeps.places_of(of_one):
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
        title = f"{direction}: {self.effect}, {sweeps.place_text(place)}"
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
        found = effects.strongest(of_one, self.effect, sweeps.STRONGEST, self.by, self.bootstrap)
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


def outcome(result: xarray.Dataset, where: str) -> dict[str, Any]:
    """What is told of a result whatever it shows, as JSON takes it."""
    errors = sweeps.errors_of(result)
    anchors = int(result.attrs.get("blocks_of_anchors", 0))
    return {
        "result": where,
        "rows": int(result.sizes["patch"]),
        "failed": sum(errors.values()),
        "errors": dict(errors),
        "blocks": {"patches": int(result["blocks"].values.sum()), "unchanged": anchors},
    }


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
