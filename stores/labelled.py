"""Runs as pandas tables, activations as xarray arrays.

Apart from the rest because pandas and xarray take long to load, and most uses of a store need neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas
import xarray

from stores import layout, selection
from stores.entries import RunEntry
from stores.errors import StoreError

if TYPE_CHECKING:
    from stores.store import Samples, Seeds, Store

_AXES = ("sample", "seed", *layout.SITE_AXES)


def runs_table(entries: Sequence[RunEntry]) -> pandas.DataFrame:
    """One row a run, the fields of `RunEntry` as columns."""
    names = [field.name for field in fields(RunEntry)]
    return pandas.DataFrame([[getattr(entry, name) for name in names] for entry in entries], columns=names)


def labelled_array(
    store: Store,
    site: str,
    steps: selection.Selection,
    layers: selection.Selection,
    samples: Samples,
    seeds: Seeds,
    branches: str | Iterable[str] | None,
    variant: str,
    max_bytes: int,
) -> xarray.DataArray:
    """As `Store.array`."""
    entries = store.runs(samples, seeds, variant)
    if not entries:
        raise StoreError(f"{store.path}: no run is selected")
    names = sorted({entry.sample for entry in entries})
    numbers = sorted({entry.seed for entry in entries})
    _require_all_pairs(store, entries, names, numbers)

    first = entries[0]
    with store.run(first.sample, first.seed, variant) as run:
        if site not in run.sites:
            raise StoreError(f"site {site!r}: {run.path} has {', '.join(run.sites) or 'no sites'}")
        info = run.sites[site]
    chosen_steps = selection.select(steps, info.steps, "steps", "this store")
    chosen_layers = selection.select(layers, info.layers, "layers", "this store")
    asked = (
        info.branches if branches is None else (branches,) if isinstance(branches, str) else tuple(branches)
    )
    chosen_branches = tuple(name for name in info.branches if name in asked)

    index_shape = tuple(map(len, (names, numbers, chosen_steps, chosen_layers, chosen_branches)))
    shape = (*index_shape, *info.grid, info.channels)
    needed = int(np.prod(shape, dtype=np.int64)) * 4
    if needed > max_bytes:
        raise StoreError(
            f"site {site}: this selection takes {_gib(needed)}, more than {_gib(max_bytes)}; select fewer "
            "steps, layers, seeds or samples, or go through them with store.iter"
        )
    data = np.empty(shape, np.float32)
    place: dict[Any, int] = {}
    for labels in (names, numbers):
        place |= {label: index for index, label in enumerate(labels)}
    read = store.iter(site, chosen_steps, chosen_layers, names, numbers, chosen_branches, variant)
    slabs = data.reshape(*index_shape[:2], -1, *info.grid, info.channels)
    position = -1
    current = None
    for entry, _, _, _, slab in read:
        position = position + 1 if entry is current else 0
        current = entry
        slabs[place[entry.sample], place[entry.seed], position] = slab
    return xarray.DataArray(
        data,
        dims=_AXES,
        coords={
            "sample": names,
            "seed": numbers,
            "step": list(chosen_steps),
            "layer": list(chosen_layers),
            "branch": list(chosen_branches),
        },
        name=site,
        attrs={"variant": variant},
    )


def _require_all_pairs(store: Store, entries: list[RunEntry], names: list[str], numbers: list[int]) -> None:
    present = {(entry.sample, entry.seed) for entry in entries}
    for name in names:
        lacking = [seed for seed in numbers if (name, seed) not in present]
        if lacking:
            raise StoreError(
                f"{store.path}: sample {name} lacks seeds {selection.compact(lacking)} that others have; "
                "select samples and seeds of which every pair is stored"
            )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
