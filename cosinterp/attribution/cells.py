"""Sums of (donor - recipient) x gradient: one number for each cell (site, layer, branch, tokens)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy

import numpy as np
import torch
from numpy.typing import NDArray

from cosinterp.errors import InterventionError

Masks = Mapping[str, NDArray[np.bool_]]
"""Groups of tokens by name, bool (frame, row, col)."""
Cell = tuple[str, int, str]
"""(site, layer, branch)."""
ALL = "all"


class Cells:
    """Adds up products, token group by token group.

    Args:
        masks: the groups; None: one of all tokens, called "all".
        grid: (frame, row, col) of the video's tokens.

    Raises:
        InterventionError: a mask is no bool array of that grid.
    """

    def __init__(self, masks: Masks | None, grid: tuple[int, int, int]) -> None:
        chosen = {ALL: np.ones(grid, dtype=np.bool_)} if masks is None else masks
        if not chosen:
            raise InterventionError("no group of tokens is given")
        for name, mask in chosen.items():
            if mask.dtype != np.bool_ or mask.shape != grid:
                raise InterventionError(
                    f'tokens "{name}": the mask is {mask.dtype} {mask.shape}, and has to be bool {grid}: '
                    "(frame, row, col)"
                )
        self.names = tuple(chosen)
        self._masks = torch.from_numpy(np.stack([mask.reshape(-1) for mask in chosen.values()])).double()
        self._is_all = self._masks.all(dim=1)
        self._sums: dict[Cell, torch.Tensor] = {}

    def emptied(self) -> Cells:
        """The same cells, of the same groups, with nothing added to them."""
        cells = copy(self)
        cells._sums = {cell: torch.zeros_like(sums) for cell, sums in self._sums.items()}
        return cells

    def start(self, cell: Cell) -> None:
        """A cell is there; what is added to it counts from 0."""
        self._sums.setdefault(cell, torch.zeros(len(self.names), dtype=torch.float64))

    def add(self, cell: Cell, products: torch.Tensor, *, on_grid: bool) -> None:
        """Add the sum over tokens and channels of ``products`` (row, token, channel) to a cell.

        ``on_grid``: whether the tokens are those of the video; of others there is only the group of all.
        """
        by_token = products.sum(dim=(0, 2), dtype=torch.float64).cpu()
        sums = self._masks @ by_token if on_grid else torch.where(self._is_all, by_token.sum(), torch.nan)
        self.start(cell)
        self._sums[cell] += sums

    def of(self, cell: Cell) -> NDArray[np.float64]:
        """The sums (tokens,) of a cell; NaN if it is not there."""
        found = self._sums.get(cell)
        return np.full(len(self.names), np.nan) if found is None else found.numpy()


def check_grid(donor: torch.Tensor, recipient: torch.Tensor, what: str) -> None:
    """Refuse what cannot be subtracted.

    Raises:
        InterventionError: the shapes differ.
    """
    if donor.shape != recipient.shape:
        raise InterventionError(
            f"{what}: the donor has {tuple(donor.shape)}, the recipient {tuple(recipient.shape)}; "
            "attribution needs runs of one size, and texts of one length for what depends on it"
        )
