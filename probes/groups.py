"""Samples in groups by a number or a text of their truth, such as the length of their path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from probes.scores import scalars
from stores import SelectionError, Store

MOST_VALUES = 4
"""Numbers with more values than this are cut into thirds."""
_PARTS = 3

ALL = "all"


@dataclass(frozen=True)
class Group:
    """Samples with one value of a truth, or with values near one another."""

    name: str
    samples: frozenset[str]


def truth_groups(store: Store, runs: Mapping[str, int], by: str, variant: str) -> list[Group]:
    """The samples in groups by the truth `by`; samples without it are in none.

    A text, or a number of at most four values, makes a group of each value; other numbers are cut into thirds
    of the samples, of which equal values are never torn apart.

    Args:
        store: where the truths are.
        runs: the samples, and a seed of each.
        by: a number or a text of the truth.
        variant: of the runs.

    Raises:
        SelectionError: no sample has it, or all have the same.
    """
    truths: dict[str, dict[str, float | str]] = {}
    for sample, seed in runs.items():
        with store.run(sample, seed, variant) as run:
            truths[sample] = scalars(run.truth)
    return groups_of(truths, by, f"of {store.path} ")


def groups_of(truths: Mapping[str, Mapping[str, float | str]], by: str, where: str = "") -> list[Group]:
    """As `truth_groups`, of what is known of each sample.

    Args:
        truths: the numbers and texts of each sample's truth.
        by: one of them.
        where: of what store, for a message.

    Raises:
        SelectionError: no sample has it, or all have the same.
    """
    found = {sample: truth[by] for sample, truth in truths.items() if by in truth}
    if not found:
        known = sorted({name for truth in truths.values() for name in truth})
        raise SelectionError(
            f"by {by!r}: no sample {where}has such a number or text in its truth; there is "
            f"{', '.join(known) or 'none'}"
        )
    if len(set(found.values())) < 2:
        raise SelectionError(
            f"by {by!r}: all samples have {next(iter(found.values()))}, so there are no groups"
        )
    return grouped(found, by)


def grouped(values: Mapping[str, float | str], by: str) -> list[Group]:
    """As `truth_groups`, of the value of each sample."""
    distinct = sorted(set(values.values()), key=lambda value: (isinstance(value, str), value))
    if any(isinstance(value, str) for value in distinct) or len(distinct) <= MOST_VALUES:
        parts = [[value] for value in distinct]
    else:
        parts = _thirds([value for value in values.values() if not isinstance(value, str)])
    return [
        Group(
            f"{by} {_span(part)}",
            frozenset(sample for sample, value in values.items() if value in set(part)),
        )
        for part in parts
    ]


def _thirds(values: Iterable[float]) -> list[list[float]]:
    """The distinct values in parts of about equally many samples: each goes where the middle of it lies."""
    numbers, counts = np.unique(np.asarray(list(values), dtype=np.float64), return_counts=True)
    middles = (np.cumsum(counts) - counts / 2) / counts.sum()
    places = np.minimum((middles * _PARTS).astype(int), _PARTS - 1)
    return [numbers[places == place].tolist() for place in range(_PARTS) if (places == place).any()]


def _span(part: list[float | str] | list[float]) -> str:
    first, last = part[0], part[-1]
    if isinstance(first, str) or isinstance(last, str):
        return str(first)
    return f"{first:g}" if first == last else f"{first:g} to {last:g}"
