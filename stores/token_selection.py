"""Selecting tokens: by frames, rows and columns of the token grid, or one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from stores import selection
from stores.errors import SelectionError, StoreError
from stores.slab_parts import Indices

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


def select_tokens(
    info: SiteInfo,
    frames: selection.Selection | None = None,
    rows: selection.Selection | None = None,
    cols: selection.Selection | None = None,
    tokens: Tokens | None = None,
) -> TokenSelection | None:
    """The tokens of a site that are asked for; None if nothing is, which means all; see `Run.read`.

    Raises:
        StoreError: what is asked for is no axis of what is stored, or both tokens and an axis are.
        SelectionError: it is not there.
    """
    asked = {"frame": frames, "row": rows, "col": cols}
    asked = {axis: chosen for axis, chosen in asked.items() if chosen is not None}
    if tokens is not None:
        if asked:
            raise StoreError(f"site {info.key}: select either tokens, or frames, rows and columns")
        return _by_token(info, tokens)
    if not asked:
        return None
    missing = [axis for axis in asked if axis not in info.axes]
    if missing:
        raise StoreError(
            f"site {info.key}: {missing[0]}s cannot be selected, since {info.reduction} has the axes "
            f"{', '.join(info.axes)}"
        )
    axes = tuple(axis for axis in info.axes if axis not in ITEM_AXES)
    where = f"site {info.key} of this run"
    numbers = tuple(
        np.asarray(selection.select(asked.get(axis, "all"), range(length), f"{axis}s", where), np.intp)
        for axis, length in zip(axes, info.shape, strict=False)
    )
    return on_axes(axes, numbers, info.shape)


def on_axes(axes: tuple[str, ...], numbers: tuple[Indices, ...], shape: tuple[int, ...]) -> TokenSelection:
    """The tokens at every combination of ``numbers``, one array for each axis, of slabs of ``shape``."""
    items = np.ravel_multi_index(np.ix_(*numbers), shape[: len(axes)]).reshape(-1)
    return TokenSelection(axes, numbers, items)


def _by_token(info: SiteInfo, tokens: Tokens) -> TokenSelection:
    if not set(GRID_AXES) <= set(info.axes):
        raise StoreError(
            f"site {info.key}: tokens cannot be selected, since {info.reduction} has the axes "
            f"{', '.join(info.axes)}"
        )
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
