"""What ``cosinterp attribute`` says: attributions by step and layer, and beside them what patching did."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.text import Text

from cosinterp.cli.plain import table
from cosinterp.cli.sweep_report import SweepReport
from cosinterp.errors import SelectionError
from probes import effects
from probes.effects import Bootstrap
from probes.kinds.attribution import GRADIENT, INTEGRATED, share_remark

if TYPE_CHECKING:
    import xarray
    from rich.table import Table

EFFECT = "x0_along"
Cell = tuple[Any, ...]


@dataclass(frozen=True)
class AttributionReport:
    """Attributions, the patches that confirm the strongest of them, and what is shown of both.

    ``where``: the file of the result; ``width``: characters that a table may take.
    """

    attributed: xarray.Dataset
    patched: xarray.Dataset | None
    where: str
    bootstrap: Bootstrap
    width: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known."""
        return not np.isfinite(self.attributed[GRADIENT].values).any()

    @property
    def first_error(self) -> str:
        """Why a row is not known, of the first that says so."""
        return next((text for text in self.attributed["error"].values.tolist() if text), "no reason is told")

    def tables(self) -> Iterator[Text | Table]:
        """Attributions by step and layer, then the confirmed cells."""
        shown = SweepReport(self.attributed, self.effect, self.where, self.bootstrap, self.width)
        yield from shown.maps()
        if self.patched is not None:
            yield Text(f"the strongest {self.confirmed_cells} cells, patched: {EFFECT}", "bold")
            yield self._side_by_side(self.patched)

    @property
    def effect(self) -> str:
        """What is shown by step and layer: integrated gradients where there are some."""
        return INTEGRATED if INTEGRATED in self.attributed else GRADIENT

    @property
    def confirmed_cells(self) -> int:
        """How many cells were patched."""
        return 0 if self.patched is None else len(self._means(self.patched, EFFECT))

    @cached_property
    def correlations(self) -> list[dict[str, Any]]:
        """Rank correlations of attributions and effects over the confirmed cells, pair by pair."""
        from cosinterp.attribution import rank_correlation

        if self.patched is None:
            return []
        try:
            found = rank_correlation(self.attributed, self.patched, EFFECT)
        except SelectionError:
            # Fewer than three cells have no ranks to speak of.
            return []
        frame = found.to_dataframe().reset_index(drop=True)
        return [
            {str(name): _jsonable(value) for name, value in row.items()} for row in frame.to_dict("records")
        ]

    def remarks(self) -> list[str]:
        """What has to stand under the tables."""
        words = self.attributed[self.effect].attrs["long_name"]
        lines = [f"{self.effect}: {words}; mean over pairs. A screen: the model is not linear."]
        lines += share_remark(self.attributed)
        failed = int((self.attributed["error"].values != "").sum())
        if failed:
            lines.append(f"{failed} rows could not be attributed: {self.first_error}")
        if self.correlations:
            for name in (GRADIENT, INTEGRATED):
                values = [one[name] for one in self.correlations if one.get(name) is not None]
                if values:
                    lines.append(
                        f"rank correlation of {name} and {EFFECT}: median {np.median(values):.2f} of "
                        f"{len(values)} pairs of runs, {min(values):.2f} to {max(values):.2f}, over the "
                        "patched cells alone, which were chosen for being strong."
                    )
        return lines

    def files(self) -> list[str]:
        """Where all of it lies."""
        own = [] if self.patched is None else [f"patches: {self.patched.attrs['result']}"]
        return [*own, f"result: {self.where}"]

    def as_data(self) -> dict[str, Any]:
        """All cells as JSON takes them."""
        names = [name for name in (GRADIENT, INTEGRATED) if name in self.attributed]
        means = {name: self._means(self.attributed, name) for name in names}
        confirmed = {} if self.patched is None else self._estimates(self.patched)
        return {
            "result": self.where,
            "patches": None if self.patched is None else str(self.patched.attrs["result"]),
            "bootstrap": asdict(self.bootstrap),
            "cells": [
                {
                    **dict(zip(effects.CELL, cell, strict=True)),
                    **{name: _jsonable(means[name][cell]) for name in names},
                    EFFECT: confirmed.get(cell),
                }
                for cell in means[names[0]]
            ],
            "rank_correlations": self.correlations,
        }

    def _side_by_side(self, patched: xarray.Dataset) -> Table:
        names = [name for name in (GRADIENT, INTEGRATED) if name in self.attributed]
        means = {name: self._means(self.attributed, name) for name in names}
        made = table("", "cell", *names, EFFECT, "interval", "n")
        found = self._estimates(patched)
        for cell in sorted(found, key=lambda one: -abs(means[GRADIENT][one])):
            labels = dict(zip(effects.CELL, cell, strict=True))
            where = f"{labels['site']} layer {labels['layer']} step {labels['first_step']}"
            for name in ("tokens", "branch"):
                where += "" if labels[name] == "all" else f" {labels[name]}"
            if len(set(self.attributed["direction"].values.tolist())) > 1:
                where += f" {labels['direction']}"
            one = found[cell]
            low, high = one["low"], one["high"]
            interval = "none" if low is None else f"{low:.2f} to {high:.2f}"
            value = "–" if one["value"] is None else f"{one['value']:.2f}"
            made.add_row(
                where,
                *(f"{means[name][cell]:.2f}" for name in names),
                value,
                interval,
                str(one["n"]),
            )
        return made

    def _means(self, result: xarray.Dataset, effect: str) -> dict[Cell, float]:
        found = self._estimates(result, effect)
        return {cell: math.nan if one["value"] is None else one["value"] for cell, one in found.items()}

    def _estimates(self, result: xarray.Dataset, effect: str = EFFECT) -> dict[Cell, dict[str, Any]]:
        found = effects.cells(result, effect, bootstrap=self.bootstrap)
        columns = ("value", "low", "high", "n", "samples", "method")
        keys = zip(*(found[name].values.tolist() for name in effects.CELL), strict=True)
        values = zip(*(found[name].values.tolist() for name in columns), strict=True)
        return {
            key: {name: _jsonable(value) for name, value in zip(columns, own, strict=True)}
            for key, own in zip(keys, values, strict=True)
        }


def _jsonable(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
