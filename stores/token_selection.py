"""Selecting tokens: by frames, rows and columns of the token grid, or one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from stores import selection
from stores.errors import SelectionError, StoreError
from stores.slabs.parts import Indices

if TYPE_CHECKING:
    from stores.sites import SiteInfo

Tokens: TypeAlias = npt.ArrayLike
GRID_AXES = ("frame", "row", "col")
ITEM_AXES = ("channel", "component")


@dataclass(frozen=True)
class TokenSelection:
    """Some of the tokens of a slab.

    Attributes:
        axes: that the selected tokens have: of "frame", "row" and "col", or "token".
        numbers: which entries of each axis: frames, rows, columns, or flat indices into the token grid.
        items: flat indices into the slab's axes before channels, in the order of the result.
    """

    axes: tuple[str, ...]
    numbers: tuple[Indices, ...]
    items: Indices

    @property
    def shape(self) -> tuple[int, ...]:
        """A length for each axis."""
        return tuple(map(len, self.numbers))


@dataclass(frozen=True)
class TokenChoice:
    """What is asked for of the tokens of a site, whichever; see `Run.read`. None asks for nothing."""

    frames: selection.Selection | None = None
    rows: selection.Selection | None = None
    cols: selection.Selection | None = None
    tokens: Tokens | None = None

    def of(self, info: SiteInfo) -> TokenSelection | None:
        """What that is of a certain site; None is all of its tokens.

        Raises:
            StoreError: what is asked for is no axis of what is stored, or both tokens and an axis are.
            SelectionError: it is not there.
        """
        asked = {"frame": self.frames, "row": self.rows, "col": self.cols}
        asked = {axis: chosen for axis, chosen in asked.items() if chosen is not None}
        if self.tokens is not None:
            if asked:
                raise StoreError(f"site {info.key}: select either tokens, or frames, rows and columns")
            return _by_token(info, self.tokens)
        if not asked:
            return None
        missing = [axis for axis in asked if axis not in info.axes]
        if missing:
            raise _no_axis(info, f"{missing[0]}s")
        axes = info.axes[: len(info.axes) - info.item_axes]
        where = f"site {info.key} of this run"
        numbers = tuple(
            np.asarray(selection.select(asked.get(axis, "all"), range(length), f"{axis}s", where), np.intp)
            for axis, length in zip(axes, info.shape, strict=False)
        )
        items = np.ravel_multi_index(np.ix_(*numbers), info.shape[: len(axes)]).reshape(-1)
        return TokenSelection(axes, numbers, items)


def _by_token(info: SiteInfo, tokens: Tokens) -> TokenSelection:
    if not set(GRID_AXES) <= set(info.axes):
        raise _no_axis(info, "tokens")
    array = np.asarray(tokens)
    if array.size == 0:
        raise SelectionError("tokens: nothing is selected")
    if array.dtype.kind not in "iu" or array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 3):
        raise SelectionError(
            "tokens: give flat indices into the token grid, or (frame, row, col) of each, "
            f"not {array.dtype} of the shape {array.shape}"
        )
    grid = "x".join(map(str, info.grid))
    if array.ndim == 2:
        wrong = ((array < 0) | (array >= info.grid)).any(axis=1)
        if wrong.any():
            place = tuple(array[wrong][0].tolist())
            raise SelectionError(f"tokens: {place} is outside the token grid {grid} of site {info.key}")
        items = np.asarray(np.ravel_multi_index(tuple(array.T.astype(np.intp)), info.grid))
    else:
        count = info.grid[0] * info.grid[1] * info.grid[2]
        items = np.atleast_1d(array)
        wrong = (items < 0) | (items >= count)
        if wrong.any():
            raise SelectionError(
                f"tokens: there is no token {items[wrong][0]}; the token grid {grid} of site {info.key} has "
                f"tokens 0-{count - 1}"
            )
        items = items.astype(np.intp)
    return TokenSelection(("token",), (items,), items)


def _no_axis(info: SiteInfo, what: str) -> StoreError:
    axes = ", ".join(info.axes)
    return StoreError(f"site {info.key}: {what} cannot be selected, its axes are {axes}; read all of it")
