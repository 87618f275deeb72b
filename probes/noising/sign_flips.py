"""How likely paired differences are by chance, at one place and over all of them together.

If noise did nothing, the difference of a sample could as well have the other sign. So signs are flipped by
sample, for all places alike, and at each place

    T = |sum over samples of d| / sqrt(sum over samples of d²)

is compared with what it comes to then; its square is that of the t-statistic but for a monotone map, and the
sum of squares does not change with signs. Over all places the greatest T of each flip is taken.

Sources: Good, Permutation, Parametric and Bootstrap Tests of Hypotheses (2005), section 3.2; Westfall and
Young, Resampling-Based Multiple Testing (1993), section 2.3.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.probing.multiple_tests import family_wise, permutation_p

DRAWS = 9_999
_MOST_LISTED = 13
"""Samples whose flips are all taken, none drawn."""
_CHUNK = 1 << 22


def sign_flip_tests(
    differences: ArrayLike, *, seed: int = 0, draws: int = DRAWS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """p-values on both sides: of each place alone, and over all places together.

    Args:
        differences: (place, sample), finite.
        seed, draws: of the flips. Of few samples all flips are taken, and none drawn.

    Returns:
        Two arrays (place,). The least that can come out is 2 / 2^samples, or 1 / (1 + draws).

    Raises:
        ValueError: not a matrix of finite numbers, or nothing in it.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"differences are finite and (place, sample), not of shape {values.shape}")
    scale = np.sqrt((values**2).sum(axis=1))
    scale[scale == 0] = 1.0
    observed = np.abs(values.sum(axis=1)) / scale
    signs = flips(values.shape[1], seed=seed, draws=draws)
    step = max(1, _CHUNK // max(len(values), 1))
    nulls = np.concatenate(
        [
            np.abs(values @ signs[start : start + step].T) / scale[:, None]
            for start in range(0, len(signs), step)
        ],
        axis=1,
    )
    return permutation_p(observed, nulls), family_wise(observed, nulls)


def flips(samples: int, *, seed: int = 0, draws: int = DRAWS) -> NDArray[np.float64]:
    """(flip, sample) of 1 and -1: all but the one that flips nothing, or so many drawn."""
    if samples <= _MOST_LISTED:
        return np.array(list(product((1.0, -1.0), repeat=samples))[1:])
    return np.random.default_rng(seed).choice((1.0, -1.0), size=(draws, samples))
