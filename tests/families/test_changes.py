"""Every family: latents and predictions are changed between the steps as asked, and not otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import cosinterp as ci
from cosinterp.errors import ModelError
from cosinterp.interventions.changes import NO_CHANGES, Changes
from cosinterp.models.model import Model
from cosinterp.planning.plan import PlannedSample
from cosinterp.steps import Changed, LatentChanges, Predicted, Step
from stores import Run
from tests.families.row import FamilyRow
from tests.families.rows import ROWS

SEED = 3
# Their noise is drawn where it is not seen, or comes with more.
FIXED_NOISE = ("DiT", "Kandinsky 5")

FIRST_OF_FAMILIES = {row.build.__module__: row for row in reversed(ROWS)}.values()
each_family = pytest.mark.parametrize("row", FIRST_OF_FAMILIES, ids=lambda row: row.name, scope="module")


class Variant(Changes):
    """A variant whose latents are changed."""

    def __init__(self, variant: str, latents: LatentChanges) -> None:
        self.variant, self._latents = variant, latents

    def latents(self, planned: PlannedSample, seeds: tuple[int, ...]) -> LatentChanges:
        return self._latents


class Same(LatentChanges):
    """Puts everything in its own place."""

    def initial(self, noisy: torch.Tensor) -> torch.Tensor:
        return noisy.clone()

    def prediction(self, step: Predicted) -> torch.Tensor:
        return step.prediction.clone()

    def after(self, step: Step) -> Changed:
        return Changed(step.after.clone())


class Moved(LatentChanges):
    """Adds 1 to the latents that a step begins with; the first step's are the initial noise."""

    def __init__(self, step: int) -> None:
        self._step = step

    def initial(self, noisy: torch.Tensor) -> torch.Tensor | None:
        return noisy + 1 if self._step == 0 else None

    def after(self, step: Step) -> Changed | None:
        return Changed(step.after + 1) if step.index + 1 == self._step else None


def traced(model: Model, row: FamilyRow, store: Path, changes: Changes = NO_CHANGES) -> Run:
    settings = {**row.settings, **row.guided, "num_steps": row.num_steps}
    made = ci.trace(
        model,
        row.sample(),
        store=store,
        seeds=SEED,
        sites="none",
        save_video=False,
        changes=changes,
        **settings,
    )
    return made.run(row.sample().name, SEED, changes.variant)


@each_family
def test_latents_are_changed_as_asked(
    family_model: Callable[[FamilyRow], Model], row: FamilyRow, tmp_path: Path
) -> None:
    model = family_model(row)
    base = traced(model, row, tmp_path)
    same = traced(model, row, tmp_path, Variant("same", Same()))
    for step in range(row.num_steps + 1):
        assert np.array_equal(base.noisy(step), same.noisy(step)), step

    fixed = row.name.startswith(FIXED_NOISE)
    if fixed:
        with pytest.raises(ModelError, match="initial noise"):
            traced(model, row, tmp_path, Variant("moved-0", Moved(0)))
    for at in (1 if fixed else 0, row.num_steps - 1):
        moved = traced(model, row, tmp_path, Variant(f"moved-{at}", Moved(at)))
        for step in range(at):
            assert np.array_equal(base.noisy(step), moved.noisy(step)), step
        by = moved.noisy(at) - base.noisy(at)
        pinned = np.isin(np.arange(by.shape[1]), base.pinned_frames)
        np.testing.assert_allclose(by[:, ~pinned], 1, atol=1e-4)
