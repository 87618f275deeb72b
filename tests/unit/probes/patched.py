"""Made-up patching results, of which every answer is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product

import numpy as np
import xarray as xr

Row = dict[str, object]


def result(rows: Iterable[Row], attrs: dict[str, dict[str, object]] | None = None) -> xr.Dataset:
    """A patching result of these rows; a label that a row lacks is that of `DEFAULTS`."""
    full = [DEFAULTS | row for row in rows]
    names = dict.fromkeys(name for row in full for name in row)
    made = xr.Dataset({name: ("patch", np.array([row.get(name, np.nan) for row in full])) for name in names})
    for name, of in (attrs or {}).items():
        made[name].attrs.update(of)
    return made


DEFAULTS: Row = {
    "pair": "red-0 > blue-0",
    "donor_sample": "red-0",
    "donor_seed": 0,
    "recipient_sample": "blue-0",
    "recipient_seed": 0,
    "direction": "sufficiency",
    "site": "resid",
    "layer": 4,
    "first_step": 0,
    "last_step": 0,
    "tokens": "all",
    "branch": "cond",
    "control": "none",
    "horizon": -1,
    "error": "",
}


def pair(number: int, seed: int = 0) -> Row:
    """The labels of one pair: red into blue of the maze of this number."""
    return {
        "pair": f"red-{number:02d} > blue-{number:02d}",
        "donor_sample": f"red-{number:02d}",
        "recipient_sample": f"blue-{number:02d}",
        "donor_seed": seed,
        "recipient_seed": seed,
    }


def full_grid(
    effect: str,
    value: Callable[[int, int, int, str, str], float],
    *,
    pairs: int = 12,
    steps: Iterable[int] = range(3),
    layers: Iterable[int] = range(4),
    directions: Iterable[str] = ("sufficiency", "necessity"),
    controls: Iterable[str] = ("none", "random"),
    attrs: dict[str, object] | None = None,
) -> xr.Dataset:
    """A whole grid: `value(pair, step, layer, direction, control)` is the effect of each patch."""
    rows = [
        pair(number)
        | {"first_step": step, "last_step": step, "layer": layer, "direction": way, "control": control}
        | {effect: value(number, step, layer, way, control)}
        for number, step, layer, way, control in product(range(pairs), steps, layers, directions, controls)
    ]
    return result(rows, {effect: attrs or {}})
