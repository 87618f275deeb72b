"""What was found in a sweep, as one labelled Dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.maps.channels import ChannelTable
from probes.maps.choosing import Sweep
from probes.maps.collecting import Collected, Scope, Wanted
from probes.maps.energy import Float32, frame_energy, layer_energy
from probes.maps.estimates import means_over_runs
from probes.maps.principal import Principal, colour_limits

if TYPE_CHECKING:
    import xarray

SLAB = ("run", "step", "layer")
MAP = (*SLAB, "frame", "row", "col")
MEANS = {
    "layer_energy": "mean energy of the tokens",
    "frame_energy": "mean energy of the tokens of a frame",
    "frame_change": "mean distance of a token from that of the frame before",
    "layer_energy_without_massive": "mean energy of the tokens without massive channels",
    "frame_energy_without_massive": "mean energy of the tokens of a frame without massive channels",
    "top_ratio": "largest magnitude of a channel over the median magnitude",
}
"""What is averaged over runs where they are repetitions of one another, in words."""

_Variables = dict[str, tuple[tuple[str, ...], Any]]


def labelled(
    sweep: Sweep, wanted: Wanted, found: Collected, shown: Mapping[str, int], notes: Sequence[str]
) -> xarray.Dataset:
    """The Dataset of a result of the kind "maps"; docs/maps.md lists what is in it."""
    import xarray

    variables: _Variables = {"energy": (MAP, found.energy)}
    variables |= _by_frame_and_layer(found)
    if found.table is not None:
        variables |= _of_channels(sweep, found.table)
        variables |= {"channel_value": ((*MAP, "shown_channel"), found.values)}
    if found.without is not None:
        variables["energy_without_massive"] = (MAP, found.without)
    if found.scores is not None:
        variables |= _of_components(found.scores, found.fits, wanted.scope)
    dataset = xarray.Dataset(variables, coords=_coordinates(sweep, found))
    dataset.attrs = _told(sweep, wanted, found, shown, notes)
    for name, words in MEANS.items():
        if name in dataset:
            dataset[name].attrs["long_name"] = words
    if len({chosen.group for chosen in sweep.runs}) > 1:
        return dataset
    samples = [chosen.entry.sample for chosen in sweep.runs]
    for name in MEANS:
        if name in dataset:
            axes, values = variables[name]
            made = means_over_runs(values, samples, seed=wanted.seed)
            for end, numbers in (("mean", made.value), ("low", made.low), ("high", made.high)):
                dataset[f"{name}_{end}"] = (axes[1:], numbers, {"estimate": made.words})
    return dataset


def _by_frame_and_layer(found: Collected) -> _Variables:
    made: _Variables = {}
    for suffix, energies in (("", found.energy), ("_without_massive", found.without)):
        if energies is not None:
            made[f"layer_energy{suffix}"] = (SLAB, layer_energy(energies))
            made[f"frame_energy{suffix}"] = ((*SLAB, "frame"), frame_energy(energies))
    if found.change is not None:
        made["frame_change"] = ((*SLAB, "frame"), found.change)
    return made


def _of_channels(sweep: Sweep, table: ChannelTable) -> _Variables:
    ranked = (*SLAB, "rank")
    median = np.where(table.median > 0, table.median, np.nan)
    frame, row, col = np.unravel_index(table.token, sweep.kept.grid)
    made: _Variables = {
        "median_magnitude": (SLAB, table.median),
        "top_channel": (ranked, table.channel),
        "top_magnitude": (ranked, table.peak),
        "top_ratio": (ranked, table.peak / median[..., None]),
        "top_frame": (ranked, frame),
        "top_row": (ranked, row),
        "top_col": (ranked, col),
        "top_massive_tokens": (ranked, table.tokens),
        "massive_channels": (SLAB, table.massive_channels),
        "is_massive": (("layer", "channel"), table.massive),
    }
    if table.massive_here is not None:
        made["massive_here"] = (MAP, table.massive_here)
    return made


def _of_components(scores: Float32, fits: Sequence[Principal], scope: Scope | None) -> _Variables:
    if scope == "layer":
        limits = [colour_limits(scores[:, :, layer]) for layer in range(scores.shape[2])]
    else:
        limits = [colour_limits(scores)]
    return {
        "score": ((*MAP, "component"), scores),
        "component_axis": (("fit", "component", "channel"), np.stack([one.axes for one in fits])),
        "component_centre": (("fit", "channel"), np.stack([one.centre for one in fits])),
        "explained": (("fit", "component"), np.stack([one.explained for one in fits])),
        "fit_count": (("fit",), np.array([one.tokens for one in fits])),
        "colour_limit": (("fit", "end", "component"), np.stack(limits)),
    }


def _coordinates(sweep: Sweep, found: Collected) -> dict[str, Any]:
    frames, rows, cols = (np.arange(length) for length in sweep.kept.grid)
    entries = [chosen.entry for chosen in sweep.runs]
    stores = [chosen.store.path.name for chosen in sweep.runs]
    several = len({chosen.store.path for chosen in sweep.runs}) > 1
    names = [
        f"{store}:{chosen.name}" if several else chosen.name
        for store, chosen in zip(stores, sweep.runs, strict=True)
    ]
    coords: dict[str, Any] = {
        "run": names,
        "sample": ("run", [entry.sample for entry in entries]),
        "seed": ("run", [entry.seed for entry in entries]),
        "variant": ("run", [entry.variant for entry in entries]),
        "store": ("run", stores),
        "step": list(sweep.steps),
        "layer": list(sweep.layers),
        "frame": frames,
        "row": rows,
        "col": cols,
    }
    if found.table is not None:
        coords["rank"] = np.arange(1, found.table.channel.shape[-1] + 1)
        coords["shown_channel"] = list(found.channels)
    if found.scores is not None:
        coords["component"] = [1, 2, 3]
        coords["end"] = ["darkest", "brightest"]
    return coords


def _told(
    sweep: Sweep, wanted: Wanted, found: Collected, shown: Mapping[str, int], notes: Sequence[str]
) -> dict[str, Any]:
    kept = sweep.kept
    told: dict[str, Any] = {
        "site": sweep.site,
        "reduction": kept.reduction,
        "branch": sweep.branch,
        "energy_is": _energy_is(sweep),
        "pca": wanted.scope or "none",
        "spare_massive": int(wanted.spare_massive),
        "fit_tokens": found.fitted,
        "slab_tokens": kept.tokens,
        "seed": wanted.seed,
        "notes": "\n".join(notes),
        **{f"shown_{name}": number for name, number in shown.items()},
    }
    if wanted.rule is not None:
        told |= {"massive_least": wanted.rule.least, "massive_ratio": wanted.rule.ratio}
    return told


def _energy_is(sweep: Sweep) -> str:
    """What an energy is, in words."""
    kept = sweep.kept
    of = {"frames": " of the mean of each frame", "mean": " of the mean of all tokens"}
    parts = kept.reduction.split("+")
    if parts[0] == "norm" and len(parts) > 1:
        words = "mean L2 norm over channels" + (" of each frame" if parts[1] == "frames" else "")
    else:
        words = "L2 norm over channels" + of.get(parts[0], "")
    if kept.projection is not None:
        # Half the relative standard deviation of its square.
        error = (2 / kept.channels) ** 0.5 / 2
        words += f", estimated from {kept.channels} random components (to about {error:.0%})"
    return words
