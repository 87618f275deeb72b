"""Estimates as labelled arrays: a value with its interval, its n and how it was made, by whatever axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.statistics import NO_INTERVAL, Estimate

if TYPE_CHECKING:
    import pandas
    import xarray

PARTS = ("low", "high", "n", "samples", "method")

NOTHING = Estimate(math.nan, math.nan, math.nan, math.nan, 0, 0, NO_INTERVAL, None, None)
"""Of what nothing tells."""


def arrays(name: str, dims: Sequence[str], estimates: Any, label: str) -> dict[str, Any]:
    """Variables of a dataset for nested lists of estimates along `dims`.

    ``NAME`` holds the values, ``NAME_low`` and ``NAME_high`` the interval, ``NAME_n`` and ``NAME_samples``
    how much it comes from (0: nothing, and the value is NaN), ``NAME_method`` how the interval was made.
    """
    held = np.array(estimates, dtype=object)

    def of(part: str, dtype: Any) -> Any:
        flat = [getattr(one, part) for one in held.reshape(-1)]
        return tuple(dims), np.array(flat, dtype=dtype).reshape(held.shape)

    seeds = [one.seed for one in held.reshape(-1) if one.seed is not None]
    draws = [one.draws for one in held.reshape(-1) if one.draws is not None]
    levels = [one.level for one in held.reshape(-1) if one.n]
    attrs = {
        "long_name": label,
        "estimate": 1,
        "seed": seeds[0] if seeds else -1,
        "draws": draws[0] if draws else 0,
        "level": levels[0] if levels else math.nan,
    }
    return {
        name: (*of("value", np.float64), attrs),
        f"{name}_low": of("low", np.float64),
        f"{name}_high": of("high", np.float64),
        f"{name}_n": of("n", np.int64),
        f"{name}_samples": of("samples", np.int64),
        f"{name}_method": of("method", np.str_),
    }


def estimate_at(dataset: xarray.Dataset, name: str, **place: Any) -> Estimate:
    """One estimate of a dataset; a place is given by label."""
    return estimates_along(dataset, name, **place)[0]


def estimates_along(dataset: xarray.Dataset, name: str, **place: Any) -> list[Estimate]:
    """The estimates along the one axis that `place` leaves open, or the only one."""
    attrs = dataset[name].attrs
    chosen = {part: dataset[f"{name}_{part}"].sel(place).values.reshape(-1) for part in PARTS}
    values = dataset[name].sel(place).values.reshape(-1)
    is_drawn = [str(method).startswith("cluster bootstrap") for method in chosen["method"]]
    return [
        Estimate(
            *(
                float(value),
                float(low),
                float(high),
                float(attrs["level"]),
                int(n),
                int(samples),
                str(method),
            ),
            seed=int(attrs["seed"]) if drawn else None,
            draws=int(attrs["draws"]) if drawn else None,
        )
        for value, low, high, n, samples, method, drawn in zip(
            values, *(chosen[part] for part in PARTS), is_drawn, strict=True
        )
    ]


def names(dataset: xarray.Dataset) -> list[str]:
    """What a dataset has estimates of."""
    return [str(name) for name, variable in dataset.data_vars.items() if variable.attrs.get("estimate")]


def long_table(dataset: xarray.Dataset) -> pandas.DataFrame:
    """All estimates that tell something, a row each: what of, where on the axes, and the estimate's parts."""
    import pandas as pd

    axes = list(dict.fromkeys(str(dim) for name in names(dataset) for dim in dataset[name].dims))
    labels = {axis: dataset[axis].values.tolist() for axis in axes}
    rows: list[Mapping[str, Any]] = []
    for name in names(dataset):
        # Cells of an xarray Dataset are dear one by one.
        values = {"value": dataset[name].values} | {part: dataset[f"{name}_{part}"].values for part in PARTS}
        dims = [str(dim) for dim in dataset[name].dims]
        for index in zip(*np.nonzero(values["n"]), strict=True):
            place = {dim: labels[dim][at] for dim, at in zip(dims, index, strict=True)}
            cells = {part: of[index].item() for part, of in values.items()}
            rows.append({"quantity": name, **dict.fromkeys(axes), **place, **cells})
    table = pd.DataFrame(rows, columns=["quantity", *axes, "value", *PARTS])
    # Whole numbers stay whole where some rows have none.
    whole = {axis: "Int64" for axis in axes if axis in ("step", "votes")}
    return table.astype(whole)
