"""Merging: one tensor made of those of several seeds.

Whatever the way, identical rows give that very row, bit for bit, and one row gives itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch

from cosinterp.ensembles.ways import HOWS, WEIGHTED, How, MergeError, shares_of

__all__ = ["HOWS", "WEIGHTED", "How", "MergeError", "Merger", "merge", "merger"]

Merger: TypeAlias = Callable[[torch.Tensor], torch.Tensor]


def merger(rows: torch.Tensor, how: How, weights: Sequence[float] | None = None, *, each: int = 0) -> Merger:
    """What merges tensors that go with these rows.

    A tensor that goes with them has one row for each of theirs. Only the medoid is decided by ``rows``: it
    takes the same row of whatever it is given; the other ways merge what they are given by itself.

    Args:
        rows: (row, ...).
        how: in which way.
        weights: of the rows, for a mean; their sum is taken as 1. None: all alike.
        each: how many of the axes after the first number things that are merged each by itself: 0 where a
            row is one thing, as a latent (channel, frame, row, col) is; 1 for tokens (token, channel).

    Returns:
        What makes (...) of (row, ...), in its dtype and on its device; computed in float32 at least.

    Raises:
        MergeError: there are no rows, or the weights do not fit them.
    """
    if rows.ndim < 1 or rows.shape[0] == 0:
        raise MergeError("there is nothing to merge; choose at least one seed")
    shares = shares_of(how, weights, rows.shape[0])
    if how == "mean":
        return lambda given: _mean(_wide(given), shares).to(given.dtype)
    if how == "norm-mean":
        return lambda given: _norm_mean(_wide(given), shares, each).to(given.dtype)
    if how == "median":
        return lambda given: _median(_wide(given)).to(given.dtype)
    chosen = _medoid(_wide(rows), each)
    return lambda given: _chosen(given, chosen)


def merge(
    rows: torch.Tensor, how: How, weights: Sequence[float] | None = None, *, each: int = 0
) -> torch.Tensor:
    """These rows merged: (...) of (row, ...); see `merger`."""
    return merger(rows, how, weights, each=each)(rows)


def _wide(rows: torch.Tensor) -> torch.Tensor:
    return rows if rows.dtype == torch.float64 else rows.float()


def _mean(rows: torch.Tensor, shares: tuple[float, ...] | None) -> torch.Tensor:
    # Around the first row, whose distance from itself is exactly 0, as is that of any row like it.
    apart = rows - rows[:1]
    if shares is None:
        return rows[0] + apart.mean(dim=0)
    own = torch.tensor(shares, dtype=rows.dtype, device=rows.device)
    return rows[0] + (own.view(-1, *(1 for _ in rows.shape[1:])) * apart).sum(dim=0)


def _norm_mean(rows: torch.Tensor, shares: tuple[float, ...] | None, each: int) -> torch.Tensor:
    mean = _mean(rows, shares)
    # Each by a call of its own, so that equal rows have equal norms, whatever the order of a sum is.
    wanted = _mean(torch.stack([_norm(row, each) for row in rows]), shares)
    norm = _norm(mean, each)
    return mean * torch.where(norm > 0, wanted / norm, torch.ones_like(norm))


def _norm(row: torch.Tensor, each: int) -> torch.Tensor:
    """Of each thing in a row, with its axes kept as 1."""
    axes = tuple(range(each, row.ndim))
    return torch.linalg.vector_norm(row.clone(memory_format=torch.contiguous_format), dim=axes, keepdim=True)


def _median(rows: torch.Tensor) -> torch.Tensor:
    ordered = rows.sort(dim=0).values
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return low + (high - low) / 2


def _medoid(rows: torch.Tensor, each: int) -> torch.Tensor:
    """Which row is nearest to all: whole numbers, of the shape of the axes ``each``."""
    count, shape = rows.shape[0], rows.shape[1 : 1 + each]
    apart = torch.zeros((count, count, *shape), dtype=torch.float64, device=rows.device)
    for one in range(count):
        for other in range(one):
            distance = _norm(rows[one] - rows[other], each).reshape(shape)
            apart[one, other] = apart[other, one] = distance.double()
    # In order, so that the sums of two rows with the same distances are the same.
    return apart.sort(dim=1).values.sum(dim=1).argmin(dim=0)


def _chosen(given: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    where = chosen.to(given.device)
    where = where.view(1, *where.shape, *(1 for _ in given.shape[1 + where.ndim :]))
    return given.take_along_dim(where, dim=0)[0]
