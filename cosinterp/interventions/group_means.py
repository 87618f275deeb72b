"""Means of activations over runs, one activation in memory at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosinterp.errors import InterventionError
from cosinterp.interventions.token_groups import TokenGroup
from stores import Run, RunEntry, Store
from stores.selection import Selection, compact, select
from stores.sites import SiteInfo, default_branch

Float64 = NDArray[np.float64]

ALL = "all"
_FULL, _MEAN = "full", "mean"


@dataclass(frozen=True)
class Places:
    """Where in runs a mean is taken.

    Attributes:
        site, steps, layers, branch: where.
        tokens: over which tokens, as a text of `TokenGroup`.
        reduction: under which the store has them.
    """

    site: str
    steps: tuple[int, ...]
    layers: tuple[int, ...]
    branch: str
    tokens: str
    reduction: str


def places_of_runs(
    store: Store,
    entries: Sequence[RunEntry],
    site: str,
    *,
    steps: Selection,
    layers: Selection,
    branch: str | None,
    tokens: str,
) -> Places:
    """What is selected of the first run, if all the others have it too.

    ``branch``: None: "cond" where that is stored, else the first.

    Raises:
        SelectionError: the first run does not have it.
        StoreError: a run does not have the site.
        InterventionError: another run does not have it.
    """
    group = ALL if tokens == ALL else str(TokenGroup.parse(tokens))
    with _opened(store, entries[0]) as run:
        reduction = _reduction(run, site, group)
        info = run.site(site, reduction)
    places = Places(
        site,
        select(steps, info.steps, "steps", "this store"),
        select(layers, info.layers, "layers", "this store"),
        default_branch(info.branches) if branch is None else branch,
        group,
        reduction,
    )
    for entry in entries:
        with _opened(store, entry) as run:
            require(run, places, store, channels=info.channels)
    return places


def require(run: Run, places: Places, store: Store, channels: int | None = None) -> SiteInfo:
    """What a run holds of a site, if that is all of the places.

    Raises:
        StoreError: it does not have the site.
        InterventionError: it lacks a step, layer or branch, or has not so many channels.
    """
    info = run.site(places.site, places.reduction)
    who = f"{store.path}: {places.site} of {run.sample} seed {run.seed}"
    for what, asked, there in (("step", places.steps, info.steps), ("layer", places.layers, info.layers)):
        lacking = sorted(set(asked) - set(there))
        if lacking:
            raise InterventionError(
                f"{who} is stored at {what}s {compact(there)}, and {what} {lacking[0]} is needed for a mean"
            )
    if places.branch not in info.branches:
        raise InterventionError(
            f"{who} is stored of {', '.join(info.branches)}, and {places.branch} is needed for a mean"
        )
    if channels is not None and info.channels != channels:
        raise InterventionError(f"{who} has {info.channels} channels, and other runs have {channels}")
    return info


def group_mean(store: Store, entries: Sequence[RunEntry], places: Places) -> Float64:
    """The mean over runs of the mean over tokens of each: (step, layer, channel)."""
    total: Float64 | None = None
    for entry in entries:
        own = _token_means(store, entry, places)
        total = own if total is None else total + own
    if total is None:
        raise ValueError("there is no run to take a mean over")
    return total / len(entries)


def _token_means(store: Store, entry: RunEntry, places: Places) -> Float64:
    """Of one run: (step, layer, channel)."""
    with _opened(store, entry) as run:
        info, truth = run.site(places.site, places.reduction), run.truth
    mask = None
    if places.tokens != ALL:
        mask = TokenGroup.parse(places.tokens).mask(info.grid, truth, truth)
    means = np.empty((len(places.steps), len(places.layers), info.channels))
    for _, step, layer, _, array in store.iter(
        places.site,
        places.steps,
        places.layers,
        entry.sample,
        entry.seed,
        places.branch,
        reduction=places.reduction,
    ):
        tokens = array.reshape(-1, info.channels) if mask is None else array[mask]
        means[places.steps.index(step), places.layers.index(layer)] = tokens.mean(axis=0, dtype=np.float64)
    return means


def _reduction(run: Run, site: str, tokens: str) -> str:
    """Under which reduction a mean over tokens is read: in full, or where that will do, as the mean."""
    kept = [info.reduction for info in run.sites.values() if info.site == site]
    return _MEAN if tokens == ALL and _FULL not in kept and _MEAN in kept else _FULL


def _opened(store: Store, entry: RunEntry) -> Run:
    return store.run(entry.sample, entry.seed, entry.variant)
