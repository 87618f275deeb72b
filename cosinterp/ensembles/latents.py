"""Merging latents and predictions between the calls of the denoiser: of all rows at once, or collected first.

The rows (channel, frame, row, col) of a call are seeds of one sample, in ascending order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from cosinterp.ensembles.merging import Merger
from cosinterp.ensembles.rows import kept
from cosinterp.ensembles.spec import Ensemble, Merge
from cosinterp.models.anatomy import Pinned
from cosinterp.steps import Changed, LatentChanges, Predicted, Step, clean_estimate

Weights = tuple[float, ...] | None


@dataclass(frozen=True)
class Shared:
    """What all rows go on from after a step whose latents are merged; on the host.

    Attributes:
        latents: (1, channel, frame, row, col).
        memory: what the scheduler remembers then, (1, ...) each, in the order in which it is merged.
    """

    latents: torch.Tensor
    memory: tuple[torch.Tensor, ...]

    def changed(self, rows: int) -> Changed:
        """Of so many rows."""
        remembered = iter(self.memory)

        def memory(own: torch.Tensor) -> torch.Tensor:
            return next(remembered).to(own.device).expand_as(own)

        return Changed(self.latents.expand(rows, -1, -1, -1, -1), memory)


@dataclass(frozen=True)
class Left:
    """What one row leaves a step with: latents (1, channel, frame, row, col), and what the scheduler
    remembers, (1, ...) each."""

    latents: torch.Tensor
    memory: tuple[torch.Tensor, ...]


def share(rows: Sequence[Left], merged: Merger) -> Shared:
    """What rows that came in chunks go on from together; ``merged``: see `Mergers.at`."""
    latents = merged(torch.cat([row.latents for row in rows]))[None]
    remembered = zip(*(row.memory for row in rows), strict=True)
    return Shared(latents, tuple(merged(torch.cat(parts))[None] for parts in remembered))


def merged_predictions(
    asked: Merge,
    merged: Merger,
    noisy: torch.Tensor,
    prediction: torch.Tensor,
    factors: tuple[float, float],
    pinned: Pinned | None,
) -> torch.Tensor:
    """What the scheduler is given of each row where predictions or clean estimates are merged.

    Where it is clean estimates, a row keeps its noise: with x̂0 = a x + b v, its prediction becomes
    v + (m - x̂0) / b for the merged estimate m, which is (m - a x) / b, and v itself where m is x̂0.

    Args:
        asked: what is merged.
        merged: by which; see `Mergers.at`.
        noisy, prediction: (row, channel, frame, row, col).
        factors: (a, b).
    """
    if asked.what == "prediction":
        return merged(prediction)[None].expand_as(prediction)
    estimates = clean_estimate(noisy, prediction, factors, pinned)
    apart = merged(estimates) - estimates
    return (prediction.float() + apart / factors[1]).to(prediction.dtype)


class Passing(LatentChanges):
    """Lets a replay pass through what was merged before: ``shared`` by step."""

    def __init__(self, shared: Mapping[int, Shared]) -> None:
        self._shared = shared

    def after(self, step: Step) -> Changed | None:
        """See `LatentChanges`."""
        known = self._shared.get(step.index)
        return None if known is None else known.changed(step.after.shape[0])


class Merging(Passing):
    """All rows computed here in one call, merged as they go, from step ``start`` on; fills ``shared``.

    ``merger``: gives what merges them in one way at a step; see `Mergers.at`.
    """

    def __init__(
        self,
        shared: dict[int, Shared],
        ensemble: Ensemble,
        merger: Callable[[Merge, int], Merger],
        start: int,
    ) -> None:
        super().__init__(shared)
        self._filled = shared
        self._ensemble = ensemble
        self._merger = merger
        self._start = start

    def prediction(self, step: Predicted) -> torch.Tensor | None:
        """See `LatentChanges`."""
        asked = self._ensemble.at(step.index, "x0", "prediction")
        if not asked or step.index < self._start:
            return None
        (one,) = asked
        merged = self._merger(one, step.index)
        return merged_predictions(one, merged, step.noisy, step.prediction, step.clean, step.pinned)

    def after(self, step: Step) -> Changed | None:
        """See `LatentChanges`."""
        asked = self._ensemble.at(step.index, "latent")
        known = super().after(step)
        if known is not None or not asked:
            return known
        (one,) = asked
        own = self._merger(one, step.index)
        merged = own(step.after)[None]
        remembered: list[torch.Tensor] = []

        def memory(rows: torch.Tensor) -> torch.Tensor:
            both = own(rows)[None]
            remembered.append(kept(both))
            # Told once all is remembered; what an interrupted step leaves is overwritten.
            self._filled[step.index] = Shared(kept(merged), tuple(remembered))
            return both.expand_as(rows)

        self._filled[step.index] = Shared(kept(merged), ())
        return Changed(merged.expand_as(step.after), memory)


@dataclass
class Collecting(Passing):
    """Some of the rows, which end with step ``last``: keeps what they leave it with, row by row, unchanged.

    Attributes:
        rows: filled.
    """

    shared: Mapping[int, Shared]
    last: int
    latents: torch.Tensor | None = None
    memory: list[torch.Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.shared)

    def after(self, step: Step) -> Changed | None:
        """See `LatentChanges`."""
        if step.index != self.last:
            return super().after(step)
        self.latents = kept(step.after)

        def memory(rows: torch.Tensor) -> torch.Tensor:
            self.memory.append(kept(rows))
            return rows

        return Changed(step.after, memory)

    def rows(self) -> list[Left]:
        """What each row has left the step with."""
        assert self.latents is not None, "the last step was made"
        return [
            Left(self.latents[row : row + 1], tuple(kept[row : row + 1] for kept in self.memory))
            for row in range(self.latents.shape[0])
        ]
