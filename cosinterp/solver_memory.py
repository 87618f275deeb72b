"""What a scheduler remembers from step to step, and how it goes along when latents are changed.

A multistep solver keeps what it made of earlier predictions. UniPC (Zhao et al. 2023, arXiv 2302.04867) also
keeps the latent before its last step, and at the next step corrects: it makes the latent anew from that one,
so that whatever was done to the latent in between would be undone. Here a change of the latent is carried
back to where the corrector starts, so that it ends where the change has put the latent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from cosinterp.errors import ModelError

RowsMap = Callable[[torch.Tensor], torch.Tensor]
"""Makes new rows of the rows (row, ...) of a batch, whatever they are."""

# Each step knows nothing but the latent and the prediction.
_FORGETFUL = (
    "DDIMScheduler",
    "CogVideoXDDIMScheduler",
    "EDMEulerScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "FlowMatchEulerDiscreteScheduler",
    "FlowMatchLCMScheduler",
)
_KEEPS_OUTPUTS = ("DEISMultistepScheduler", "DPMSolverMultistepScheduler")
_KEEPS_LATENT = ("UniPCMultistepScheduler",)
# Its pipeline keeps the clean estimate of the step before.
_KEPT_BY_PIPELINE = ("CogVideoXDPMScheduler",)


def check_changeable(scheduler: Any, *, merges: bool) -> None:
    """Refuse a scheduler that would undo changes of the latents.

    ``merges``: what it remembers is to be merged over rows, too.

    Raises:
        ModelError: it would, or it is not known.
    """
    kind = type(scheduler).__name__
    known = (*_FORGETFUL, *_KEEPS_OUTPUTS, *_KEEPS_LATENT, *_KEPT_BY_PIPELINE)
    if kind not in known:
        raise ModelError(
            f"latents cannot be changed between the steps of {kind}, which may go on from others that it "
            "remembers; use a scheduler such as UniPCMultistepScheduler or FlowMatchEulerDiscreteScheduler"
        )
    if merges and kind in _KEPT_BY_PIPELINE:
        raise ModelError(
            f"latents cannot be merged with {kind}, whose pipeline remembers each row's clean estimate; use "
            "CogVideoXDDIMScheduler, or merge x0 or predictions instead"
        )


def carry(
    scheduler: Any, before: torch.Tensor, after: torch.Tensor, rows: int, memory: RowsMap | None = None
) -> None:
    """Let a scheduler that has just made ``before`` of a step go on from ``after``.

    Args:
        scheduler: one that `check_changeable` lets pass.
        before, after: latents as the scheduler has them, (batch, ...); the batch may be ``rows`` rows twice,
            once for each branch.
        rows: of the batch.
        memory: merges what is remembered of the rows; None: each row keeps its own.
    """
    own = _each_batch(memory, rows)
    outputs = getattr(scheduler, "model_outputs", None)
    if outputs is not None and memory is not None:
        scheduler.model_outputs = [None if output is None else own(output) for output in outputs]
    corrected = getattr(scheduler, "last_sample", None)
    if corrected is not None:
        ratio = _back(scheduler)
        moved = own(corrected)
        if ratio is not None:
            moved = moved + ratio * (after.to(moved) - own(before).to(moved))
        scheduler.last_sample = moved


def _each_batch(memory: RowsMap | None, rows: int) -> RowsMap:
    def applied(tensor: torch.Tensor) -> torch.Tensor:
        if memory is None:
            return tensor
        return torch.cat([memory(part).to(part.dtype) for part in tensor.split(rows)])

    return applied


def _back(scheduler: Any) -> float | None:
    """By how much a change of the latent grows when it is carried from now to the step before.

    Solvers of the clean estimate pass a latent on as σ_t / σ_s of it, those of the noise as α_t / α_s of it.
    None: no noise is left, and no step to come.
    """
    index = scheduler.step_index
    if index >= len(scheduler.sigmas) - 1:
        return None
    alpha_now, sigma_now = scheduler._sigma_to_alpha_sigma_t(scheduler.sigmas[index])
    alpha_then, sigma_then = scheduler._sigma_to_alpha_sigma_t(scheduler.sigmas[index - 1])
    now, then = (sigma_now, sigma_then) if scheduler.predict_x0 else (alpha_now, alpha_then)
    return float(then / now)
