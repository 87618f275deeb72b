"""The patches of a result, as analyses need them: labels, one effect, and which samples are independent."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from stores.errors import SelectionError

if TYPE_CHECKING:
    import xarray

PATCH = "patch"
ENDS = ("valid_min", "valid_max")
"""Attributes of an effect's variable: the least and the greatest value that it can take."""
RUNS = ("pair", "donor_sample", "donor_seed", "recipient_sample", "recipient_seed")
"""Labels of the two runs of a patch: the one that activations come from, and the one that is patched."""
Key = tuple[Any, ...]

_PAIR = ("pair", "donor_sample", "recipient_sample")
# Patches that differ in one of these are not of one cell, whatever else they share.
_APART = ("horizon", "scale")
_LABEL = "label"


@dataclass(frozen=True, eq=False)
class Patches:
    """Some patches and one of their effects.

    Attributes:
        labels: for each label, its value for each patch.
        values: the effect (patch,), NaN where it is not known or the patch failed.
        clusters: (patch,), equal for patches of samples that are not independent.
    """

    labels: dict[str, list[Any]]
    values: NDArray[np.float64]
    clusters: NDArray[np.intp]

    @classmethod
    def of(cls, dataset: xarray.Dataset, effect: str, by: Sequence[str]) -> Patches:
        """Read them from a result, with at least the labels ``by``.

        Raises:
            SelectionError: there is no such effect or label, no patch at all, the effect is said to be a
                share and is not, or there are several horizons or scales and ``by`` does not tell them apart.
        """
        known = effects_of(dataset)
        if effect not in known:
            raise SelectionError(f'effect "{effect}": this result has {", ".join(known) or "no effects"}')
        needed = tuple(dict.fromkeys([*by, *_PAIR]))
        require_labels(dataset, needed)
        if dataset.sizes[PATCH] == 0:
            raise SelectionError("this result has no patches")
        labels = {name: dataset[name].values.tolist() for name in needed}
        for name in _APART:
            if name in needed or name not in dataset.variables:
                continue
            there = [f"{value:g}" for value in sorted(set(dataset[name].values.tolist()))]
            if len(there) > 1:
                raise SelectionError(
                    f"{name}: patches of {' and '.join(there)} cannot be averaged; choose one, or have by "
                    "tell them apart"
                )
        values = dataset[effect].values.astype(np.float64)
        if is_share(dataset, effect) and not np.isin(values[np.isfinite(values)], (0, 1)).all():
            raise SelectionError(f'effect "{effect}": is said to be a share, but is not 0 or 1 everywhere')
        if "error" in dataset.variables:
            values = np.where(dataset["error"].values != "", np.nan, values)
        clusters = independent_samples(*(labels[name] for name in _PAIR))
        return cls(labels, values, clusters)

    def keys(self, by: Sequence[str]) -> list[Key]:
        """For each patch, its labels ``by``."""
        return list(zip(*(self.labels[name] for name in by), strict=True)) if by else [()] * len(self.values)


def effects_of(dataset: xarray.Dataset) -> tuple[str, ...]:
    """The effects of a result: what is a number with a fraction for each patch, in the result's order.

    Labels that are such numbers say so by the `kind` of their variable.
    """
    return tuple(
        str(name)
        for name, variable in dataset.data_vars.items()
        if variable.dims == (PATCH,) and variable.dtype.kind == "f" and variable.attrs.get("kind") != _LABEL
    )


def in_words(dataset: xarray.Dataset, effect: str) -> str:
    """What an effect is, as its variable's `long_name` says; its name if that says nothing."""
    return str(dataset[effect].attrs.get("long_name") or effect)


def is_share(dataset: xarray.Dataset, effect: str) -> bool:
    """Whether an effect is an outcome of 0 or 1, as its variable's `kind` says."""
    return dataset[effect].attrs.get("kind") == "share"


def bounds_of(dataset: xarray.Dataset, effect: str) -> tuple[float, float]:
    """The least and the greatest value that an effect can take, as its variable says."""
    if is_share(dataset, effect):
        return 0.0, 1.0
    low, high = (dataset[effect].attrs.get(name) for name in ENDS)
    return -math.inf if low is None else float(low), math.inf if high is None else float(high)


def choose(dataset: xarray.Dataset, **wanted: str) -> xarray.Dataset:
    """The patches with these labels.

    Raises:
        SelectionError: there are none; says which there are.
    """
    require_labels(dataset, tuple(wanted))
    kept = np.ones(dataset.sizes[PATCH], dtype=bool)
    for name, value in wanted.items():
        there = sorted(set(map(str, dataset[name].values[kept].tolist())))
        kept &= dataset[name].values == value
        if not kept.any():
            has = f"it has {', '.join(there)}" if there else "it has none at all"
            raise SelectionError(f'{name} "{value}": this result has no such patch; {has}')
    return dataset.isel({PATCH: kept})


def require_labels(dataset: xarray.Dataset, names: Sequence[str]) -> None:
    """Raises SelectionError unless each of ``names`` is a label of the patches."""
    lacking = [name for name in names if name not in dataset.variables or dataset[name].dims != (PATCH,)]
    if lacking:
        raise SelectionError(f"this is no patching result: its patches have no {', '.join(lacking)}")


def independent_samples(
    pairs: Sequence[Hashable], donors: Sequence[Hashable], recipients: Sequence[Hashable]
) -> NDArray[np.intp]:
    """Which patches are of the same independent sample: equal numbers, (patch,), from 0 by their first pair.

    Patches belong together if they have the same pair, or the same recipient sample, or the same two samples
    whichever of them is the donor; and so do those that others tie together in this way.
    """
    ties: list[list[Hashable]] = [
        [("pair", pair) for pair in pairs],
        [("recipient", recipient) for recipient in recipients],
        [("both", frozenset(both)) for both in zip(donors, recipients, strict=True)],
    ]
    count = len(pairs)
    names = [name for tie in ties for name in tie]
    number = {name: count + index for index, name in enumerate(dict.fromkeys(names))}
    patches, tied = np.tile(np.arange(count), len(ties)), np.array([number[name] for name in names])
    size = count + len(number)
    links = coo_array((np.ones(len(tied), dtype=bool), (patches, tied)), shape=(size, size))
    tied_in = connected_components(links, directed=False)[1][:count].tolist()
    # Numbered by what they are of, not by where they stand, so that draws do not depend on the order.
    first: dict[int, str] = {}
    for one, pair in zip(tied_in, pairs, strict=True):
        first[one] = min(first.get(one, str(pair)), str(pair))
    rank = {one: index for index, one in enumerate(sorted(first, key=first.__getitem__))}
    return np.array([rank[one] for one in tied_in], dtype=np.intp)
