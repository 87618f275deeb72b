"""The schedule of a run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FLOW = "flow"
"""The prediction type whose runs may be without the factors of the clean estimate."""


class Schedule(NamedTuple):
    """The schedule of a run of N steps.

    Attributes:
        timestep: (N,) what the denoiser was told.
        sigma: (N+1,) noise levels, from the noisiest to the last.
        expert: (N,) which transformer served each step.
        clean: (N, 2) factors (a, b) of the clean estimate: x̂0 = a x_t + b prediction_t, whatever kind of
            prediction it is. NaN if they are neither stored nor those of a flow.
    """

    timestep: npt.NDArray[np.float64]
    sigma: npt.NDArray[np.float64]
    expert: npt.NDArray[np.int64]
    clean: npt.NDArray[np.float64]


def flow_factors(sigma: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N, 2) factors of the clean estimate x_t - sigma_t v of flow matching, from N + 1 sigmas."""
    return np.stack([np.ones_like(sigma[:-1]), -sigma[:-1]], axis=-1)
