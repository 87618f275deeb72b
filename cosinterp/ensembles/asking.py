"""An ensemble as a user asks for it, made into data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cosinterp.ensembles.spec import Ensemble, Merge, Select, checked
from cosinterp.errors import InterventionError
from stores.selection import Selection, select

if TYPE_CHECKING:
    from cosinterp.models.anatomy import Anatomy

_SHARE_SEEN = 4


def ensemble_of(
    anatomy: Anatomy,
    settings: Mapping[str, Any],
    merge: str | Merge | Sequence[Merge] | Ensemble | None,
    *,
    steps: Selection,
    how: Any,
    weights: Sequence[float] | None,
    layers: Selection | None,
    site: str,
    branches: str | Sequence[str] | None,
    then: Any,
    by: str | None,
    select_step: int | None,
    keep: int,
) -> Ensemble:
    """The ensemble that the arguments of `cosinterp.ensemble` ask for.

    Raises:
        SelectionError: there are no such steps, layers or branches.
        InterventionError: they do not fit together.
    """
    if isinstance(merge, Ensemble):
        if by is not None:
            raise InterventionError("an Ensemble says itself what is selected; leave select out")
        return merge
    if merge is None and by is None:
        merge = "latent"
    num_steps = range(settings["num_steps"])
    merges: tuple[Merge, ...] = ()
    if isinstance(merge, str):
        where: dict[str, Any] = {}
        if merge == "hidden":
            if layers is None:
                raise InterventionError("hidden states are merged at layers; say which (layers)")
            where = {"site": site, "layers": select(layers, anatomy.layers, "layers", "this model")}
            if branches is not None:
                asked = branches if isinstance(branches, str) else list(branches)
                where["branches"] = anatomy.select_branches(asked, settings)
        elif layers is not None or branches is not None:
            raise InterventionError(f"layers and branches go with hidden states, not with {merge}")
        merges = (
            checked(
                lambda: Merge(
                    what=merge,  # type: ignore[arg-type]
                    steps=select(steps, num_steps, "steps", "this run"),
                    how=how,
                    weights=None if weights is None else tuple(weights),
                    **where,
                )
            ),
        )
    elif merge is not None:
        merges = (merge,) if isinstance(merge, Merge) else tuple(merge)
    selection = None
    if by is not None:
        step = len(num_steps) // _SHARE_SEEN if select_step is None else select_step
        (step,) = select([step], num_steps, "select_step", "this run")
        selection = checked(lambda: Select(step=step, by=by, keep=keep))
    return checked(lambda: Ensemble(merges=merges, select=selection, then=then))
