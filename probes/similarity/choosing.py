"""From what is asked for to a design: which runs, steps and layers there are to compare."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from probes.similarity.designs import (
    ACROSS,
    SQUARES,
    Across,
    Design,
    Source,
    between_samples,
    between_seeds,
    squares,
    twins,
)
from probes.similarity.rows import Place
from stores import SelectionError, SiteInfo, Store
from stores.chosen_runs import SampleNames, chosen_runs, select_held
from stores.filters import Seeds
from stores.layout import BASE
from stores.selection import Selection, compact

_SHOWN = 3


@dataclass(frozen=True)
class Asked:
    """Which runs and places are to be compared.

    Attributes:
        across: see `designs`.
        samples, seeds, variant: which runs, as in `chosen_runs`.
        steps, layers: selections of what is stored.
        other_variant: with "variants" what ``variant`` is compared with, None for the only other one; with
            "stores" the variant in the other store, None for the same.
        other: with "stores" the other store.
    """

    across: Across
    samples: SampleNames = None
    seeds: Seeds = None
    variant: str = BASE
    steps: Selection = "all"
    layers: Selection = "all"
    other_variant: str | None = None
    other: Store | None = None


def design_of(store: Store, asked: Asked, place: Place) -> Design:
    """The design of what is asked for.

    Raises:
        SelectionError: it names nothing that can be compared; says what is there.
        StoreError: a run cannot be read, or lacks the site.
    """
    across = asked.across
    if across not in ACROSS:
        raise SelectionError(f'"{across}" cannot be compared across; there are {", ".join(ACROSS)}')
    if across != "stores" and asked.other is not None:
        raise SelectionError(f"another store is compared across stores, not across {across}")
    if across not in ("stores", "variants") and asked.other_variant is not None:
        raise SelectionError(f"another variant is compared across variants or stores, not across {across}")
    first = Source(store, asked.variant)
    runs = _keys(store, asked, asked.variant)
    if across in SQUARES:
        samples, seeds, notes = _balanced(runs)
        steps, layers = _places(asked, _infos([first], samples, seeds, place), notes)
        return squares(across, first, samples, seeds, steps, layers, notes)
    if across in ("variants", "stores"):
        second = _second(store, asked)
        samples, seeds, notes = _balanced(_shared(first, second, runs, asked))
        infos = _infos([first, second], samples, seeds, place)
        _require_one_schedule(first, second, samples[0], seeds[0])
        steps, layers = _places(asked, infos, notes)
        return twins(across, first, second, samples, seeds, steps, layers, notes)
    samples, seeds, notes = _balanced(runs, least_seeds=2 if across == "seeds" else 1)
    steps, layers = _places(asked, _infos([first], samples, seeds, place), notes)
    make = between_seeds if across == "seeds" else between_samples
    return make(store, asked.variant, samples, seeds, steps, layers, notes)


def _keys(store: Store, asked: Asked, variant: str) -> set[tuple[str, int]]:
    return {(entry.sample, entry.seed) for entry in chosen_runs(store, asked.samples, asked.seeds, variant)}


def _second(store: Store, asked: Asked) -> Source:
    """What the runs are compared with.

    Raises:
        SelectionError: it is not said, is not there, or is the same.
    """
    if asked.across == "stores":
        if asked.other is None:
            raise SelectionError("across stores: say which other store, by --with STORE")
        variant = asked.variant if asked.other_variant is None else asked.other_variant
        if asked.other.path.resolve() == store.path.resolve() and variant == asked.variant:
            raise SelectionError(f"{store.path} is compared with itself; name another store")
        return Source(asked.other, variant)
    there = sorted({entry.variant for entry in store.runs()} - {asked.variant})
    if asked.other_variant == asked.variant:
        raise SelectionError(f"the variant {asked.variant} is compared with itself; name another")
    if asked.other_variant is not None:
        return Source(store, asked.other_variant)
    if len(there) != 1:
        has = f"has {', '.join(there)} beside {asked.variant}" if there else f"has {asked.variant} only"
        more = "say which, by --other-variant" if there else "compare with another store, by --with"
        raise SelectionError(f"across variants: {store.path} {has}; {more}")
    return Source(store, there[0])


def _shared(first: Source, second: Source, runs: set[tuple[str, int]], asked: Asked) -> set[tuple[str, int]]:
    """The runs that both sources have.

    Raises:
        SelectionError: there is none.
    """
    others = {(entry.sample, entry.seed) for entry in second.store.runs(variant=second.variant)}
    if not others:
        variants = ", ".join(sorted({entry.variant for entry in second.store.runs()}))
        raise SelectionError(
            f"{second.store.path} has no runs of the variant {second.variant}; it has {variants or 'none'}"
        )
    shared = runs & others
    if not shared:
        what = "seeds in common" if {s for s, _ in runs} & {s for s, _ in others} else "samples in common"
        raise SelectionError(
            f"no {what}: {_side(first)} has {_described(runs)}, {_side(second)} {_described(others)}"
        )
    return shared


def _side(source: Source) -> str:
    return str(source.store.path) if source.variant == BASE else f"{source.store.path} ({source.variant})"


def _balanced(
    runs: Iterable[tuple[str, int]], least_seeds: int = 1
) -> tuple[tuple[str, ...], tuple[int, ...], list[str]]:
    """Samples and seeds of which every combination is there, as many runs as can be; and what is left out.

    Samples are left out, or exchanged, as wholes, so each has to have the same seeds.
    """
    seeds_of: dict[str, set[int]] = {}
    for sample, seed in sorted(runs):
        seeds_of.setdefault(sample, set()).add(seed)
    options = {frozenset(seeds) for seeds in seeds_of.values()}
    options.add(frozenset(set.intersection(*seeds_of.values())))
    usable = [option for option in options if len(option) >= least_seeds] or [max(options, key=len)]

    def gain(option: frozenset[int]) -> tuple[int, int, list[int]]:
        having = sum(option <= seeds for seeds in seeds_of.values())
        return len(option) * having, having, [-seed for seed in sorted(option)]

    best = max(usable, key=gain)
    samples = tuple(sample for sample, seeds in seeds_of.items() if best <= seeds)
    notes = []
    lacking = [sample for sample in seeds_of if sample not in samples]
    if lacking:
        notes.append(f"left out for want of seeds {compact(best)}: {_listed(lacking)}")
    spare = set.union(*seeds_of.values()) - best
    if spare and any(seeds_of[sample] & spare for sample in samples):
        notes.append(f"left out, for not all samples have them: seeds {compact(spare)}")
    return samples, tuple(sorted(best)), notes


def _infos(
    sources: Sequence[Source], samples: Sequence[str], seeds: Sequence[int], place: Place
) -> list[SiteInfo]:
    """What each of the runs holds."""
    return [
        source.store.shared_run(sample, seed, source.variant).site(place.site, place.reduction)
        for source, sample, seed in product(sources, samples, seeds)
    ]


def _places(
    asked: Asked, infos: Sequence[SiteInfo], notes: list[str]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The steps and layers that are asked for, of those that all runs hold."""
    where = "every chosen run"
    return (
        select_held(asked.steps, [info.steps for info in infos], "steps", where, notes),
        select_held(asked.layers, [info.layers for info in infos], "layers", where, notes),
    )


def _require_one_schedule(first: Source, second: Source, sample: str, seed: int) -> None:
    one, other = (source.store.shared_run(sample, seed, source.variant) for source in (first, second))
    if one.num_steps != other.num_steps:
        raise SelectionError(
            f"runs of {one.num_steps} steps ({_side(first)}) cannot be compared step by step with those of "
            f"{other.num_steps} ({_side(second)})"
        )


def _described(runs: Iterable[tuple[str, int]]) -> str:
    runs = list(runs)
    samples = sorted({sample for sample, _ in runs})
    return f"{_listed(samples)} with seeds {compact({seed for _, seed in runs})}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
