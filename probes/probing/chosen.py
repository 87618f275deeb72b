"""Which activations are probed: the runs, and what all of them hold of a site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stores import Run, RunEntry, Store, selection
from stores.chosen_runs import SampleNames, chosen_runs, select_held
from stores.errors import SelectionError
from stores.filters import Seeds
from stores.layout import BASE
from stores.sites import SiteInfo, meant_branch
from stores.token_selection import GRID_AXES


@dataclass(frozen=True, eq=False)
class Chosen:
    """Runs, and the (step, layer) of a site that all of them hold in the same way.

    Attributes:
        store: where they lie.
        entries: the runs, by sample and seed.
        info: of the site in the first run; steps and layers may be more than are chosen.
        branch: what is read.
        steps, layers: what is read, ascending.
        places: (token,) flat indices into the token grid of the tokens that are kept; None if tokens are not
            told apart, as under the reductions ``mean`` and ``frames``.
        notes: steps and layers that were left out since not all runs hold them.
    """

    store: Store
    entries: tuple[RunEntry, ...]
    info: SiteInfo
    branch: str
    steps: tuple[int, ...]
    layers: tuple[int, ...]
    places: NDArray[np.int64] | None
    notes: tuple[str, ...]

    @property
    def channels(self) -> int:
        """Numbers that a probe is given of a token: channels, components, or 1 for norms."""
        return self.info.shape[-1] if self.info.item_axes else 1

    @property
    def samples(self) -> tuple[str, ...]:
        """The samples of the runs, in order."""
        return tuple(dict.fromkeys(entry.sample for entry in self.entries))


def choose(
    store: Store,
    *,
    site: str = "resid",
    reduction: str | None = None,
    branch: str | None = None,
    steps: selection.Selection = "all",
    layers: selection.Selection = "all",
    samples: SampleNames = None,
    seeds: Seeds = None,
    variant: str = BASE,
) -> Chosen:
    """The runs, steps and layers that are asked for.

    Args:
        site, reduction, branch: as in `Run.read`.
        steps, layers: of those that every run holds.
        samples, seeds, variant: as in `stores.chosen_runs`.

    Raises:
        SelectionError: there is no such run, step or layer, or runs differ in their token grids.
        StoreError: a run holds no such site or branch.
    """
    entries = chosen_runs(store, samples, seeds, variant)
    infos: list[SiteInfo] = []
    places: NDArray[np.int64] | None = None
    for entry in entries:
        with store.run(*entry.key) as run:
            info = run.site(site, reduction)
            infos.append(info)
            here = _places(run, info)
            if len(infos) == 1:
                places = here
            _require_same(store, entries[0], entry, infos[0], info, places, here)
            branch = meant_branch(info.branches, branch, run.path)
    where = f"site {infos[0].key} of {store.path}"
    notes: list[str] = []
    return Chosen(
        store=store,
        entries=tuple(entries),
        info=infos[0],
        branch=meant_branch(infos[0].branches, branch, where),
        steps=select_held(steps, [info.steps for info in infos], "steps", where, notes),
        layers=select_held(layers, [info.layers for info in infos], "layers", where, notes),
        places=places,
        notes=tuple(notes),
    )


def _places(run: Run, info: SiteInfo) -> NDArray[np.int64] | None:
    if "token" in info.axes:
        return np.asarray(np.ravel_multi_index(tuple(run.token_places(info.key).T), info.grid), np.int64)
    return np.arange(np.prod(info.grid), dtype=np.int64) if set(GRID_AXES) <= set(info.axes) else None


def _require_same(
    store: Store,
    first: RunEntry,
    entry: RunEntry,
    one: SiteInfo,
    other: SiteInfo,
    places: NDArray[np.int64] | None,
    here: NDArray[np.int64] | None,
) -> None:
    names = f"{first.sample} seed {first.seed} and {entry.sample} seed {entry.seed} of {store.path}"
    if one.grid != other.grid or one.shape != other.shape:
        sizes = (
            f"{'x'.join(map(str, info.grid))} tokens of {info.channels} channels" for info in (one, other)
        )
        raise SelectionError(f"{names} differ: {' and '.join(sizes)}; choose samples of one size")
    if one.key != other.key:
        raise SelectionError(f"{names} keep {one.key} and {other.key}; say which by --reduction")
    if places is not None and here is not None and not np.array_equal(places, here):
        raise SelectionError(f"{names} keep other tokens under {one.key}; choose runs that keep the same")
