"""What merges the rows of a step, whoever computes them."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import torch

from cosinterp.ensembles.merging import Merger, merger

if TYPE_CHECKING:
    from cosinterp.ensembles.company import Company
    from cosinterp.ensembles.latents import Weights
    from cosinterp.ensembles.rows import Rows
    from cosinterp.ensembles.spec import Merge


class Mergers:
    """Gives what merges the rows of a sample's ensemble.

    Args:
        company: those who compute them.
    """

    def __init__(self, company: Company) -> None:
        self._company = company
        self._decided: dict[tuple[int, str], Merger] = {}

    def at(self, step: int, asked: Merge, going: Rows, weights: Weights) -> Merger:
        """What merges tensors of a step, one after another: first that of which it is asked, then such as go
        with it, always in the same order.

        It is given those of the rows that are computed here, (row, ...), and gives (...) of all rows
        ``going``, which have these weights; on the same device.
        """
        where = step, asked.what
        # Where a step is made again, its places are the same again.
        number = count()

        def decide(parts: list[torch.Tensor]) -> torch.Tensor:
            rows = parts[0] if len(parts) == 1 else torch.cat(parts)
            if where not in self._decided:
                self._decided[where] = merger(rows, asked.how, weights)
            return self._decided[where](rows)

        def merged(own: torch.Tensor) -> torch.Tensor:
            place = (*where, next(number))
            return self._company.meet(place, going, own, decide).to(own.device)

        return merged
