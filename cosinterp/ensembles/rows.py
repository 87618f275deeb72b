"""What is known of the rows of an ensemble on their way, and who is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch

from cosinterp.models.anatomy import Pinned
from cosinterp.steps import Call, Schedule, Step, clean_estimate

if TYPE_CHECKING:
    from cosinterp.ensembles.latents import Left

Rows = tuple[int, ...]
"""Places of seeds among all of an ensemble."""


class Listener(Protocol):
    """Told of what the rows of an ensemble come to, each thing once (but see `retried`).

    Attributes:
        layers: of each site that it is told of.
        output_type: of what it is told at the end: "latent", or "np" for videos.
    """

    layers: dict[str, tuple[int, ...]]
    output_type: str

    def wants(self, call: Call) -> bool:
        """Whether it is told of the activations of a call."""
        ...

    def started(self, schedule: Schedule) -> None:
        """The schedule is known."""

    def settled(self, row: int, made: Made, step: int) -> None:
        """A step of a row is what it will be."""

    def activation(self, rows: Rows, site: str, layer: int, tokens: torch.Tensor, call: Call) -> None:
        """What was computed of some rows, changes included: (row, token, channel)."""

    def retried(self) -> None:
        """Rows did not fit: activations of the step under way may be told again."""

    def stopped(self, row: int) -> None:
        """A row does not go on."""

    def ended(self, rows: Rows, final: torch.Tensor, pinned: Pinned | None, output: Any) -> None:
        """Some rows have ended with these latents (row, channel, frame, row, col), and with what the pipeline
        returned."""


@dataclass(frozen=True)
class Made:
    """A step of one row: ``noisy`` and ``prediction`` are (1, channel, frame, row, col), on the host.

    ``clean`` are the factors of its clean estimate.
    """

    noisy: torch.Tensor
    prediction: torch.Tensor
    clean: tuple[float, float]
    pinned: Pinned | None

    @classmethod
    def of(cls, step: Step, row: int) -> Made:
        """Of one row of a step."""
        pinned = step.pinned
        if pinned is not None:
            place = slice(row, row + 1) if pinned.latents.shape[0] > 1 else slice(None)
            pinned = Pinned(kept(pinned.latents[place]), kept(pinned.frames))
        return cls(kept(step.noisy[row : row + 1]), kept(step.prediction[row : row + 1]), step.clean, pinned)

    def predicting(self, prediction: torch.Tensor) -> Made:
        """The same step, with another prediction."""
        return replace(self, prediction=prediction)

    def clean_estimate(self) -> torch.Tensor:
        """x̂0: float32 (1, channel, frame, row, col)."""
        return clean_estimate(self.noisy, self.prediction, self.clean, self.pinned)


@dataclass
class Row:
    """How far one row is.

    Attributes:
        predictions: what the scheduler was given, of each step that is settled.
        waiting: the step after those, made, but not merged yet.
        left: what the row leaves a step with whose latents are merged.
        estimate: its clean estimate where seeds are selected.
        has_ended: whether the pipeline has come to its end.
    """

    predictions: list[torch.Tensor] = field(default_factory=list)
    waiting: Made | None = None
    left: Left | None = None
    estimate: torch.Tensor | None = None
    has_ended: bool = False

    @property
    def steps(self) -> int:
        """Steps that are settled."""
        return len(self.predictions)

    def is_behind(self, step: int | None) -> bool:
        """Whether it has not come to the end of a step yet; None: of the pipeline."""
        if step is None:
            return not self.has_ended
        return self.waiting is None and self.steps <= step


class Predicted:
    """What the scheduler was given of the steps that some rows have made; see `Predictions`."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = list(rows)

    def prediction(self, step: int) -> torch.Tensor:
        """Of one step: (row, channel, frame, row, col)."""
        return torch.cat([row.predictions[step] for row in self._rows])


def together(made: Sequence[Made]) -> tuple[torch.Tensor, torch.Tensor, Pinned | None]:
    """Noisy latents, predictions and pinned frames of the same step of several rows."""
    first = made[0].pinned
    pinned = None
    if first is not None:
        pinned = Pinned(torch.cat([one.pinned.latents for one in made if one.pinned]), first.frames)
    return torch.cat([one.noisy for one in made]), torch.cat([one.prediction for one in made]), pinned


def kept(tensor: torch.Tensor) -> torch.Tensor:
    """A copy on the host."""
    return tensor.detach().to("cpu", copy=True)
