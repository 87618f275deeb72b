"""What makes the runs of a trace a variant: changes of what the model computes on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cosinterp.interventions.edits import Edits
from cosinterp.steps import NO_LATENT_CHANGES, LatentChanges
from stores.layout import BASE

if TYPE_CHECKING:
    import torch

    from cosinterp.models.anatomy import Anatomy
    from cosinterp.planning.plan import PlannedSample
    from cosinterp.replaying.skips import Forms


@dataclass(frozen=True)
class Known:
    """Steps before the first change, whose predictions are those of another run.

    Attributes:
        start: the first step that has to be computed.
        prediction: gives the guided prediction of an earlier one, (row, channel, frame, row, col).
        forms: of the outputs of the denoiser.
    """

    start: int
    prediction: Callable[[int], torch.Tensor]
    forms: Forms


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

    def known(self, planned: PlannedSample, seeds: tuple[int, ...]) -> Known | None:
        """What need not be computed, where no activations of it are recorded; None: nothing."""
        return None

    def edits(self, planned: PlannedSample, seeds: tuple[int, ...], anatomy: Anatomy) -> Edits:
        """What is changed of activations."""
        return Edits((), anatomy)

    def attrs(self, planned: PlannedSample, seeds: tuple[int, ...]) -> dict[str, Any]:
        """What the runs say of their changes, beside what every run says; see `cosinterp.run_attrs`."""
        return {}


NO_CHANGES = Changes()
