"""Which runs, steps and layers maps are made of, checked before anything is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from probes.maps.places import Kept
from stores import RunEntry, SelectionError, Store, StoreError, open_store, selection
from stores.chosen_runs import SampleNames, chosen_runs, select_held
from stores.filters import Seeds
from stores.layout import BASE
from stores.reader import Run
from stores.sites import meant_branch

_RUN = re.compile(r"(?P<sample>[^/]+)/(?P<seed>[0-9]{1,18})(?:\.(?P<variant>[a-z][a-z0-9_-]*))?")


@dataclass(frozen=True, eq=False)
class ChosenRun:
    """A run of a store."""

    store: Store
    entry: RunEntry

    @property
    def name(self) -> str:
        """As `maze-3/7`, or `maze-3/7.patched` for another variant than base."""
        variant = "" if self.entry.variant == BASE else f".{self.entry.variant}"
        return f"{self.entry.sample}/{self.entry.seed}{variant}"

    @property
    def group(self) -> tuple[Path, str]:
        """Runs of one group are repetitions of one another: those of one store and variant."""
        return self.store.path, self.entry.variant

    def open(self) -> Run:
        """Opens it; a context manager. Raises StoreError if it is damaged or gone."""
        return self.store.run(self.entry.sample, self.entry.seed, self.entry.variant)


@dataclass(frozen=True, eq=False)
class Sweep:
    """What maps are made of: every step and layer of every run.

    Attributes:
        runs: in order; the first two are those that are shown side by side.
        site, key, branch: what is read of each.
        steps, layers: those that all runs hold, of those asked for.
        kept: what the reduction keeps, the same in all runs.
        notes: what the reader should know.
    """

    runs: tuple[ChosenRun, ...]
    site: str
    key: str
    branch: str
    steps: tuple[int, ...]
    layers: tuple[int, ...]
    kept: Kept
    notes: tuple[str, ...]

    @property
    def slabs(self) -> int:
        """How many (run, step, layer) there are."""
        return len(self.runs) * len(self.steps) * len(self.layers)


def named_run(store: Store, name: str) -> ChosenRun:
    """The run that is called ``SAMPLE/SEED`` or ``SAMPLE/SEED.VARIANT``.

    Raises:
        SelectionError: the name cannot be read, or there is no such run.
    """
    match = _RUN.fullmatch(name)
    if match is None:
        raise SelectionError(f"run {name!r}: write SAMPLE/SEED, or SAMPLE/SEED.VARIANT, such as maze-3/7")
    found = chosen_runs(store, match["sample"], match["seed"], match["variant"] or BASE)
    if len(found) > 1:
        raise SelectionError(f"run {name!r}: name a single sample")
    return ChosenRun(store, found[0])


def choose(
    store: Store,
    *,
    site: str,
    reduction: str | None,
    steps: selection.Selection,
    layers: selection.Selection,
    samples: SampleNames,
    seeds: Seeds,
    variant: str,
    branch: str | None,
    against: str | None,
    against_store: Store | Path | str | None,
) -> Sweep:
    """What maps are made of; the arguments are those of `making.maps`.

    Raises:
        SelectionError, StoreError: something is not there, or runs cannot be compared.
    """
    runs = [ChosenRun(store, entry) for entry in chosen_runs(store, samples, seeds, variant)]
    if against is not None or against_store is not None:
        runs = [*_single(runs), _other(runs[0], against, against_store)]
    kept: list[Kept] = []
    keys, branches = list[str](), list[str]()
    held: dict[str, list[tuple[int, ...]]] = {"steps": [], "layers": []}
    for chosen in runs:
        with chosen.open() as run:
            if not run.sites:
                raise StoreError(f"{run.path}: this run holds no activations; trace it with --sites {site}")
            info = run.site(site, reduction)
            keys.append(info.key)
            branches.append(meant_branch(info.branches, branch, run.path))
            held["steps"].append(info.steps)
            held["layers"].append(info.layers)
            kept.append(Kept.of(run, info.key))
    _require_alike(runs, keys, branches, kept)
    notes: list[str] = []
    chosen_steps = _select(steps, held["steps"], "steps", notes)
    chosen_layers = _select(layers, held["layers"], "layers", notes)
    return Sweep(tuple(runs), site, keys[0], branches[0], chosen_steps, chosen_layers, kept[0], tuple(notes))


def _single(runs: list[ChosenRun]) -> list[ChosenRun]:
    if len(runs) > 1:
        raise SelectionError(
            f"side by side stand two runs, but {len(runs)} are chosen beside the other: "
            "choose one by its sample and seed"
        )
    return runs


def _other(first: ChosenRun, against: str | None, store: Store | Path | str | None) -> ChosenRun:
    opened = first.store if store is None else store if isinstance(store, Store) else open_store(store)
    other = named_run(opened, first.name if against is None else against)
    if (other.group, other.name) == (first.group, first.name):
        raise SelectionError(f"run {other.name} stands beside itself; name another, or another store")
    return other


def _require_alike(
    runs: Sequence[ChosenRun], keys: Sequence[str], branches: Sequence[str], kept: Sequence[Kept]
) -> None:
    for chosen, key, branch, one in zip(runs, keys, branches, kept, strict=True):
        what = kept[0].differences(one)
        if what is None and key != keys[0]:
            what = f"are stored as {keys[0]} and {key}"
        if what is None and branch != branches[0]:
            what = f"have the branches {branches[0]} and {branch}"
        if what is not None:
            raise SelectionError(
                f"runs {runs[0].name} and {chosen.name} {what}; choose runs that have the same"
            )


def _select(
    asked: selection.Selection, held: Sequence[tuple[int, ...]], what: str, notes: list[str]
) -> tuple[int, ...]:
    where = "this store" if len(held) == 1 else "every chosen run"
    return select_held(asked, held, what, where, notes)
