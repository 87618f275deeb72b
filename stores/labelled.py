"""Runs as pandas tables, activations as xarray arrays.

Apart from the rest because pandas and xarray take long to load, and most uses of a store need neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
import pandas
import xarray

from stores import layout, selection
from stores.entries import RunEntry
from stores.errors import StoreError
from stores.sites import select_branches

if TYPE_CHECKING:
    from stores.store import Samples, Seeds, Store

_AXES = ("sample", "seed", *layout.INDEX_AXES, "frame", "row", "col", "channel")


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
        info = run.site(site)
        chosen_branches = select_branches(branches, info.branches, run.path)
    chosen_steps = selection.select(steps, info.steps, "steps", "this store")
    chosen_layers = selection.select(layers, info.layers, "layers", "this store")

    index_shape = tuple(map(len, (names, numbers, chosen_steps, chosen_layers, chosen_branches)))
    slab_shape = (*info.grid, info.channels)
    shape = (*index_shape, *slab_shape)
    needed = int(np.prod(shape, dtype=np.int64)) * 4
    if needed > max_bytes:
        raise StoreError(
            f"site {site}: this selection takes {_gib(needed)}, more than {_gib(max_bytes)}; select fewer "
            "steps, layers, seeds or samples, or go through them with store.iter"
        )
    data = np.empty(shape, np.float32)
    read = store.iter(site, chosen_steps, chosen_layers, names, numbers, chosen_branches, variant)
    # Both run by sample, seed, step, layer, branch.
    for place, (entry, *_, slab) in zip(data.reshape(-1, *slab_shape), read, strict=True):
        # Of shapes that differ numpy would repeat a single frame, unseen.
        if slab.shape != slab_shape:
            raise StoreError(
                f"site {site}: sample {entry.sample} has the token grid {_grid(slab.shape)}, sample "
                f"{first.sample} {_grid(slab_shape)}; select samples of one size"
            )
        place[...] = slab
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


def _grid(slab_shape: tuple[int, ...]) -> str:
    return "x".join(map(str, slab_shape[:3]))


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
