"""One patch of a sweep, before it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cosinterp.interventions.edits import resumes_at
from cosinterp.interventions.intervention import Intervention, RandomLike, Replace, RunRef

if TYPE_CHECKING:
    from cosinterp.models.anatomy import Anatomy


@dataclass(frozen=True)
class Trial:
    """One patch: what is done to a run, and which run it is compared with.

    Attributes:
        run: the run that is patched.
        toward: the run that effects are shares of the way to: the donor of the pair; ``run`` itself if there
            is none.
        interventions: what is done, in this order.
        labels: what tells it from the others of the sweep: the first columns of its row.
    """

    run: RunRef
    toward: RunRef
    interventions: tuple[Intervention, ...]
    labels: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first_step(self) -> int:
        """The first step that is changed."""
        return min(min(one.steps) for one in self.interventions)

    @property
    def last_step(self) -> int:
        """The last step that is changed."""
        return max(max(one.steps) for one in self.interventions)

    def donors(self) -> list[tuple[RunRef, Intervention]]:
        """The runs that activations come from, each with the intervention that says which."""
        replaced = ((_replaced(one), one) for one in self.interventions)
        return [(what.donor, one) for what, one in replaced if what is not None]


def places_of(intervention: Intervention) -> list[tuple[int, int]]:
    """(step, layer) of all that a donor gives to an intervention."""
    what = _replaced(intervention)
    own_step = None if what is None else what.step
    own_layer = None if what is None else what.layer
    return [
        (step if own_step is None else own_step, layer if own_layer is None else own_layer)
        for step in intervention.steps
        for layer in intervention.layers
    ]


def given_branches(intervention: Intervention) -> tuple[str, ...] | None:
    """The branches of a donor that it gives to an intervention; None: all."""
    what = _replaced(intervention)
    return intervention.branches if what is None or what.branch is None else (what.branch,)


def _replaced(intervention: Intervention) -> Replace | None:
    """What of a donor is put in, or gives the distance of what is put in."""
    what = intervention.what.like if isinstance(intervention.what, RandomLike) else intervention.what
    return what if isinstance(what, Replace) else None


def resume_of(trial: Trial, anatomy: Anatomy) -> int:
    """The last layer at the trial's first step whose block need not run again."""
    first = trial.first_step
    return min(resumes_at(one, anatomy) for one in trial.interventions if first in one.steps)
