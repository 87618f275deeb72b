"""How unlike the activations of noised runs and base runs are: 1 - debiased CKA, by step and layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.noising.places import NoisedPlace
from probes.noising.runs import Compared
from probes.similarity.compare import similarity
from probes.similarity.rows import TOKENS
from stores.layout import BASE
from stores.selection import Selection

if TYPE_CHECKING:
    from stores import Store


@dataclass(frozen=True)
class What:
    """Which activations are compared, as of `probes.similarity.similarity`."""

    site: str = "resid"
    reduction: str | None = None
    branch: str | None = None
    steps: Selection = "all"
    layers: Selection = "all"
    tokens: int | Any = TOKENS


@dataclass(frozen=True, eq=False)
class Unlike:
    """1 - debiased CKA of noised and base activations, with jackknife intervals over samples.

    Attributes:
        steps, layers: that all variants hold.
        value, low, high: (place, step, layer); NaN where one side does not vary, or one sample is compared.
        notes: what the comparisons say.
    """

    steps: tuple[int, ...]
    layers: tuple[int, ...]
    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    notes: tuple[str, ...]


def unlike(
    store: Store,
    places: Sequence[NoisedPlace],
    runs: Compared,
    what: What,
    seed: int,
    progress: Callable[[], object] | None = None,
) -> Unlike | None:
    """Of all places; None if the runs hold no such activations.

    The samples are those of ``runs``; of each those seeds that base and the variant have.

    Raises:
        SelectionError: activations that cannot be compared.
        StoreError: a run cannot be read.
    """
    first = runs.keys[0]
    if not all(_holds(store, first, variant, what) for variant in (BASE, *(one.variant for one in places))):
        return None
    samples = sorted(set(runs.samples))
    seeds = sorted({seed for _, seed in runs.keys})
    found = []
    for place in places:
        result = similarity(
            store,
            "variants",
            samples=samples,
            seeds=seeds,
            other_variant=place.variant,
            steps=what.steps,
            layers=what.layers,
            site=what.site,
            reduction=what.reduction,
            branch=what.branch,
            tokens=what.tokens,
            shuffles=0,
            seed=seed,
        )
        found.append(result.dataset)
        if progress is not None:
            progress()
    steps = [one for one in found[0]["step"].values.tolist() if all(one in ds["step"] for ds in found)]
    layers = [one for one in found[0]["layer"].values.tolist() if all(one in ds["layer"] for ds in found)]
    # What is less alike is more unlike, so the bounds change places.
    value, low, high = (
        np.stack([1 - ds[name].sel(step=steps, layer=layers).values for ds in found])
        for name in ("cka", "high", "low")
    )
    notes = dict.fromkeys(note for ds in found for note in str(ds.attrs["notes"]).split("\n") if note)
    return Unlike(tuple(steps), tuple(layers), value, low, high, tuple(notes))


def _holds(store: Store, key: tuple[str, int], variant: str, what: What) -> bool:
    return any(info.site == what.site for info in store.shared_run(*key, variant).sites.values())
