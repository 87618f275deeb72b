"""What makes the runs of a trace a variant: changes of what the model computes on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cosinterp.interventions.edits import Edits
from cosinterp.steps import NO_LATENT_CHANGES, LatentChanges
from stores.layout import BASE

if TYPE_CHECKING:
    from cosinterp.models.anatomy import Anatomy
    from cosinterp.planning.plan import PlannedSample


class Changes:
    """Changes of all runs of a trace; here, none.

    Each method is asked once for each batch, with its sample and the seeds of its rows.

    Attributes:
        variant: of the runs.
    """

    variant: str = BASE

    def latents(self, planned: PlannedSample, seeds: tuple[int, ...]) -> LatentChanges:
        """What is changed of latents and predictions."""
        return NO_LATENT_CHANGES

    def edits(self, planned: PlannedSample, seeds: tuple[int, ...], anatomy: Anatomy) -> Edits:
        """What is changed of activations."""
        return Edits((), anatomy)

    def attrs(self, planned: PlannedSample, seeds: tuple[int, ...]) -> dict[str, Any]:
        """What the runs say of their changes, beside what every run says; see `cosinterp.run_attrs`."""
        return {}


NO_CHANGES = Changes()
