"""Whether the patches of a sweep can be made, asked before the first of them is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cosinterp.interventions.checking import check_intervention
from cosinterp.interventions.intervention import Intervention, RunRef
from cosinterp.interventions.masks import mask_of
from cosinterp.patching.trial import Trial, given_branches, places_of
from cosinterp.replaying.stored import check_replayable, sample_of
from stores.selection import select
from stores.sites import select_branches

if TYPE_CHECKING:
    from cosinterp.interventions.stored import StoreSources
    from cosinterp.models.model import Model
    from cosinterp.samples import Sample
    from stores import Run


def check_trials(
    model: Model,
    trials: Iterable[Trial],
    stores: StoreSources,
    *,
    samples: Iterable[Sample] = (),
    from_store: bool = False,
) -> None:
    """Refuse patches that would fail on their way.

    ``samples``: of the runs, where a store does not have all of them; ``from_store``: whether donors'
    activations are read from their stores.

    Raises:
        UserError: a run is not there or cannot be replayed, an intervention does not fit its run, or a
            donor's store does not have what is to be read from it: says what it has.
    """
    known, checked, placed = list(samples), set[RunRef](), set[object]()

    def opened(ref: RunRef) -> Run:
        return stores.store(ref.store).shared_run(ref.sample, ref.seed, ref.variant)

    for trial in trials:
        donors = trial.donors()
        for ref in (trial.run, trial.toward, *(() if from_store else (donor for donor, _ in donors))):
            if ref not in checked:
                checked.add(ref)
                check_replayable(model, stores.store(ref.store), opened(ref))
                sample_of(opened(ref), known)
        settings = opened(trial.run).attrs["sampling"]
        for intervention in trial.interventions:
            check_intervention(intervention, model.anatomy, settings)
            place = trial.run, trial.toward, intervention.tokens
            if place not in placed:
                placed.add(place)
                grid = model.anatomy.geometry.grid(model.size(settings))
                mask_of(intervention, grid, opened(trial.run).truth, opened(trial.toward).truth)
        for donor, intervention in donors if from_store else ():
            _check_stored(model, opened(donor), donor, intervention)


def _check_stored(model: Model, run: Run, donor: RunRef, intervention: Intervention) -> None:
    info = run.site(intervention.site, "full")
    where = f"site {intervention.site} of the donor {donor}"
    for step, layer in places_of(intervention):
        select(step, info.steps, "steps", where)
        select(layer, info.layers, "layers", where)
    branches = given_branches(intervention) or model.anatomy.guidance.computed(run.attrs["sampling"])
    select_branches(branches, info.branches, run.path)
