"""How many jobs run at once, and how patient their keepers are: environment variables."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from cosinterp.errors import JobError

PER_GPU = "COSINTERP_JOBS_PER_GPU"
WITHOUT_GPU = "COSINTERP_JOBS_WITHOUT_GPU"
PATIENCE = "COSINTERP_JOBS_PATIENCE"


@dataclass(frozen=True)
class Limits:
    """What the environment asks for.

    Attributes:
        per_gpu: jobs that share a GPU.
        without_gpu: jobs without a GPU at once on one machine.
        patience: seconds that a cancelled command has to tidy up before it is ended.
    """

    per_gpu: int
    without_gpu: int
    patience: float


def check_limits() -> Limits:
    """The limits.

    Raises:
        JobError: one of them is no such number.
    """
    return Limits(
        per_gpu=_count(PER_GPU, 1), without_gpu=_count(WITHOUT_GPU, 4), patience=_seconds(PATIENCE, 30.0)
    )


def _count(name: str, default: int) -> int:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise JobError(f"{name}={text}: it has to be a whole number of at least 1")
    return int(text)


def _seconds(name: str, default: float) -> float:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise JobError(f"{name}={text}: it has to be a number of seconds")
    return seconds
