"""Replaying one run of a store, as it was or with interventions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cosinterp.errors import SelectionError
from cosinterp.interventions.checking import check_intervention
from cosinterp.interventions.edits import Edit, Edits
from cosinterp.interventions.intervention import Intervention
from cosinterp.interventions.masks import mask_of
from cosinterp.interventions.stored import StoreSources
from cosinterp.replaying.stored import StoredTrajectory, player_of, stored_row
from stores.selection import compact
from stores.store import open_store

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from cosinterp.samples import Sample
    from stores import Store


@dataclass(frozen=True)
class Replayed:
    """What a replay came to.

    Attributes:
        predictions, clean: guided prediction and clean estimate of each step that was computed: float32
            (channel, frame, row, col).
        final: the final latent, if the replay went on to the end.
        differences: how far the predictions are from the stored ones, by step: the largest absolute
            difference.
        num_frames: of the video.
        blocks: block evaluations.
    """

    predictions: dict[int, np.ndarray]
    clean: dict[int, np.ndarray]
    final: np.ndarray | None
    differences: dict[int, float] = field(default_factory=dict)
    final_difference: float | None = None
    num_frames: int | None = None
    blocks: int = 0

    @property
    def exact(self) -> bool:
        """Whether all that was computed is what the store has, bit for bit."""
        return not any(self.differences.values()) and not self.final_difference

    def video(self, model: Model) -> np.ndarray:
        """The final latent as a video, else the last clean estimate: uint8 (frame, row, col, rgb)."""
        latent = self.clean[max(self.clean)] if self.final is None else self.final
        return model.decode(latent, self.num_frames)


def replay(
    model: Model,
    store: Store | str | Path,
    sample: str,
    seed: int,
    *,
    from_step: int = 0,
    to_step: int | None = None,
    interventions: Sequence[Intervention] = (),
    samples: Iterable[Sample] = (),
) -> Replayed:
    """Make a stored run again from a step on, with changes or none.

    Earlier steps are not computed: the scheduler is given their stored predictions, and passes through the
    states that it had. Without a change the result is the stored run, bit for bit, on the same kind of device
    with the same number of threads.

    Args:
        model: the one that made the store.
        store: a store or its folder.
        sample, seed: which run.
        from_step: the first step that is computed; negative ones count from the last.
        to_step: the last one; None: the run's last.
        interventions: what is changed, in this order, in that run alone if it was one of a batch.
        samples: of the run, where a store does not have all of it.

    Raises:
        SelectionError: there is no such step, or nothing of an intervention lies in what is computed.
        UserError: the run cannot be replayed, or an intervention not applied.
    """
    opened = open_store(store) if isinstance(store, str | Path) else store
    with opened.run(sample, seed) as run:
        player = player_of(model, opened, run, samples=samples)
        first = _step(from_step, player.num_steps, "from_step")
        last = player.num_steps - 1 if to_step is None else _step(to_step, player.num_steps, "to_step")
        if last < first:
            raise SelectionError(f"a replay from step {first} cannot end at step {last}")
        row = stored_row(run)
        grid = model.anatomy.geometry.grid(player.size)
        edits = []
        for one in interventions:
            if not any(first <= step <= last for step in one.steps):
                raise SelectionError(
                    f"an intervention at steps {compact(one.steps)} changes nothing in a replay of steps "
                    f"{first} to {last}"
                )
            check_intervention(one, model.anatomy, player.settings)
            edits.append(Edit(row, one, mask_of(one, grid, run.truth)))
        played = player.play(
            start=first,
            stop=last,
            known=StoredTrajectory(run),
            edits=Edits(edits, model.anatomy, StoreSources(model.device)) if edits else None,
        )
        predictions = {step: tensor[row].numpy() for step, tensor in played.predictions.items()}
        final = None if played.final is None else played.final[row].numpy()
        return Replayed(
            predictions,
            {step: tensor[row].numpy() for step, tensor in played.clean.items()},
            final,
            {step: _apart(own, run.prediction(step)) for step, own in predictions.items()},
            None if final is None else _apart(final, run.noisy(player.num_steps)),
            run.attrs["sampling"].get("num_frames"),
            played.blocks,
        )


def _step(step: int, num_steps: int, name: str) -> int:
    found = step + num_steps if step < 0 else step
    if not 0 <= found < num_steps:
        raise SelectionError(f"{name} {step}: this run has steps 0 to {num_steps - 1}")
    return found


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(np.float64) - other).max())
