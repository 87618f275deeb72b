"""Which samples of an ensemble a store does not have yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from cosinterp.ensembles.spec import Ensemble
from cosinterp.errors import TraceError
from cosinterp.planning.plan import PlannedSample, TracePlan
from cosinterp.planning.to_make import runs_to_make
from stores.layout import STORE_FILE
from stores.store import Store, open_store


@dataclass(frozen=True)
class ToMake:
    """A sample whose ensemble is to be made, and the seeds whose runs are still to be written, as far as they
    go on."""

    planned: PlannedSample
    seeds: frozenset[int]

    @property
    def runs(self) -> list[tuple[str, int]]:
        """(Sample name, seed)."""
        return [(self.planned.sample.name, seed) for seed in sorted(self.seeds)]


def stored_seeds(ensemble: Ensemble, seeds: tuple[int, ...]) -> tuple[int, ...]:
    """The seeds whose runs an ensemble may store: which of them are kept may show on the way."""
    return seeds[:1] if ensemble.one_goes_on and ensemble.select is None else seeds


def samples_to_make(
    plan: TracePlan, path: Path, ensemble: Ensemble, variant: str, resume: bool
) -> list[ToMake]:
    """The samples of a plan of which a store does not have all runs of the ensemble yet.

    Raises:
        StoreError: the store was made with other settings.
        TraceError: it has some of them already, and ``resume`` is off; or it has another ensemble under the
            same variant, or another sample under the same name.
    """
    seeds = stored_seeds(ensemble, plan.seeds)
    left = set(runs_to_make(replace(plan, seeds=seeds), path, resume, variant))
    store = open_store(path) if (path / STORE_FILE).exists() else None
    count = _count(ensemble, len(seeds))
    todo = []
    for planned in plan.samples:
        name = planned.sample.name
        lacking = frozenset(seed for seed in seeds if (name, seed) in left)
        made = [seed for seed in seeds if seed not in lacking]
        if store is not None and made:
            _check_same(store, name, made[0], variant, ensemble, plan.seeds)
        if len(made) < count:
            todo.append(ToMake(planned, lacking))
    return todo


def _count(ensemble: Ensemble, seeds: int) -> int:
    """Runs that are stored of a sample."""
    if ensemble.one_goes_on or ensemble.select is None:
        return 1 if ensemble.one_goes_on else seeds
    return ensemble.select.keep


def _check_same(
    store: Store, sample: str, seed: int, variant: str, ensemble: Ensemble, seeds: tuple[int, ...]
) -> None:
    with store.run(sample, seed, variant) as run:
        told = run.attrs.get("intervention")
    own = {"ensemble": ensemble.model_dump(mode="json", exclude_none=True), "seeds": list(seeds)}
    there = {name: told.get(name) for name in own} if isinstance(told, dict) else {}
    if there != own:
        words = told.get("words", "something else") if isinstance(told, dict) else "something else"
        raise TraceError(
            f"{store.path} has other runs of the variant {variant} ({words}, seeds "
            f"{', '.join(map(str, there.get('seeds') or ['not told']))}); choose another variant"
        )
