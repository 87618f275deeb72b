"""What of a store is exported: which runs, and which slabs of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import NamedTuple, TypeAlias

from stores import layout, selection
from stores.entries import RunEntry
from stores.errors import SelectionError, StoreError
from stores.filters import Samples, Seeds
from stores.reader import Run
from stores.reduction import parse_reduction
from stores.sites import SiteInfo, select_branches
from stores.store import Store

Progress = Callable[[int, int, str], None]
# Called with (file, bytes) of each slab that an export has taken.
Copied = Callable[[str, int], None]

_LATENTS = (layout.NOISY, layout.PREDICTION)


# Some names, or a text of names separated by commas. None, and the text "all", are all of them.
Names: TypeAlias = str | Iterable[str] | None


@dataclass(frozen=True)
class Wanted:
    """What is asked for; None stands for all.

    Attributes:
        samples, seeds, variant: runs, as in `Store.runs`.
        sites: names ("resid") or keys ("resid@norm"), as a tuple or a text ("resid,mlp"); () is none.
        reductions: "full", "project:64" and so on, likewise.
        layers, steps: selections, as "0-9". A layer counts as stored if one of the sites has it.
        branches: such as "cond" and "uncond", likewise.
        latents, video: whether they are taken, of the runs that have them.
    """

    samples: Samples = None
    seeds: Seeds = None
    variant: str | None = None
    sites: Names = None
    reductions: Names = None
    layers: selection.Selection = "all"
    steps: selection.Selection = "all"
    branches: Names = None
    latents: bool = True
    video: bool = True


@dataclass(frozen=True)
class ChosenSite:
    """What is taken of a site under one reduction, in the order in which it is stored."""

    info: SiteInfo
    steps: tuple[int, ...]
    layers: tuple[int, ...]
    branches: tuple[str, ...]

    @property
    def path(self) -> str:
        """Of the dataset in the run's file."""
        return f"{layout.ACTIVATIONS}/{self.info.key}"

    @property
    def index_shape(self) -> tuple[int, int, int]:
        """How many steps, layers and branches are taken."""
        return len(self.steps), len(self.layers), len(self.branches)

    @property
    def positions(self) -> tuple[list[int], list[int], list[int]]:
        """Where they lie along the first three axes of the dataset."""
        info = self.info
        return (
            [info.steps.index(step) for step in self.steps],
            [info.layers.index(layer) for layer in self.layers],
            [info.branches.index(branch) for branch in self.branches],
        )

    def places(self) -> Iterator[tuple[int, int, str]]:
        """Every (step, layer, branch)."""
        yield from product(self.steps, self.layers, self.branches)

    @property
    def size(self) -> int:
        """Bytes of all of it, before compression."""
        return prod(self.index_shape) * self.info.slab_bytes


@dataclass(frozen=True)
class ChosenRun:
    """What is taken of a run.

    Attributes:
        entry: the run.
        sites: of it.
        slabs: paths of the other datasets of slabs that are taken: latents, video.
        pinned: whether the pinned frames are taken, which belong to the latents.
        raw_bytes: of all that is taken, before compression.
        file_bytes: what that takes in the run's file; an estimate if chunks are compressed.
    """

    entry: RunEntry
    sites: tuple[ChosenSite, ...]
    slabs: tuple[str, ...]
    pinned: bool
    raw_bytes: int
    file_bytes: int

    @property
    def name(self) -> str:
        """As in the store, without the folder and the suffix: ``maze-3/7`` or ``maze-3/7.patched``."""
        return self.entry.file.removeprefix(f"{layout.RUNS}/").removesuffix(".h5")

    def takes(self, path: str) -> bool:
        """Whether a value of the run's file that is no slab is taken; see `contents.Contents`."""
        first, _, rest = path.partition("/")
        if path in (layout.PINNED, layout.PINNED_MASK):
            return self.pinned
        if first in (layout.SCALES, layout.PROJECTIONS):
            return any(rest.split("/")[0] == site.info.key for site in self.sites)
        return True


def choose(store: Store, wanted: Wanted, progress: Progress | None = None) -> tuple[ChosenRun, ...]:
    """Finds what is wanted; opens every run that is selected.

    Args:
        progress: called with (runs opened, runs in all, file).

    Raises:
        StoreError: no run is selected, a site, reduction or branch is stored in none of them, or a run is
            damaged.
        SelectionError: a selection cannot be read, or reaches beyond what is stored.
    """
    named = _named(wanted)
    entries = store.runs(wanted.samples, wanted.seeds, wanted.variant)
    if not entries:
        raise StoreError(f"{store.path}: no run is selected")
    _check_named(named, {key for entry in entries for key in entry.sites}, store)
    chosen: list[ChosenRun] = []
    for done, entry in enumerate(entries):
        if progress is not None:
            progress(done, len(entries), entry.file)
        with store.run(*entry.key) as run:
            chosen.append(_choose_run(run, entry, wanted, named))
    return tuple(chosen)


class _Named(NamedTuple):
    """The names in a `Wanted`; those of reductions are canonical."""

    sites: tuple[str, ...] | None
    reductions: tuple[str, ...] | None
    branches: tuple[str, ...] | None


def _named(wanted: Wanted) -> _Named:
    reductions = _names(wanted.reductions, "reductions")
    if reductions is not None:
        reductions = tuple(str(parse_reduction(text)) for text in reductions)
    return _Named(_names(wanted.sites, "sites"), reductions, _names(wanted.branches, "branches"))


def _names(given: Names, what: str) -> tuple[str, ...] | None:
    if given is None or given == "all":
        return None
    if not isinstance(given, str):
        return tuple(given)
    names = tuple(name.strip() for name in given.split(","))
    if not all(names):
        raise SelectionError(f'{what} "{given}": a name is empty; write names separated by commas, or all')
    return names


def _check_named(named: _Named, stored: set[str], store: Store) -> None:
    """Raises StoreError if a site or a reduction is asked for that no selected run has."""
    known = ", ".join(sorted(stored)) or "no sites"
    for site in named.sites or ():
        if not any(site in (key, layout.split_site_key(key)[0]) for key in stored):
            raise StoreError(f"site {site!r}: the selected runs of {store.path} have {known}")
    for reduction in named.reductions or ():
        if not any(layout.split_site_key(key)[1] == reduction for key in stored):
            raise StoreError(f"reduction {reduction}: the selected runs of {store.path} have {known}")


def _choose_run(run: Run, entry: RunEntry, wanted: Wanted, named: _Named) -> ChosenRun:
    sites = tuple(_choose_sites(run, wanted, named))
    sizes = {path: prod(slabs.index_shape) * slabs.layout.slab_bytes for path, slabs in run.slabs()}
    others = tuple(
        path
        for path in sizes
        if (path in _LATENTS and wanted.latents) or (path == layout.VIDEO and wanted.video)
    )
    raw = sum(site.size for site in sites) + sum(sizes[path] for path in others)
    whole = sum(sizes.values())
    return ChosenRun(
        entry=entry,
        sites=sites,
        slabs=others,
        pinned=wanted.latents,
        raw_bytes=raw,
        file_bytes=entry.size * raw // whole if whole else entry.size,
    )


def _choose_sites(run: Run, wanted: Wanted, named: _Named) -> Iterator[ChosenSite]:
    infos = [
        info
        for key, info in run.sites.items()
        if (named.sites is None or key in named.sites or info.site in named.sites)
        and (named.reductions is None or info.reduction in named.reductions)
    ]
    if not infos:
        return
    where = f"this choice of sites of {run.path}"
    layers = selection.select(wanted.layers, _union(info.layers for info in infos), "layers", where)
    steps = selection.select(wanted.steps, _union(info.steps for info in infos), "steps", where)
    for info in infos:
        site = ChosenSite(
            info,
            tuple(step for step in info.steps if step in steps),
            tuple(layer for layer in info.layers if layer in layers),
            select_branches(named.branches, info.branches, run.path),
        )
        # A sublayer's site has no layer 0.
        if site.steps and site.layers:
            yield site


def _union(numbers: Iterable[tuple[int, ...]]) -> list[int]:
    return sorted(set().union(*numbers))
