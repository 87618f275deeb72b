"""Runs as pandas tables, activations as xarray arrays.

Apart from the rest because pandas and xarray take long to load, and most uses of a store need neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas
import xarray
from xarray.core import indexing

from stores import selection
from stores.entries import RunEntry
from stores.errors import StoreError
from stores.lazy import SlabArray
from stores.sites import SiteInfo, select_branches
from stores.token_selection import GRID_AXES, TokenChoice, TokenSelection

if TYPE_CHECKING:
    from stores.store import Samples, Seeds, Store


def runs_table(entries: Sequence[RunEntry]) -> pandas.DataFrame:
    """One row a run, the fields of `RunEntry` as columns."""
    names = [field.name for field in fields(RunEntry)]
    return pandas.DataFrame([[getattr(entry, name) for name in names] for entry in entries], columns=names)


def labelled_array(
    store: Store,
    site: str,
    reduction: str | None,
    steps: selection.Selection,
    layers: selection.Selection,
    samples: Samples,
    seeds: Seeds,
    branches: str | Iterable[str] | None,
    variant: str,
    max_bytes: int,
    choice: TokenChoice,
) -> xarray.DataArray:
    """As `Store.array`."""
    entries = store.runs(samples, seeds, variant)
    if not entries:
        raise StoreError(f"{store.path}: no run is selected")
    names = tuple(sorted({entry.sample for entry in entries}))
    numbers = tuple(sorted({entry.seed for entry in entries}))
    _require_all_pairs(store, entries, names, numbers)
    run = store.shared_run(entries[0].sample, entries[0].seed, variant)
    info = run.site(site, reduction)
    labels = (
        names,
        numbers,
        selection.select(steps, info.steps, "steps", "this store"),
        selection.select(layers, info.layers, "layers", "this store"),
        select_branches(branches, info.branches, run.path),
    )
    tokens = choice.of(info)
    places = run.token_places(info.key) if "token" in info.axes else None
    slabs = SlabArray(store, info, places, variant, labels, tokens)
    coords: dict[str, Any] = dict(zip(slabs.dims, map(list, labels), strict=False))
    array = xarray.DataArray(
        xarray.Variable(slabs.dims, indexing.LazilyIndexedArray(slabs)),
        coords | _token_coords(info, tokens, places),
        name=info.site,
        attrs={"variant": variant, "reduction": info.reduction},
    )
    return array.load() if array.nbytes <= max_bytes else array


def _token_coords(
    info: SiteInfo, tokens: TokenSelection | None, places: npt.NDArray[np.int64] | None
) -> dict[str, Any]:
    """Which frames, rows and columns, or which tokens and where in the token grid these are."""
    if tokens is not None and tokens.axes != ("token",):
        return dict(zip(tokens.axes, tokens.numbers, strict=True))
    if tokens is not None:
        places = np.stack(np.unravel_index(tokens.items, info.grid), axis=1)
    if places is None:
        return {axis: range(n) for axis, n in zip(info.axes, info.shape, strict=True) if axis in GRID_AXES}
    flat = np.ravel_multi_index(tuple(places.T), info.grid)
    return {"token": flat} | {axis: ("token", places[:, n]) for n, axis in enumerate(GRID_AXES)}


def _require_all_pairs(
    store: Store, entries: list[RunEntry], names: tuple[str, ...], numbers: tuple[int, ...]
) -> None:
    present = {(entry.sample, entry.seed) for entry in entries}
    for name in names:
        lacking = [seed for seed in numbers if (name, seed) not in present]
        if lacking:
            raise StoreError(
                f"{store.path}: sample {name} lacks seeds {selection.compact(lacking)} that others have; "
                "select samples and seeds of which every pair is stored"
            )
