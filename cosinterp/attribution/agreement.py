"""How well attributions rank patches: compared with the effects of the patches themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import rankdata

from cosinterp.errors import SelectionError
from cosinterp.patching.controls import NONE

Key = tuple[Any, ...]
_PAIRS = "pair_of_runs"
_RUNS = ("donor_sample", "donor_seed", "recipient_sample", "recipient_seed")
_PLACE = ("direction", "site", "layers", "steps", "tokens", "branch", "read_step")
_CONTROL = "control"
_FEWEST = 3


def rank_correlation(attributed: xr.Dataset, patched: xr.Dataset, effect: str = "x0_along") -> xr.Dataset:
    """Spearman's rank correlation between attributions and effects, over the cells of each pair of runs.

    Args:
        attributed: of `attributions`.
        patched: a patching result, with the clean estimate read at the patched step (horizon 0).
        effect: of it; "x0_along" is what is attributed by default.

    Returns:
        Along ``pair_of_runs``, with its samples and seeds: ``attribution`` and ``attribution_ig``, the
        correlations, float64, NaN where all values are the same; ``n``, the cells that are in both results
        and known in both. Pairs that share a sample are not independent.

    Raises:
        SelectionError: no pair has three such cells, or there is no such effect.
    """
    names = [name for name in ("attribution", "attribution_ig") if name in attributed]
    effects = _by_cell(patched, [effect])
    pairs: dict[Key, list[list[float]]] = {}
    for cell, values in _by_cell(attributed, names).items():
        both = [*values, *effects.get(cell, [np.nan])]
        if np.isfinite(both).all():
            pairs.setdefault(cell[: len(_RUNS)], []).append(both)
    compared = {pair: np.array(own) for pair, own in pairs.items() if len(own) >= _FEWEST}
    if not compared:
        raise SelectionError(
            f"no pair has {_FEWEST} cells that were both attributed and patched, with {effect} read at the "
            "patched step (horizon 0)"
        )
    return xr.Dataset(
        {
            **{
                name: (_PAIRS, [_spearman(own[:, column], own[:, -1]) for own in compared.values()])
                for column, name in enumerate(names)
            },
            "n": (_PAIRS, [len(own) for own in compared.values()]),
        },
        {name: (_PAIRS, [pair[index] for pair in compared]) for index, name in enumerate(_RUNS)},
    )


def _by_cell(result: xr.Dataset, effects: list[str]) -> dict[Key, list[float]]:
    """Effects of the patches that are no controls, by run and place."""
    missing = [name for name in (*_RUNS, *_PLACE, _CONTROL, *effects) if name not in result]
    if missing:
        raise SelectionError(f'"{missing[0]}": a result that is compared has none of that name')
    keys = zip(*(result[name].values.tolist() for name in (*_RUNS, *_PLACE)), strict=True)
    values = zip(*(result[name].values.tolist() for name in effects), strict=True)
    plain = result[_CONTROL].values == NONE
    return {key: list(own) for key, own, is_plain in zip(keys, values, plain, strict=True) if is_plain}


def _spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Pearson's correlation of the ranks, those of equal values being their mean."""
    ranks = rankdata(one), rankdata(other)
    if any(own.std() == 0 for own in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])
