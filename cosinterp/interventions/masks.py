"""Which tokens an intervention changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from cosinterp.interventions.intervention import Intervention
from cosinterp.interventions.token_groups import TokenGroup

ALL = "all"


def mask_of(
    intervention: Intervention,
    grid: tuple[int, int, int],
    truth: Mapping[str, Any],
    donor_truth: Mapping[str, Any] | None = None,
) -> torch.Tensor | None:
    """Which tokens of the grid (frame, row, col) an intervention changes, bool (token,); None: all.

    ``truth``: what is known of the sample of the run that is changed, ``donor_truth`` of its donor's.

    Raises:
        SelectionError: there are no such tokens.
    """
    if intervention.tokens == ALL:
        return None
    mask = TokenGroup.parse(intervention.tokens).mask(grid, truth, donor_truth).reshape(-1)
    return torch.from_numpy(
        mask if intervention.elsewhere is None else _elsewhere(mask, intervention.elsewhere)
    )


def _elsewhere(mask: np.ndarray, seed: int) -> np.ndarray:
    """As many tokens, or as many as there are, among those that are not in the mask."""
    others = np.flatnonzero(~mask)
    count = min(int(mask.sum()), len(others))
    chosen = np.random.default_rng([seed, len(mask)]).choice(others, size=count, replace=False)
    elsewhere = np.zeros_like(mask)
    elsewhere[chosen] = True
    return elsewhere
