"""Whether an ensemble can be made of a model's runs, asked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cosinterp.ensembles.spec import Ensemble, Merge
from cosinterp.ensembles.ways import shares_of
from cosinterp.errors import InterventionError
from cosinterp.interventions.checking import check_intervention
from cosinterp.interventions.intervention import Average, Intervention
from cosinterp.solver_memory import check_changeable
from stores.selection import select

if TYPE_CHECKING:
    from cosinterp.models.model import Model


def check_ensemble(
    ensemble: Ensemble, model: Model, settings: Mapping[str, Any], seeds: Sequence[int]
) -> None:
    """Refuse what cannot be made of runs with these complete sampling settings.

    Raises:
        SelectionError: a site, step, layer or branch that there is not.
        UserError: weights that do not fit the seeds, more seeds to keep than there are, a scheduler that
            would undo a merge, or a model whose steps pass on more than latents.
    """
    steps = range(settings["num_steps"])
    for merge in ensemble.merges:
        select(merge.steps, steps, "steps", "this run")
        shares_of(merge.how, merge.weights, len(seeds))
        if merge.what == "hidden":
            _check_hidden(merge, model, settings)
        if merge.what == "latent":
            check_changeable(model.pipeline.scheduler, merges=True)
    if ensemble.select is not None:
        select([ensemble.select.step], steps, "steps", "this run")
        if ensemble.select.keep > len(seeds):
            raise InterventionError(
                f"{ensemble.select.keep} of {len(seeds)} seeds cannot be kept; keep fewer, or give more seeds"
            )


def intervention_of(merge: Merge, weights: tuple[float, ...] | None) -> Intervention:
    """What merging hidden states does to the rows of a call, which have these weights."""
    assert merge.site is not None, "hidden states are of a site"
    assert merge.layers is not None, "hidden states are of layers"
    return Intervention(
        site=merge.site,
        layers=merge.layers,
        steps=merge.steps,
        branches=merge.branches,
        what=Average(how=merge.how, weights=weights),
    )


def _check_hidden(merge: Merge, model: Model, settings: Mapping[str, Any]) -> None:
    check_intervention(intervention_of(merge, merge.weights), model.anatomy, settings)
    if not model.anatomy.steps_pass_latents_only:
        raise InterventionError(
            f"hidden states of {model.name} cannot be merged: its steps pass on more than the latents of the "
            "video; merge latents, x0 or predictions"
        )
