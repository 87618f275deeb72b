"""Whether an intervention can be applied to a model's run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cosinterp.errors import InterventionError
from cosinterp.interventions.intervention import Intervention
from cosinterp.interventions.masks import ALL
from stores.selection import select

if TYPE_CHECKING:
    from cosinterp.models.anatomy import Anatomy


def check_intervention(intervention: Intervention, anatomy: Anatomy, settings: Mapping[str, Any]) -> None:
    """Refuse what cannot be applied to a run with these complete sampling settings.

    Raises:
        SelectionError: a site, step, layer or branch that there is not.
        InterventionError: what is done does not fit where.
    """
    site = intervention.site
    anatomy.select_sites([site])
    select(intervention.steps, range(settings["num_steps"]), "steps", "this run")
    select(intervention.layers, anatomy.layers, "layers", "this model")
    lacking = set(intervention.layers) - set(anatomy.layers_of(site, intervention.layers))
    if lacking:
        raise InterventionError(f"there is no {site} at layer {min(lacking)} of this model")
    if intervention.branches is not None:
        anatomy.select_branches(list(intervention.branches), settings)
    if intervention.tokens != ALL and not anatomy.on_token_grid(site):
        raise InterventionError(
            f'tokens "{intervention.tokens}": {site} has no places on the token grid; use all'
        )
