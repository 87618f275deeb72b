"""What is attributed: a number that tells how far a clean estimate is on its way to another one."""

from __future__ import annotations

from collections.abc import Callable

import torch

from cosinterp.errors import InterventionError

Metric = Callable[[torch.Tensor], torch.Tensor]
"""Makes one number of a clean estimate, float32 (1, channel, frame, row, col); differentiable."""


def x0_along(recipient: torch.Tensor, donor: torch.Tensor) -> Metric:
    """<x̂0 - r, d - r> / |d - r|²: 0 at the recipient's clean estimate r, 1 at the donor's d.

    Raises:
        InterventionError: the two are the same, or one is not finite.
    """
    way = donor.double() - recipient.double()
    length = way.square().sum()
    if not bool(torch.isfinite(length)):
        raise InterventionError("a clean estimate is not finite")
    if float(length) == 0:
        raise InterventionError(
            "donor and recipient have the same clean estimate, so nothing can be attributed"
        )

    def metric(clean: torch.Tensor) -> torch.Tensor:
        return ((clean.double() - recipient.double()) * way).sum() / length

    return metric


def measured(metric: Metric, clean: torch.Tensor, *, differentiable: bool) -> torch.Tensor:
    """What a metric says of a clean estimate: one number, with its graph if ``differentiable``.

    Raises:
        InterventionError: it raises, it is no number, it is not finite, or no gradient goes through it.
    """
    try:
        with torch.set_grad_enabled(differentiable):
            value = metric(clean)
    # Whatever a metric of the user's own raises.
    except Exception as error:
        raise InterventionError(f"the metric fails: {type(error).__name__}: {error}") from error
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        raise InterventionError("the metric has to return one number, as a tensor")
    if not bool(torch.isfinite(value)):
        raise InterventionError("the metric is not finite")
    if differentiable and clean.requires_grad and not value.requires_grad:
        raise InterventionError(
            "no gradient goes through the metric; it has to be made of differentiable operations on tensors"
        )
    return value.reshape(())
