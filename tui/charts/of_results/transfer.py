"""Probes tested at other steps and layers: where they were fitted by where they were tested."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tui.charts.view import Made
from tui.heatmaps.heatmap import Heatmap

if TYPE_CHECKING:
    import xarray


def views(dataset: xarray.Dataset) -> Iterator[Made]:
    """Matrices along steps at the best layer, then along layers at the best step."""
    from probes.kinds.transfer import best_trained

    step, layer = best_trained(dataset)
    for along, across, fixed in (("step", "layer", layer), ("layer", "step", step)):
        if dataset.sizes[f"train_{along}"] > 1 or dataset.sizes[f"test_{along}"] > 1:
            yield Made(
                f"along {along}s, at {across} {fixed}", partial(_matrix, dataset, along, across, fixed)
            )


def _matrix(dataset: xarray.Dataset, along: str, across: str, fixed: int) -> Heatmap:
    from probes.kinds.probe import how, metric_name, what_was_probed

    axes = f"test_{along}", f"train_{along}"
    here = dataset.sel({f"train_{across}": fixed, f"test_{across}": fixed})
    value, low, high = (here[name].transpose(*axes).values for name in ("score", "low", "high"))
    unit = str(dataset.attrs["unit"])
    return Heatmap(
        title=f"{metric_name(dataset)} of probes carried along {along}s at {across} {fixed}: "
        + what_was_probed(dataset),
        columns=tuple(map(str, here[axes[0]].values.tolist())),
        rows=tuple(map(str, here[axes[1]].values.tolist())),
        values=value.astype(np.float64),
        low=low.astype(np.float64),
        high=high.astype(np.float64),
        n=np.full(value.shape, int(dataset.attrs["n"])),
        samples=np.full(value.shape, int(dataset.attrs["samples"])),
        counted=(unit, f"{unit}s"),
        note=how(dataset),
        column_name=f"tested at {along}",
        row_name=f"fitted at {along}",
        measure=metric_name(dataset),
    )
