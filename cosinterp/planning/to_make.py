"""Which runs of a plan a store does not have yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cosinterp.errors import TraceError
from cosinterp.planning.plan import PlannedSample, TracePlan
from cosinterp.samples.hashes import image_sha256, videos_sha256
from stores.layout import BASE, STORE_FILE
from stores.store import create_store, open_store
from stores.values import jsonable

if TYPE_CHECKING:
    from stores.store import Store


def joining(plan: TracePlan, path: Path, variant: str) -> TracePlan:
    """A plan of a variant that fits a store: where no activations are recorded, what its other runs record
    does not matter."""
    if variant == BASE or plan.sites or not (path / STORE_FILE).exists():
        return plan
    capture = open_store(path).settings.capture
    return replace(plan, settings=replace(plan.settings, capture=capture))


def runs_to_make(plan: TracePlan, path: Path, resume: bool, variant: str = BASE) -> list[tuple[str, int]]:
    """The (sample name, seed) runs of a plan that a store does not have yet.

    Raises:
        StoreError: the store was made with other settings.
        TraceError: it has some of the runs already, and ``resume`` is off; or it has a run of another sample
            under the same name.
    """
    runs = plan.runs()
    if not (path / STORE_FILE).exists():
        return runs
    existing = create_store(path, plan.settings, exist_ok=True)
    made = [run for run in runs if existing.has(*run, variant)]
    if made and not resume:
        name, seed = made[0]
        raise TraceError(
            f"{path} already has {len(made)} of these {len(runs)} runs, such as {name} with seed {seed}; "
            "use --resume (resume=True) to skip them, or choose another store"
        )
    samples = {planned.sample.name: planned for planned in plan.samples}
    for name, seed in dict(reversed(made)).items():
        _check_same_sample(existing, samples[name], seed, variant)
    skipped = set(made)
    return [run for run in runs if run not in skipped]


def _check_same_sample(store: Store, planned: PlannedSample, seed: int, variant: str) -> None:
    sample = planned.sample
    with store.run(sample.name, seed, variant) as run:
        same = {
            "prompt": run.prompt == sample.prompt,
            "image": run.attrs.get("image_sha256") == image_sha256(sample),
            "videos": run.attrs.get("videos_sha256", {}) == videos_sha256(sample),
            "truth": _same_values(run.truth, sample.truth),
            "sampling settings": run.attrs.get("sampling") == jsonable(planned.settings),
        }
    differing = [what for what, equal in same.items() if not equal]
    if differing:
        raise TraceError(
            f"{store.path} has runs of another sample that is called {sample.name} (it differs in "
            f"{', '.join(differing)}); give this one another name, or use another store"
        )


def _same_values(stored: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    if stored.keys() != given.keys():
        return False
    pairs = [(np.asarray(stored[name]), np.asarray(given[name])) for name in stored]
    return all(
        np.array_equal(one, other, equal_nan=one.dtype.kind == other.dtype.kind == "f")
        for one, other in pairs
    )
