"""The ways in which rows are merged, by name; how each is computed says `cosinterp.ensembles.merging`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from cosinterp.errors import UserError

How: TypeAlias = Literal["mean", "norm-mean", "median", "medoid"]
"""``mean``: the mean. ``norm-mean``: the mean, scaled to the mean Euclidean norm of the rows, since the mean
of K independent noises has a norm that is smaller by the root of K. ``median``: of each number by itself.
``medoid``: the row that has the least summed Euclidean distance to the others, the first of several."""

HOWS: tuple[How, ...] = get_args(How)
WEIGHTED: tuple[How, ...] = ("mean", "norm-mean")
"""The ways that take weights."""


class MergeError(UserError):
    """Rows cannot be merged in the way that is asked for."""


def shares_of(how: How, weights: Sequence[float] | None, count: int) -> tuple[float, ...] | None:
    """The shares of ``count`` rows, which add up to 1; None: all alike.

    Raises:
        MergeError: there is no such way, or the weights do not fit it or the rows.
    """
    if how not in HOWS:
        raise MergeError(f'rows cannot be merged by "{how}"; choose from {", ".join(HOWS)}')
    if weights is None:
        return None
    if how not in WEIGHTED:
        raise MergeError(f"weights do not go with {how}; use them with {' or '.join(WEIGHTED)}")
    if len(weights) != count:
        raise MergeError(f"{len(weights)} weights for {count} seeds; give one for each seed")
    total = math.fsum(weights)
    if not (math.isfinite(total) and total > 0):
        raise MergeError(f"the weights add up to {total:g}; they have to add up to a positive number")
    return tuple(weight / total for weight in weights)
