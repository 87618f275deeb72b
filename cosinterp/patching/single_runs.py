"""Runs that are changed by themselves, without a donor: the recipients of ablations and of steering."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.interventions.intervention import RunRef
from cosinterp.patching.pairs import Pair
from stores.chosen_runs import SampleNames, chosen_runs
from stores.filters import Seeds
from stores.store import open_store

if TYPE_CHECKING:
    from stores import Run, Store


def opened_store(store: Store | str | Path) -> Store:
    """A store, or that of a folder. Raises StoreError if there is none."""
    return open_store(store) if isinstance(store, str | Path) else store


def listed(names: Sequence[str] | str) -> tuple[str, ...]:
    """One name or several."""
    return (names,) if isinstance(names, str) else tuple(names)


def runs_alone(store: Store, samples: SampleNames, seeds: Seeds) -> list[Pair]:
    """Each of these runs as its own donor, since there is none that effects could be shares of the way to.

    Raises:
        SelectionError: there are no such runs.
    """
    refs = [
        RunRef(store=str(store.path), sample=entry.sample, seed=entry.seed)
        for entry in chosen_runs(store, samples, seeds)
    ]
    return [Pair(ref.sample, ref, ref) for ref in refs]


def run_of(store: Store, ref: RunRef) -> Run:
    """A run of a store, for a moment; see `Store.shared_run`."""
    return store.shared_run(ref.sample, ref.seed, ref.variant)


def settings_of(store: Store, ref: RunRef) -> dict[str, Any]:
    """The sampling settings of a run, complete."""
    return dict(run_of(store, ref).attrs["sampling"])
