"""What would be attributed, said before it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cosinterp.cli.sweep_plan import counted_cells, counted_pairs, memory_of
from cosinterp.planning.takes import Estimate, Takes
from stores.units import count_text

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from cosinterp.patching.trial import Trial


@dataclass(frozen=True)
class AttributionOutlook:
    """The patches that attributions stand for, and how they are made and confirmed.

    Attributes:
        trials: the patches.
        points: of integrated gradients.
        confirm: cells that are patched afterwards.
        model: that makes them; may be a skeleton.
    """

    trials: Sequence[Trial]
    points: int
    confirm: int
    model: Model

    def takes(self) -> Takes:
        """What it takes."""
        return Takes(
            what=count_text(len(self.trials), "row"),
            rows=len(self.trials),
            seconds=Estimate(None, "gradients were not timed"),
            gpu_memory=memory_of(self.model, self.trials[0], 1),
            device=str(self.model.device),
        )

    def as_data(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "pairs": counted_pairs(self.trials),
            "cells": counted_cells(self.trials),
            "rows": {"to_make": len(self.trials), "made": 0},
            "points": self.points,
            "confirm": self.confirm,
        }

    def lines(self) -> list[tuple[str, str]]:
        """What is printed: names and texts."""
        pairs = counted_pairs(self.trials)
        lines = [
            ("pairs", f"{count_text(pairs['runs'], 'pair')} of runs, {pairs['samples']} of samples"),
            ("cells", f"{counted_cells(self.trials):,}"),
            ("rows", f"{len(self.trials):,} to make"),
            ("points", f"{self.points} on the way from run to run" if self.points else "plain gradients"),
        ]
        return [*lines, ("confirmed", f"the {self.confirm} strongest cells")] if self.confirm else lines
