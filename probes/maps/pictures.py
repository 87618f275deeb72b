"""Grids of maps: layers by steps, layers by frames, and the maps of single channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from probes.figures.plots import spread
from probes.maps.channels import MassiveRule
from probes.maps.mosaic import (
    DIVERGING,
    MOST_COLUMNS,
    MOST_ROWS,
    SEQUENTIAL,
    Bar,
    coloured,
    mosaic,
    on_grey,
)
from probes.maps.principal import colours
from stores.errors import SelectionError

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

Across = Literal["step", "frame"]

QUANTITIES = {
    "energy": "Token energy",
    "energy_without_massive": "Token energy without massive channels",
    "massive_here": "Massive activations of each token",
    "score": "Principal components of the tokens",
}
"""What can be drawn as a grid of maps."""
ENDS = (0.01, 0.99)
"""Quantiles of a row of maps that are its darkest and brightest colour."""


def layer_grid(
    dataset: xarray.Dataset, quantity: str = "energy", across: Across = "step", run: str | None = None
) -> Figure:
    """Maps of one run, a row for each layer, a column for each step or each frame.

    Args:
        dataset: a result of the kind "maps".
        quantity: one of `QUANTITIES`.
        across: steps at the frame that is shown, or frames at the step that is shown.
        run: its name; None is the first.

    Raises:
        SelectionError: the result has no such quantity or run.
    """
    if quantity not in dataset:
        raise SelectionError(
            f'"{quantity}": this result has {", ".join(q for q in QUANTITIES if q in dataset)}'
        )
    one = dataset[quantity].sel(run=named(dataset, run))
    fixed = "frame" if across == "step" else "step"
    at = int(dataset.attrs[f"shown_{fixed}"])
    layers = spread(dataset["layer"].values.tolist(), MOST_ROWS)
    numbers = spread(dataset[across].values.tolist(), MOST_COLUMNS)
    chosen = one.sel({fixed: at, "layer": layers, across: numbers}).transpose(
        "layer", across, "row", "col", ...
    )
    values = chosen.values
    bars: list[Bar] = []
    notes: list[str] = []
    if quantity == "score":
        pictures = in_colours(dataset, values, layers)
        colour_words = component_words(dataset)
    elif quantity == "massive_here":
        pictures, bars = _counts(values)
        colour_words = f"Massive: {rule_words(dataset)}. All maps share their colours."
    else:
        pictures, notes = by_row(values)
        bars = [Bar(SEQUENTIAL, ("least", "most"), "energy, within a layer")]
        colour_words = row_words(dataset)
    return mosaic(
        pictures,
        rows=list(map(str, layers)),
        columns=list(map(str, numbers)),
        row_axis="layer",
        column_axis="denoising step (0 = noisiest)" if across == "step" else "latent frame",
        title=QUANTITIES[quantity],
        subtitle=f"{where(dataset)}; {fixed} {at}",
        caption=f"{run_words(dataset, run)} {colour_words} "
        f"{left_out(dataset, {'layer': layers, across: numbers})}",
        bars=bars,
        row_notes=notes,
    )


def channel_maps(dataset: xarray.Dataset, run: str | None = None) -> Figure:
    """The values of single channels, a row for each layer, at the step and the frame that are shown.

    Raises:
        SelectionError: the result has no such run, or no channels.
    """
    if "channel_value" not in dataset:
        raise SelectionError("this result has no channels: its reduction keeps none")
    step, frame = (int(dataset.attrs[f"shown_{name}"]) for name in ("step", "frame"))
    layers = spread(dataset["layer"].values.tolist(), MOST_ROWS)
    numbers = spread(dataset["shown_channel"].values.tolist(), MOST_COLUMNS)
    chosen = dataset["channel_value"].sel(
        run=named(dataset, run), step=step, frame=frame, layer=layers, shown_channel=numbers
    )
    values = chosen.transpose("layer", "shown_channel", "row", "col").values
    largest = np.nanmax(np.abs(values), axis=(0, 2, 3))
    largest = np.where(largest > 0, largest, 1.0)
    limits = largest[None, :, None, None]
    return mosaic(
        coloured(values, (-limits, limits), DIVERGING),
        rows=list(map(str, layers)),
        columns=list(map(str, numbers)),
        column_notes=[f"±{number(value)}" for value in largest],
        row_axis="layer",
        column_axis="channel",
        title="Activations of single channels",
        subtitle=f"{where(dataset)}; step {step}, frame {frame}",
        caption=f"{run_words(dataset, run)} Each channel has its own scale, white at zero, written above it. "
        f"{left_out(dataset, {'layer': layers, 'shown_channel': numbers})}",
        bars=[Bar(DIVERGING, ("−", "+"), "activation, within a channel")],
    )


def by_row(values: NDArray[np.floating]) -> tuple[NDArray[np.float64], list[str]]:
    """Maps (row of pictures, ...) in colours that each row has to itself, and the range of each in words."""
    pictures = np.empty((*values.shape, 3))
    notes = list[str]()
    for index, row in enumerate(values):
        known = row[np.isfinite(row)]
        low, high = np.quantile(known.astype(np.float64), ENDS) if known.size else (0.0, 0.0)
        pictures[index] = coloured(row, (low, high))
        notes.append(f"{number(low)} – {number(high)}" if known.size else "")
    return pictures, notes


def in_colours(
    dataset: xarray.Dataset, scores: NDArray[np.floating], layers: Sequence[int] | int
) -> NDArray[np.float64]:
    """Scores (..., component) in colours: (..., rgb).

    Args:
        layers: that of all scores, or those of the first axis; each may have a PCA of its own.
    """
    limits = dataset["colour_limit"].values
    if len(limits) == 1:
        return on_grey(np.nan_to_num(colours(scores, limits[0])), np.isfinite(scores[..., 0]))
    places = dataset.indexes["layer"].get_indexer(np.atleast_1d(np.asarray(layers)))
    if isinstance(layers, int):
        found = colours(scores, limits[places[0]])
    else:
        found = np.stack([colours(one, limits[place]) for one, place in zip(scores, places, strict=True)])
    return on_grey(np.nan_to_num(found), np.isfinite(scores[..., 0]))


def named(dataset: xarray.Dataset, run: str | None) -> str:
    """The run of this name, or the first. Raises SelectionError if there is none."""
    there = dataset["run"].values.tolist()
    if run is None:
        return there[0]
    if run not in there:
        raise SelectionError(f"run {run!r}: this result has {', '.join(there[:8])}")
    return run


def where(dataset: xarray.Dataset) -> str:
    """Site, reduction and branch."""
    attrs = dataset.attrs
    reduction = "" if attrs["reduction"] == "full" else f", reduction {attrs['reduction']}"
    return f"{attrs['site']}{reduction}, branch {attrs['branch']}"


def run_words(dataset: xarray.Dataset, run: str | None) -> str:
    """Which run is drawn, of how many."""
    total = dataset.sizes["run"]
    return f"Run {named(dataset, run)}" + (
        "; n = 1 run." if total == 1 else f", one of {total}; n = 1 run drawn."
    )


def row_words(dataset: xarray.Dataset) -> str:
    """What energies are and how they are coloured."""
    return (
        f"Energy: {dataset.attrs['energy_is']}. Each layer has its own colours, the same for all its maps, "
        f"from the {ENDS[0]:.0%} to the {ENDS[1]:.0%} quantile, which stand beside it."
    )


def component_words(dataset: xarray.Dataset) -> str:
    """What the colours of components mean, and what they were fitted on."""
    attrs = dataset.attrs
    explained = dataset["explained"].values
    total = int(dataset["fit_count"].values.sum())
    some = ""
    if attrs["fit_tokens"] < attrs["slab_tokens"]:
        share = f"{attrs['fit_tokens']} of {attrs['slab_tokens']} of each slab"
        some = f" ({share}, drawn with seed {attrs['seed']})"
    spared = ", without massive channels" if attrs["spare_massive"] else ""
    if len(explained) == 1:
        shares = ", ".join(f"{one:.0%}" for one in explained[0])
        scope = (
            f"one PCA for all runs, steps and layers, so one colour is one place in it everywhere; explained "
            f"variance {shares}"
        )
    else:
        low, high = explained.sum(axis=1).min(), explained.sum(axis=1).max()
        scope = (
            f"one PCA for each layer, so colours compare within a layer only; the three explain {low:.0%} to "
            f"{high:.0%} of the variance"
        )
    return (
        f"Red, green and blue are components 1, 2 and 3: {scope}; fitted on {total:,} tokens{some}{spared}. "
        "Colours run from the 1% to the 99% quantile of each component."
    )


def rule_words(dataset: xarray.Dataset) -> str:
    """Which activations are massive."""
    return str(MassiveRule(float(dataset.attrs["massive_least"]), float(dataset.attrs["massive_ratio"])))


def left_out(dataset: xarray.Dataset, drawn: Mapping[str, Sequence[int]]) -> str:
    """Of which axes not all is drawn, in words."""
    parts = [
        f"{len(shown)} of {dataset.sizes[axis]} {axis.removeprefix('shown_')}s"
        for axis, shown in drawn.items()
        if len(shown) < dataset.sizes[axis]
    ]
    return f"Drawn: {' and '.join(parts)}, evenly spaced." if parts else ""


def number(value: float) -> str:
    """Three digits that matter."""
    return f"{value:#.3g}".removesuffix(".") if abs(value) < 1000 else f"{value:,.0f}"


def _counts(values: NDArray[np.floating]) -> tuple[NDArray[np.float64], list[Bar]]:
    most = max(1, int(np.nanmax(values)))
    bars = [Bar(SEQUENTIAL, ("0", str(most)), "massive channels of a token")]
    return coloured(values, (0, most)), bars
