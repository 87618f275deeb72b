"""The kind "maps": energies, principal components and the largest channels on the token grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.kinds import Kind
from probes.maps.labelling import MEANS
from stores import selection

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure

_RANKS = 3
_MOST_NAMED = 6


def summary(dataset: xarray.Dataset) -> list[str]:
    """What is mapped, energies by layer, what components explain, the largest and the massive channels."""
    lines = [_what(dataset), *_energies(dataset)]
    if "explained" in dataset:
        lines.append(_components(dataset))
    if "top_channel" in dataset:
        lines += _channels(dataset)
    return lines + [f"note: {note}" for note in dataset.attrs["notes"].splitlines()]


def table(dataset: xarray.Dataset) -> pandas.DataFrame:
    """A row for each mean over runs, or each run's value where no mean was taken, and each large channel.

    Columns: ``quantity``, ``run`` (none for means), ``step``, ``layer``, ``frame``, ``rank`` and ``channel``
    (NA where there is none), ``value``, ``low``, ``high`` and ``n`` runs.
    """
    import pandas as pd

    parts = [_rows(dataset, name) for name in MEANS if name in dataset and name != "top_ratio"]
    if "top_channel" in dataset:
        parts.append(_channel_rows(dataset))
    columns = ["quantity", "run", "step", "layer", "frame", "rank", "channel", "value", "low", "high", "n"]
    made = pd.concat(parts, ignore_index=True).reindex(columns=columns)
    whole = ["step", "layer", "frame", "rank", "channel"]
    return made.astype(dict.fromkeys(("value", "low", "high"), "float64") | dict.fromkeys(whole, "Int64"))


def figures(dataset: xarray.Dataset) -> Mapping[str, Callable[[], Figure]]:
    """Grids of maps, two runs side by side, energies by frame and layer, and the largest channels."""
    # Drawing libraries load slowly, and a summary needs none.
    from probes.maps import comparing, curves, pictures

    found: dict[str, Callable[[], Figure]] = {}
    has_maps = dataset.sizes["row"] * dataset.sizes["col"] > 1
    names = {"energy": "energy", "score": "components", "energy_without_massive": "energy-without-massive"}
    names["massive_here"] = "massive"
    for quantity, name in names.items():
        if has_maps and quantity in dataset:
            for across in ("step", "frame"):
                found[f"{name}-by-{across}"] = partial(pictures.layer_grid, dataset, quantity, across)
    if has_maps and "channel_value" in dataset:
        found["channels"] = partial(pictures.channel_maps, dataset)
    if has_maps and dataset.sizes["run"] > 1:
        for down in ("layer", "step", "frame"):
            found[f"side-by-side-by-{down}"] = partial(comparing.side_by_side, dataset, down)
    found["energy-by-step-and-layer"] = partial(curves.energy_by_layer, dataset)
    if dataset.sizes["frame"] > 1:
        found["temporal"] = partial(curves.energy_by_frame, dataset)
    if "top_ratio" in dataset:
        found["largest-channels"] = partial(curves.largest_channels, dataset)
    return found


KIND = Kind("Maps on the token grid", summary, table, figures)


def _what(dataset: xarray.Dataset) -> str:
    attrs = dataset.attrs
    runs = dataset["run"].values.tolist()
    samples = len(set(dataset["sample"].values.tolist()))
    who = " and ".join(runs) if len(runs) <= 2 else f"{len(runs)} runs of {_count(samples, 'sample')}"
    steps, layers = (selection.compact(dataset[axis].values.tolist()) for axis in ("step", "layer"))
    grid = "x".join(str(dataset.sizes[axis]) for axis in ("frame", "row", "col"))
    reduction = "" if attrs["reduction"] == "full" else f" ({attrs['reduction']})"
    site = f"{attrs['site']}{reduction}, branch {attrs['branch']}"
    return f"{site}, steps {steps}, layers {layers}, grid {grid}: {who}"


def _energies(dataset: xarray.Dataset) -> list[str]:
    step = int(dataset.attrs["shown_step"])
    ends = list(dict.fromkeys(dataset["layer"].values[[0, -1]].tolist()))
    lines = []
    for name, what in (
        ("layer_energy", "energy"),
        ("layer_energy_without_massive", "energy without massive"),
    ):
        if f"{name}_mean" in dataset:
            at = dataset.sel(step=step)
            told = [f"{_estimate(at, name, layer=layer)} at layer {layer}" for layer in ends]
            words = dataset[f"{name}_mean"].attrs["estimate"]
            lines.append(f"{what} of a token at step {step}: {', '.join(told)}; {words}")
        elif name in dataset:
            lines += [
                f"{what} of a token at step {step}: "
                + ", ".join(
                    f"{float(one.sel(layer=layer, step=step)):.4g} at layer {layer}" for layer in ends
                )
                + f"; run {run}, n = 1 run"
                for run, one in zip(dataset["run"].values, dataset[name], strict=True)
            ]
    return lines


def _estimate(dataset: xarray.Dataset, name: str, **at: int) -> str:
    value, low, high = (float(dataset[f"{name}_{end}"].sel(at)) for end in ("mean", "low", "high"))
    interval = f" [{low:.4g}, {high:.4g}]" if np.isfinite(low) and np.isfinite(high) else ""
    return f"{value:.4g}{interval}"


def _components(dataset: xarray.Dataset) -> str:
    explained, attrs = dataset["explained"].values, dataset.attrs
    total = int(dataset["fit_count"].values.sum())
    some = ""
    if attrs["fit_tokens"] < attrs["slab_tokens"]:
        some = (
            f", {attrs['fit_tokens']} of {attrs['slab_tokens']} of each slab, drawn with seed {attrs['seed']}"
        )
    fitted = f"fitted on {total:,} tokens{some}"
    if len(explained) == 1:
        shares = ", ".join(f"{share:.1%}" for share in explained[0])
        return f"one PCA of the whole sweep, {fitted}: components 1 to 3 explain {shares} of the variance"
    sums = explained.sum(axis=1)
    shares = f"{sums.min():.1%} to {sums.max():.1%}"
    return f"a PCA for each layer, {fitted}: components 1 to 3 explain {shares} of the variance"


def _channels(dataset: xarray.Dataset) -> list[str]:
    from probes.maps.pictures import rule_words

    ratio = dataset["top_ratio"].isel(rank=0).values
    place = np.unravel_index(np.nanargmax(ratio), ratio.shape) if np.isfinite(ratio).any() else (0, 0, 0)
    run, step, layer = place
    top = dataset.isel(run=run, step=step, layer=layer, rank=0)
    token = ", ".join(str(int(top[f"top_{axis}"])) for axis in ("frame", "row", "col"))
    size = f"magnitude {float(top['top_magnitude']):.4g}, {float(top['top_ratio']):.3g} times the median"
    there = f"step {int(top['step'])}, layer {int(top['layer'])}, token ({token}) of run {top['run'].item()}"
    lines = [f"largest channel: {int(top['top_channel'])}, {size}, at {there}"]
    massive = dataset["is_massive"].values.astype(bool)
    held = dataset["massive_channels"].values > 0
    if not massive.any():
        lines.append(f"no activation is massive ({rule_words(dataset)}), n = {_count(len(held), 'run')}")
        return lines
    layers_of = {
        channel: selection.compact(dataset["layer"].values[massive[:, channel]].tolist())
        for channel in np.flatnonzero(massive.any(axis=0)).tolist()
    }
    # Those of most layers first.
    ranked = Counter({channel: int(massive[:, channel].sum()) for channel in layers_of}).most_common()
    named = [
        f"channel {channel} at layer{'s' if count > 1 else ''} {layers_of[channel]}"
        for channel, count in ranked[:_MOST_NAMED]
    ]
    more = f" and {len(ranked) - _MOST_NAMED} more channels" if len(ranked) > _MOST_NAMED else ""
    steps = selection.compact(dataset["step"].values[held.any(axis=(0, 2))].tolist())
    lines.append(
        f"massive ({rule_words(dataset)}): {', '.join(named)}{more}; at steps {steps}; in "
        f"{int(held.any(axis=(1, 2)).sum())} of {_count(len(held), 'run')}"
    )
    return lines


def _rows(dataset: xarray.Dataset, name: str) -> pandas.DataFrame:
    if f"{name}_mean" in dataset:
        ends = {"value": "mean", "low": "low", "high": "high"}
        wide = dataset[[f"{name}_{end}" for end in ends.values()]].to_dataframe().reset_index()
        wide = wide.rename(columns={f"{name}_{end}": column for column, end in ends.items()})
        wide["n"] = dataset.sizes["run"]
    else:
        wide = dataset[name].rename("value").to_dataframe().reset_index()
        wide["n"] = 1
    # The first frame has no frame before it, and tokens of some frames may not be kept.
    return wide.dropna(subset="value").assign(quantity=name)


def _channel_rows(dataset: xarray.Dataset) -> pandas.DataFrame:
    chosen: Any = dataset[["top_channel", "top_ratio"]].isel(rank=slice(_RANKS))
    rows = chosen.to_dataframe().reset_index()
    return rows.rename(columns={"top_channel": "channel", "top_ratio": "value"}).assign(
        quantity="top_ratio", n=1
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
