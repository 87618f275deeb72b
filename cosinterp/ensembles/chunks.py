"""How many seeds go through the pipeline at once, and what to do when they do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Literal, TypeAlias, TypeVar

from cosinterp.errors import InterventionError
from cosinterp.models.loading.placing import OFFLOADS
from cosinterp.models.model import Model

Chunk: TypeAlias = int | Literal["auto"]
"""Rows of a call of the pipeline; "auto": as many as fit."""

AUTO: Literal["auto"] = "auto"
_T = TypeVar("_T")


class Chunks:
    """How many rows go through the pipeline at once: all, until they turn out not to fit.

    Args:
        asked: how many at most; "auto": as many as fit.
        model: which may make one video at a time.
        note: told what the user should know.

    Raises:
        InterventionError: it is no number of rows.
    """

    def __init__(self, asked: Chunk, model: Model, note: Callable[[str], None] = lambda text: None) -> None:
        if asked != AUTO and (isinstance(asked, bool) or not isinstance(asked, int) or asked < 1):
            raise InterventionError(f'chunk has to be 1 or more, or "auto", not {asked!r}')
        self._asked = asked
        self._offload = model.offload
        self._most = asked if isinstance(asked, int) else None
        if model.anatomy.one_at_a_time:
            self._most = 1
        self._note = note

    def of(self, rows: int) -> int:
        """How many of ``rows`` rows go at once."""
        return rows if self._most is None else min(self._most, rows)

    def split(self, rows: Sequence[int], start: Callable[[int], int]) -> Iterator[tuple[int, ...]]:
        """Rows that go on from the same step, as many as fit at once; ``start``: of a row."""
        for _, same in groupby(rows, key=start):
            own = tuple(same)
            size = self.of(len(own))
            yield from (own[begin : begin + size] for begin in range(0, len(own), size))

    def refused(self, tried: int, step: int) -> None:
        """So many rows did not fit at a step: take half as many from now on.

        Raises:
            InterventionError: the number was asked for, or it was one row.
        """
        is_last = self._offload == OFFLOADS[-1]
        offload = "" if is_last else f", or --offload {_next_offload(self._offload)}"
        if tried == 1:
            hint = offload.removeprefix(", or ") or "a smaller size or fewer frames"
            raise InterventionError(
                f"out of GPU memory at step {step} with a single seed at a time; use {hint}"
            )
        less = (tried + 1) // 2
        if self._asked != AUTO:
            raise InterventionError(
                f"out of GPU memory at step {step} with {tried} seeds at once; use --chunk {less} "
                f"(chunk={less}){offload}, or --chunk auto"
            )
        self._most = less
        self._note(f"{tried} seeds at once did not fit at step {step}: going on with {less} at a time")


def _next_offload(now: str | None) -> str:
    """What keeps less of the model on the GPU; of the last one there is no next."""
    return "model" if now is None else OFFLOADS[OFFLOADS.index(now) + 1]
