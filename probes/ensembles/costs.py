"""What the runs of an ensemble say of how they were made, and of what they cost.

Costs are counted in evaluations of the denoiser: one is the denoiser once, for one row of a batch and one
branch of guidance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stores import Store
from stores.errors import StoreError
from stores.layout import BASE

ATTRIBUTE = "intervention"
EVALUATIONS = "evaluations"


@dataclass(frozen=True)
class Making:
    """How the runs of one sample came about.

    seeds       that they are made of
    evaluations that all of them took together
    one         evaluations that one seed takes by itself
    words       what was done, in a few words
    """

    seeds: tuple[int, ...]
    evaluations: float
    one: float
    words: str


def ensemble_variants(store: Store) -> tuple[str, ...]:
    """The variants of a store that ensembles made, in alphabetical order."""
    first = {entry.variant: entry for entry in reversed(store.runs()) if entry.variant != BASE}
    made = []
    for variant, entry in sorted(first.items()):
        with store.run(entry.sample, entry.seed, variant) as run:
            if EVALUATIONS in (run.attrs.get(ATTRIBUTE) or {}):
                made.append(variant)
    return tuple(made)


def making_of(store: Store, sample: str, seed: int, variant: str) -> Making:
    """How a run of an ensemble, and those of its sample that were made with it, came about.

    Raises:
        StoreError: the run does not say so, because no ensemble made it.
    """
    with store.run(sample, seed, variant) as run:
        told = run.attrs.get(ATTRIBUTE)
    try:
        return _making(told if isinstance(told, Mapping) else {})
    except KeyError as error:
        raise StoreError(
            f"{store.path}: {sample} seed {seed} of variant {variant} was made by no ensemble: its run does "
            f"not say {error.args[0]}"
        ) from error


def _making(told: Mapping[str, Any]) -> Making:
    return Making(
        tuple(int(seed) for seed in told["seeds"]),
        float(told[EVALUATIONS]),
        float(told["evaluations_of_one"]),
        str(told.get("words", "")),
    )
