"""An ensemble that is planned: all that can be checked is checked, and no weight is needed yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cosinterp.ensembles.asking import ensemble_of
from cosinterp.ensembles.checking import check_ensemble
from cosinterp.ensembles.chunks import AUTO, Chunk, Chunks
from cosinterp.ensembles.costs import evaluations
from cosinterp.ensembles.selecting import check_select
from cosinterp.ensembles.spec import Ensemble, Merge, What
from cosinterp.ensembles.to_make import ToMake, samples_to_make
from cosinterp.ensembles.ways import How
from cosinterp.errors import InterventionError, StoreError
from cosinterp.models.blocks import RESID
from cosinterp.planning.plan import TracePlan, make_plan
from cosinterp.planning.to_make import joining, runs_to_make
from cosinterp.samples import Sample
from cosinterp.tracing import HOST_MEMORY
from stores.layout import BASE, check_run_name
from stores.selection import Selection
from stores.units import count_text

if TYPE_CHECKING:
    from cosinterp.models.model import Model

VARIANT = KIND = "ensemble"

_NOTHING_RECORDED: dict[str, Any] = {
    "sites": "none",
    "layers": "all",
    "save_steps": "all",
    "branches": "all",
    "dtype": "auto",
    "reduce": None,
    "reduce_seed": 0,
    "compression": "none",
    "writers": None,
}


@dataclass(frozen=True)
class PlannedEnsemble:
    """What an ensemble will make.

    base        the plan of the base runs of its seeds
    base_todo   those (sample name, seed) of them that will be made
    plan        the plan of its own runs
    todo        the samples whose ensembles will be made, in part perhaps
    spec        what is done
    variant     of its runs
    path        of the store
    chunk       how many seeds go through the pipeline at once
    """

    base: TracePlan
    base_todo: list[tuple[str, int]]
    plan: TracePlan
    todo: list[ToMake]
    spec: Ensemble
    variant: str
    path: Path
    chunk: Chunk

    @property
    def runs(self) -> list[tuple[str, int]]:
        """The (sample name, seed) runs of the variant that may be made: who is kept may show on the way."""
        return [run for one in self.todo for run in one.runs]

    @property
    def evaluations(self) -> int:
        """Of the denoiser, for the ensemble of one sample; see `costs.evaluations`."""
        plan = self.plan
        return evaluations(self.spec, plan.num_steps, len(plan.seeds), len(plan.run_branches))

    @property
    def evaluations_of_one(self) -> int:
        """Of the denoiser, for one seed by itself."""
        return self.plan.num_steps * len(self.plan.run_branches)


def plan_ensemble(
    model: Model,
    samples: Sample | Iterable[Sample],
    *,
    store: str | Path,
    seeds: Selection,
    merge: What | Merge | Sequence[Merge] | Ensemble | None = None,
    steps: Selection = "0",
    how: How = "mean",
    weights: Sequence[float] | None = None,
    layers: Selection | None = None,
    site: str = RESID,
    branches: str | Sequence[str] | None = None,
    then: Literal["one", "all"] = "one",
    select: str | None = None,
    select_step: int | None = None,
    keep: int = 1,
    chunk: Chunk = AUTO,
    base: bool = True,
    variant: str = VARIANT,
    record: Mapping[str, Any] | None = None,
    batch: int = 1,
    resume: bool = False,
    save_video: bool = True,
    host_memory: int = HOST_MEMORY,
    sampling: Mapping[str, Any] | None = None,
) -> PlannedEnsemble:
    """What `cosinterp.ensemble` would make with these arguments; a model without its weights will do.

    Raises:
        UserError: anything asked for that cannot be.
    """
    if variant == BASE:
        raise InterventionError(f"an ensemble is no run of the variant {BASE}; choose another name")
    chosen = [samples] if isinstance(samples, Sample) else list(samples)
    plan = make_plan(
        model,
        chosen,
        seeds=seeds,
        batch=batch,
        save_video=save_video,
        host_memory=host_memory,
        sampling=dict(sampling or {}),
        **_recorded(record),
    )
    check_run_name(plan.samples[0].sample.name, plan.seeds[0], variant)
    settings = plan.samples[0].settings
    spec = ensemble_of(
        model.anatomy,
        settings,
        merge,
        steps=steps,
        how=how,
        weights=weights,
        layers=layers,
        site=site,
        branches=branches,
        then=then,
        by=select,
        select_step=select_step,
        keep=keep,
    )
    check_ensemble(spec, model, settings, plan.seeds)
    # Refuses what is no number of seeds before anything is computed.
    Chunks(chunk, model)
    if spec.select is not None:
        check_select(spec.select, chosen)
    path = Path(store)
    own = joining(plan, path, variant)
    base_todo = runs_to_make(own, path, True) if base else []
    if base_todo:
        _check_joins(plan, path, base_todo)
    todo = samples_to_make(own, path, spec, variant, resume)
    return PlannedEnsemble(plan, base_todo, own, todo, spec, variant, path, chunk)


def check_makeable(planned: PlannedEnsemble, resume: bool) -> None:
    """Refuse what a store has already of an ensemble, unless it is resumed.

    Raises:
        TraceError: the store has some of its runs, and ``resume`` is off.
    """
    samples_to_make(planned.plan, planned.path, planned.spec, planned.variant, resume)


def _check_joins(plan: TracePlan, path: Path, base_todo: Sequence[tuple[str, int]]) -> None:
    """Base runs have to record what the others of their store do.

    Raises:
        StoreError: they would not.
    """
    try:
        runs_to_make(plan, path, True)
    except StoreError as error:
        sample, seed = base_todo[0]
        raise StoreError(
            f"{count_text(len(base_todo), 'base run')} would be made too, such as {sample} with seed {seed}: "
            "record what the store records (--record, record=), choose seeds that it has, or leave base runs "
            f"out (--no-base, base=False)\n{error}"
        ) from error


def _recorded(record: Mapping[str, Any] | None) -> dict[str, Any]:
    """Arguments of `make_plan` that say what is recorded of activations."""
    asked = dict(record or {})
    unknown = sorted(set(asked) - set(_NOTHING_RECORDED))
    if unknown:
        raise InterventionError(f'record has no "{unknown[0]}"; it has {", ".join(_NOTHING_RECORDED)}')
    if asked:
        asked.setdefault("sites", RESID)
    return {**_NOTHING_RECORDED, **asked}
