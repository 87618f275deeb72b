"""Maps of the runs of a store, as a result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from probes.maps.channels import MassiveRule
from probes.maps.choosing import Sweep, choose
from probes.maps.collecting import Scope, Wanted, collect
from probes.maps.labelling import labelled
from probes.maps.principal import COMPONENTS
from probes.results.provenance import provenance
from probes.results.result import Result
from stores import SelectionError, Store, open_store, selection
from stores.chosen_runs import SampleNames
from stores.filters import Seeds
from stores.layout import BASE

if TYPE_CHECKING:
    Selection = selection.Selection

FIT_TOKENS = 2048
SHOWN = 4
MOST_BYTES = 2 * 2**30


def maps(
    store: Store | Path | str,
    *,
    site: str = "resid",
    reduction: str | None = None,
    steps: Selection = "all",
    layers: Selection = "all",
    samples: SampleNames = None,
    seeds: Seeds = None,
    variant: str = BASE,
    branch: str | None = None,
    against: str | None = None,
    against_store: Store | Path | str | None = None,
    pca: str | None = None,
    spare_massive: bool = False,
    massive_least: float = 100.0,
    massive_ratio: float = 1000.0,
    channels: str | Sequence[int] | None = None,
    fit_tokens: int = FIT_TOKENS,
    seed: int = 0,
    show_step: int | None = None,
    show_layer: int | None = None,
    show_frame: int | None = None,
    max_bytes: int = MOST_BYTES,
    progress: Callable[[int, int], None] | None = None,
    command: str | None = None,
) -> Result:
    """Maps on the token grid: energy, principal components, the largest channels, and massive activations.

    Every slab is read twice, and one is in memory at a time.

    Args:
        store: a store, or its folder.
        site, reduction, branch: what is read, as in `Run.read`.
        steps, layers: selections of those that all chosen runs hold.
        samples, seeds, variant: which runs, as in `stores.chosen_runs`.
        against: another run to stand beside the one that is chosen, as SAMPLE/SEED or SAMPLE/SEED.VARIANT;
            None is the run of the same name, if there is another store.
        against_store: where that run is; None is the same store.
        pca: one for the whole ``sweep`` of runs, steps and layers, so that a colour means the same wherever
            it is; one for each ``layer``; or ``none``. None is "sweep" where the reduction allows it.
        spare_massive: leave massive channels out of the PCA.
        massive_least, massive_ratio: a magnitude above the first and at least the second times the median is
            massive; the defaults are those of Sun et al. (2024).
        channels: those that are kept as maps, numbers or a selection; None is the four of largest magnitude.
        fit_tokens: a PCA is fitted on so many tokens of each slab at most, the same of each, drawn by
            ``seed``.
        seed: of the bootstrap, and of these tokens.
        show_step, show_layer, show_frame: what figures show that cannot show all; negative ones count from
            the end. None is the middle step, the middle layer and the last frame.
        max_bytes: of the maps, which are held in memory.
        progress: called with how many slabs are read, and how many are to be.
        command: the command line that repeats it.

    Returns:
        A result of the kind "maps"; docs/maps.md lists what is in it.

    Raises:
        SelectionError: what is asked for is not there, cannot be had of the reduction, does not compare, or
            would be larger than ``max_bytes``.
        StoreError: a run is damaged, without activations, or holds numbers that are not finite.
    """
    opened = store if isinstance(store, Store) else open_store(store)
    sweep = choose(
        opened,
        site=site,
        reduction=reduction,
        steps=steps,
        layers=layers,
        samples=samples,
        seeds=seeds,
        variant=variant,
        branch=branch,
        against=against,
        against_store=against_store,
    )
    notes = list(sweep.notes)
    if fit_tokens < 1:
        raise SelectionError(f"a PCA is fitted on one token of each slab or more, not {fit_tokens}")
    rule = MassiveRule(massive_least, massive_ratio)
    has_channels = sweep.kept.items == "channel"
    wanted = Wanted(
        scope=_scope(sweep, pca, notes),
        spare_massive=spare_massive,
        rule=rule if has_channels else None,
        channels=_channels(sweep, channels, notes),
        shown=min(SHOWN, sweep.kept.channels),
        fit_tokens=fit_tokens,
        seed=seed,
    )
    shown = {
        "step": _shown(show_step, sweep.steps, "steps", len(sweep.steps) // 2),
        "layer": _shown(show_layer, sweep.layers, "layers", len(sweep.layers) // 2),
        "frame": _shown(show_frame, sweep.kept.frames, "frames", -1),
    }
    _require_room(sweep, wanted, max_bytes)
    total, done = sweep.slabs * wanted.passes, 0

    def count() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    dataset = labelled(sweep, wanted, collect(sweep, wanted, count), shown, notes)
    asked = {
        "runs": [chosen.name for chosen in sweep.runs],
        "stores": [chosen.store.path.name for chosen in sweep.runs],
        "site": sweep.site,
        "reduction": sweep.kept.reduction,
        "branch": sweep.branch,
        "steps": selection.compact(sweep.steps),
        "layers": selection.compact(sweep.layers),
        "pca": wanted.scope or "none",
        "spare_massive": spare_massive,
        "massive": asdict(rule) if has_channels else None,
        "channels": None if wanted.channels is None else list(wanted.channels),
        "fit_tokens": fit_tokens,
        "seed": seed,
        "shown": shown,
    }
    return Result(dataset, provenance("maps", opened, asked, command=command, notes=notes))


def _scope(sweep: Sweep, asked: str | None, notes: list[str]) -> Scope | None:
    if asked not in (None, "sweep", "layer", "none"):
        raise SelectionError(f"pca {asked!r}: choose sweep, layer or none")
    kept = sweep.kept
    why = None
    if kept.items == "energy":
        why = f"reduction {kept.reduction} keeps no channels"
    elif kept.channels < COMPONENTS:
        why = f"reduction {kept.reduction} keeps {kept.channels} {kept.items}s, and {COMPONENTS} are needed"
    elif kept.tokens * sweep.slabs <= COMPONENTS and asked is None:
        why = f"it needs more than {COMPONENTS} tokens"
    if why is None:
        return "layer" if asked == "layer" else None if asked == "none" else "sweep"
    if asked in ("sweep", "layer"):
        raise SelectionError(f"there is no PCA to colours: {why}; choose none, or another reduction")
    notes.append(f"no PCA: {why}")
    return None


def _channels(sweep: Sweep, asked: str | Sequence[int] | None, notes: list[str]) -> tuple[int, ...] | None:
    kept = sweep.kept
    if kept.items == "channel":
        if asked is None:
            return None
        return selection.select(asked, range(kept.channels), "channels", f"site {sweep.key}")
    if asked is not None:
        raise SelectionError(
            f"channels cannot be chosen: reduction {kept.reduction} keeps none; choose another reduction"
        )
    notes.append(f"no channels and no massive activations: reduction {kept.reduction} keeps no channels")
    return None


def _shown(asked: int | None, there: Iterable[int], what: str, default: int) -> int:
    numbers = tuple(there)
    if asked is None:
        return numbers[default]
    return selection.select(asked, numbers, what, "what is chosen")[0]


def _require_room(sweep: Sweep, wanted: Wanted, most: int) -> None:
    maps_each = 1 + (COMPONENTS if wanted.scope else 0)
    if wanted.rule is not None:
        # Energies without massive channels, and where these are, are not known to be needed yet.
        maps_each += 2 + (wanted.shown if wanted.channels is None else len(wanted.channels))
    frames, rows, cols = sweep.kept.grid
    size = 4 * maps_each * frames * rows * cols * sweep.slabs
    if size > most:
        raise SelectionError(
            f"maps of {len(sweep.runs)} runs, {len(sweep.steps)} steps and {len(sweep.layers)} layers take "
            f"{size / 2**30:.1f} GiB, more than {most / 2**30:.1f}; choose fewer, such as every fifth step"
        )
