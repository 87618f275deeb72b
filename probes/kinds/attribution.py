"""Results of attribution: what patches would change, to first order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from probes.kinds import Kind
from probes.kinds.patches import effect_table, grid_figures, nothing_known
from stores.units import count_text

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure

INTEGRATED, GRADIENT, SHARE = "attribution_ig", "attribution", "ig_share"
FAR_FROM_ONE = 0.1
"""From here on the points of integrated gradients are too few."""


def summary(dataset: xarray.Dataset) -> list[str]:
    """The strongest cell of each direction, and how far the numbers can be trusted."""
    from probes import effects, sweeps

    known = _known(dataset)
    if not known:
        return nothing_known(dataset)
    cells = effects.cells(dataset, known[0])
    lines = [
        sweeps.strongest_line(dataset, cells, direction)
        for direction in dict.fromkeys(dataset["direction"].values.tolist())
    ]
    return [
        *(line for line in lines if line is not None),
        f"{known[0]}: {cells.attrs['long_name']}; mean over pairs and {cells.attrs['level']:.0%} interval.",
        f"{sweeps.counted(cells)}.",
        "A screen: the model is not linear, so what is found has to be confirmed by patching.",
        *share_remark(dataset),
        *_failures(dataset),
    ]


def share_remark(dataset: xarray.Dataset) -> list[str]:
    """What is said if integrated gradients took too few points; nothing if they did not."""
    if SHARE not in dataset:
        return []
    known = dataset[SHARE].values[np.isfinite(dataset[SHARE].values)]
    share = float(np.median(known)) if len(known) else 1.0
    if abs(share - 1) <= FAR_FROM_ONE:
        return []
    told = f"The points account for {share:.2f} of the metric's difference (median over rows)"
    return [f"{told}: more --points bring it nearer to 1."]


def table(dataset: xarray.Dataset) -> pandas.DataFrame:
    """A row for each cell of integrated gradients, then of gradients."""
    return effect_table(dataset, _known(dataset))


def figures(dataset: xarray.Dataset) -> Mapping[str, Callable[[], Figure]]:
    """Maps of both, or curves where the grid has one step or one layer alone."""
    made: dict[str, Callable[[], Figure]] = {}
    for effect in _known(dataset):
        made |= grid_figures(dataset, effect)
    return made


def _known(dataset: xarray.Dataset) -> list[str]:
    from probes import sweeps

    return [name for name in (INTEGRATED, GRADIENT) if name in dataset and sweeps.is_known(dataset, name)]


def _failures(dataset: xarray.Dataset) -> list[str]:
    from probes import sweeps

    failed = sweeps.errors_of(dataset)
    if not failed:
        return []
    rows = count_text(failed.total(), "row")
    return [f"{rows} could not be attributed: {failed.most_common(1)[0][0]}"]


KIND = Kind("Attribution: what patches would change, to first order", summary, table, figures)
