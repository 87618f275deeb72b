"""The steps of a denoising: what happens in one, and what may be changed on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cosinterp.models.anatomy import Pinned
from cosinterp.solver_memory import RowsMap


@dataclass(frozen=True)
class Call:
    """One branch of one call of the denoiser: ``expert`` is an index into `Anatomy.experts`."""

    step: int
    branch: str
    expert: int


@dataclass(frozen=True)
class Step:
    """One denoising step that is over.

    ``noisy`` (x_t), ``prediction`` (guided) and ``after`` (x_{t-1}): (batch, channel, frame, row, col), in
    the dtype in which the scheduler saw them. ``clean`` are the factors of x̂0, ``after_factors`` those of
    ``after``, None: it is made of more than x_t and the prediction; see `NoiseLevels`.
    """

    index: int
    timestep: float
    expert: int
    noisy: torch.Tensor
    prediction: torch.Tensor
    after: torch.Tensor
    clean: tuple[float, float]
    after_factors: tuple[float, float] | None
    pinned: Pinned | None

    def clean_estimate(self) -> torch.Tensor:
        """x̂0 of this step: float32 (batch, channel, frame, row, col)."""
        return clean_estimate(self.noisy, self.prediction, self.clean, self.pinned)

    def final(self) -> torch.Tensor:
        """``after`` with the pinned frames in place: of the last step, what the pipeline decodes."""
        return with_pinned(self.after, self.pinned)


@dataclass(frozen=True)
class Predicted:
    """A denoising step before the scheduler makes it: as `Step`, without what comes after."""

    index: int
    timestep: float
    noisy: torch.Tensor
    prediction: torch.Tensor
    clean: tuple[float, float]
    pinned: Pinned | None

    def clean_estimate(self) -> torch.Tensor:
        """x̂0 of this step: float32 (batch, channel, frame, row, col)."""
        return clean_estimate(self.noisy, self.prediction, self.clean, self.pinned)


@dataclass(frozen=True)
class Changed:
    """Latents that are put in place of what a step made, (batch, channel, frame, row, col).

    ``memory`` merges what the scheduler remembers of the rows, where the latents are merged; None: each row
    keeps its own.
    """

    latents: torch.Tensor
    memory: RowsMap | None = None


class LatentChanges:
    """What is changed of latents and predictions between the calls of the denoiser; here, nothing.

    All tensors are (batch, channel, frame, row, col), a row a run. Frames that the pipeline pins stay what
    its condition says. Each method gives None for what is to stay as it is.
    """

    def initial(self, noisy: torch.Tensor) -> torch.Tensor | None:
        """The noise that the pipeline begins with."""
        return None

    def prediction(self, step: Predicted) -> torch.Tensor | None:
        """The guided prediction that the scheduler is given."""
        return None

    def after(self, step: Step) -> Changed | None:
        """The latents that a step leaves, which are those that the next step sees."""
        return None

    def told(self, row: int) -> Mapping[str, Any]:
        """What the run of a row says of its changes in its attributes, once it is over."""
        return {}


NO_LATENT_CHANGES = LatentChanges()


def clean_estimate(
    noisy: torch.Tensor,
    prediction: torch.Tensor,
    factors: tuple[float, float],
    pinned: Pinned | None = None,
) -> torch.Tensor:
    """x̂0 = a x_t + b prediction_t, for the ``factors`` (a, b) of the step; see `cosinterp.noise_levels`."""
    own, predicted = factors
    return with_pinned(own * noisy.float() + predicted * prediction.float(), pinned)


def with_pinned(latents: torch.Tensor, pinned: Pinned | None) -> torch.Tensor:
    """``latents`` with the frames that the pipeline overwrites taken from its condition."""
    if pinned is None:
        return latents
    mask = pinned.frames.view(1, 1, -1, 1, 1)
    return torch.where(mask, pinned.latents, latents)


@dataclass(frozen=True)
class Schedule:
    """What a pipeline is about to do: timestep (step,), sigma (step+1,), expert (step,), clean (step, 2).

    ``clean`` and ``after`` are those of `NoiseLevels`.
    """

    timestep: np.ndarray
    sigma: np.ndarray
    expert: np.ndarray
    clean: np.ndarray
    after: np.ndarray

    @property
    def num_steps(self) -> int:
        """Number of denoising steps."""
        return len(self.timestep)
