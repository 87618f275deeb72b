"""One check of a model, and how differences are measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Check:
    """One check: what it compares, the worst difference found and the largest that passes.

    ``worst`` is None where there is nothing to measure; ``detail`` then says what happened. ``compared`` is
    False where there was nothing to compare, which fails nothing and proves nothing.
    """

    name: str
    passed: bool
    compares: str
    worst: float | None = None
    allowed: float | None = None
    detail: str = ""
    compared: bool = True


def within(name: str, compares: str, difference: torch.Tensor, allowed: torch.Tensor) -> Check:
    """Compare element by element."""
    return measured(name, compares, *worst_of(difference, allowed))


def worst_of(difference: torch.Tensor, allowed: torch.Tensor) -> tuple[float, float]:
    """Those of the element that comes closest to its limit, or exceeds it most."""
    difference, allowed = difference.flatten(), allowed.flatten()
    place = int((difference / allowed.clamp_min(torch.finfo(torch.float64).tiny)).argmax())
    return float(difference[place]), float(allowed[place])


def share(difference: float, allowed: float) -> float:
    """How much of what is allowed a difference is; of NaN more than anything."""
    part = difference / max(allowed, torch.finfo(torch.float64).tiny)
    return float("inf") if np.isnan(part) else part


def measured(name: str, compares: str, worst: float, allowed: float, detail: str = "") -> Check:
    """A check of one difference. NaN compares as false, so a model that puts out NaN fails."""
    return Check(name, worst <= allowed, compares, worst, allowed, detail)


def largest_difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Infinite where two tensors are not even alike."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return float("inf")
    return float((one.double() - other.double()).abs().max())
