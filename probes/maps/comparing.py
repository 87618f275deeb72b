"""Two runs side by side: their maps on one scale, and their difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from probes.figures.plots import spread
from probes.maps.mosaic import DIVERGING, MOST_ROWS, SEQUENTIAL, Bar, coloured, mosaic
from probes.maps.pictures import ENDS, component_words, in_colours, left_out, named, number, where
from stores.errors import SelectionError

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

Down = Literal["layer", "step", "frame"]

_AXES = {"layer": "layer", "step": "denoising step (0 = noisiest)", "frame": "latent frame"}


def side_by_side(
    dataset: xarray.Dataset,
    down: Down = "layer",
    runs: tuple[str, str] | None = None,
    quantity: Literal["energy", "energy_without_massive"] = "energy",
) -> Figure:
    """Energies of two runs on one scale, the first less the second, and their components if there are.

    Args:
        dataset: a result of the kind "maps".
        down: what rows are: layers, steps or frames; of the other two, what is shown.
        runs: their names; None is the first two.
        quantity: which energy.

    Raises:
        SelectionError: the result has fewer than two runs, or not these.
    """
    if runs is None and dataset.sizes["run"] < 2:
        raise SelectionError("side by side stand two runs, and this result has one; choose a second")
    if quantity not in dataset:
        raise SelectionError("no channel is massive, so there is no energy without massive channels")
    first, second = (
        dataset["run"].values[:2].tolist() if runs is None else [named(dataset, run) for run in runs]
    )
    fixed = {name: int(dataset.attrs[f"shown_{name}"]) for name in _AXES if name != down}
    rows = spread(dataset[down].values.tolist(), MOST_ROWS)
    chosen = dataset.sel({**fixed, down: rows})
    energies = chosen[quantity].sel(run=[first, second]).transpose(down, "run", "row", "col")
    pair = energies.values.astype(np.float64)
    difference = pair[:, 0] - pair[:, 1]
    # Layers differ in size, so each has its own scale; within a layer all rows share one.
    groups = [[row] for row in range(len(rows))] if down == "layer" else [list(range(len(rows)))]
    low, high, most = (np.empty(len(rows)) for _ in range(3))
    for group in groups:
        low[group], high[group] = np.nanquantile(pair[group], ENDS)
        most[group] = np.nanmax(np.abs(difference[group]))
    ends = (low[:, None, None, None], high[:, None, None, None])
    largest = most[:, None, None]
    parts = [coloured(pair, ends), coloured(difference, (-largest, largest), DIVERGING)[:, None]]
    columns, notes, blocks = ["A", "B", "A − B"], ["energy", "energy", "difference"], [2]
    if "score" in dataset:
        scores = chosen["score"].sel(run=[first, second]).transpose(down, "run", "row", "col", "component")
        parts.append(in_colours(dataset, scores.values, rows if down == "layer" else fixed["layer"]))
        columns += ["A", "B"]
        notes += ["PCA"] * 2
        blocks.append(3)
    scales, bars, row_notes = _scales(low, high, most, down == "layer")
    caption = (
        f"A: run {first}; B: run {second}; n = 1 run each. Energy: {dataset.attrs['energy_is']}; "
        f"A and B share one scale, from the {ENDS[0]:.0%} to the {ENDS[1]:.0%} quantile of both. {scales}"
    )
    if "score" in dataset:
        caption += f" {component_words(dataset)}"
    return mosaic(
        np.concatenate(parts, axis=1),
        rows=list(map(str, rows)),
        columns=columns,
        column_notes=notes,
        row_axis=_AXES[down],
        column_axis="",
        title="Two runs side by side" + (", without massive channels" if quantity != "energy" else ""),
        subtitle=f"{where(dataset)}; " + ", ".join(f"{name} {at}" for name, at in fixed.items()),
        caption=f"{caption} {left_out(dataset, {down: rows})}",
        bars=bars,
        row_notes=row_notes,
        blocks=blocks,
    )


def _scales(
    low: NDArray[np.float64], high: NDArray[np.float64], most: NDArray[np.float64], by_row: bool
) -> tuple[str, list[Bar], list[str]]:
    """How scales are put into words, their colour bars, and what stands beside each row."""
    if by_row:
        ends, differences = ("least", "most"), ("B more", "A more")
        words = "Each layer has its own; it stands beside the layer, with the largest difference."
    else:
        ends = (number(low[0]), number(high[0]))
        differences = (f"B +{number(most[0])}", f"A +{number(most[0])}")
        words = "All rows have the same."
    notes = [f"{number(a)} – {number(b)}; ±{number(c)}" for a, b, c in zip(low, high, most, strict=True)]
    bars = [Bar(SEQUENTIAL, ends, "energy"), Bar(DIVERGING, differences, "difference")]
    return words, bars, notes if by_row else []
