"""The runs of a store that are meant: samples by name or by pattern, and their seeds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from stores.entries import RunEntry
from stores.errors import SelectionError
from stores.filters import Seeds
from stores.layout import BASE
from stores.selection import Selection, compact, select

if TYPE_CHECKING:
    from stores.store import Store

STAR = "*"
_SHOWN = 3

SampleNames: TypeAlias = Sequence[str] | str | None
"""A sample, a pattern with one ``*`` that stands for anything, or several of these; None: all samples."""


def chosen_runs(
    store: Store, samples: SampleNames = None, seeds: Seeds = None, variant: str = BASE
) -> list[RunEntry]:
    """The runs of these samples and seeds, sorted by sample and seed.

    Raises:
        SelectionError: a variant that no run is of, a name or a pattern that no sample of it has, or no run
            of these seeds.
    """
    there = list(dict.fromkeys(entry.sample for entry in store.runs(variant=variant)))
    of_variant = "" if variant == BASE else f" of the variant {variant}"
    if not there and (variants := sorted({entry.variant for entry in store.runs()})):
        raise SelectionError(f"{store.path} has no runs of the variant {variant}; it has {_listed(variants)}")
    asked = [samples] if isinstance(samples, str) else samples
    names = (
        there if asked is None else sorted({name for text in asked for name in _fitting(store, text, there)})
    )
    found = store.runs(names, seeds, variant)
    if not found:
        what = f"no runs{of_variant}" if seeds is None else f"no runs{of_variant} of these seeds"
        of_samples = f" of {_listed(asked)}" if asked else ""
        seeds_there = compact({entry.seed for entry in store.runs(names, None, variant)})
        there_are = f"; it has seeds {seeds_there}" if seeds_there else ""
        raise SelectionError(f"{store.path} has {what}{of_samples}{there_are}")
    return found


def select_held(
    asked: Selection, held: Sequence[tuple[int, ...]], what: str, where: str, notes: list[str]
) -> tuple[int, ...]:
    """The steps or layers that are asked for, of those that all chosen runs hold.

    Args:
        asked: a selection, as "0-8" or "all".
        held: what each run holds.
        what: "steps" or "layers".
        where: what holds them, for a message.
        notes: is told what some of the runs hold and others do not.

    Raises:
        SelectionError: the runs have none in common, or not those that are asked for.
    """
    shared = sorted(set(held[0]).intersection(*held[1:]))
    if not shared:
        raise SelectionError(f"{what}: the chosen runs have none in common; choose other runs")
    if any(set(one) != set(shared) for one in held):
        notes.append(f"only the {what} that all runs hold: {compact(shared)}")
    return select(asked, shared, what, where)


def _fitting(store: Store, text: str, there: Sequence[str]) -> list[str]:
    if text.count(STAR) > 1:
        raise SelectionError(f'samples "{text}": a pattern has one *, such as maze-7x7-red-*')
    pattern = re.compile(".*".join(map(re.escape, text.split(STAR))))
    found = [name for name in there if pattern.fullmatch(name)]
    if not found:
        raise SelectionError(f"{store.path} has no runs of {text}; it has {_listed(there) or 'none'}")
    return found


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
