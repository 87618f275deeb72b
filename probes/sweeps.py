"""What of a patching result is shown: which effect, which places, and what has to be said beside numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes import effects
from probes.effects import PLAIN
from probes.patches import choose, effects_of
from stores.errors import SelectionError
from stores.units import count_text

if TYPE_CHECKING:
    import xarray

PREFERRED = ("goal_donor", "x0_recovered", "x0_relative")
"""Effects that are shown if none is chosen: the first of which anything is known."""
IDENTITY = "identity"
SCALE = "scale"
STRONGEST = 5
"""Cells told beside their controls."""

_PLACE = ("site", "tokens", "branch")
_MOVED = "x0_relative"


def known_effects(result: xarray.Dataset, preferred: Sequence[str] = PREFERRED) -> list[str]:
    """The effects of which a patch that did not fail tells anything, the ``preferred`` ones first."""
    known = [name for name in effects_of(result) if is_known(result, name)]
    first = [name for name in preferred if name in known]
    return [*first, *(name for name in known if name not in first)]


def effect_of(
    result: xarray.Dataset, asked: str | None = None, preferred: Sequence[str] = PREFERRED
) -> str | None:
    """The effect that is shown: the one asked for, else the first known of ``preferred``; None: none.

    Raises:
        SelectionError: the result has no such effect.
    """
    there = effects_of(result)
    if asked is not None:
        if asked not in there:
            raise SelectionError(f'effect "{asked}": this result has {", ".join(there)}')
        return asked if is_known(result, asked) else None
    return next((name for name in preferred if name in there and is_known(result, name)), None)


def is_known(result: xarray.Dataset, effect: str) -> bool:
    """Whether a patch that did not fail tells of an effect."""
    return bool(known_patches(result, effect).any())


def known_patches(result: xarray.Dataset, effect: str) -> NDArray[np.bool_]:
    """For each patch whether it did not fail and tells of an effect, (patch,)."""
    known = np.isfinite(result[effect].values)
    return known & (result["error"].values == "") if "error" in result else known


def cell_labels(result: xarray.Dataset) -> tuple[str, ...]:
    """The labels that tell cells of a result apart: the usual ones, and the scale of what is added."""
    return (*effects.CELL, SCALE) if SCALE in result else effects.CELL


def places_of(result: xarray.Dataset) -> list[dict[str, Any]]:
    """What a map by steps and layers is one of: site, tokens, branch and, if there is one, scale."""
    names = [name for name in (*_PLACE, SCALE) if name in result]
    there = dict.fromkeys(zip(*(result[name].values.tolist() for name in names), strict=True))
    return [dict(zip(names, place, strict=True)) for place in there]


def place_text(place: Mapping[str, Any]) -> str:
    """A place in words, such as "mlp, tokens path, all branches, scale 2"."""
    tokens = "all tokens" if place["tokens"] == "all" else place["tokens"]
    branch = "all branches" if place["branch"] == "all" else place["branch"]
    scale = f", scale {place[SCALE]:g}" if SCALE in place else ""
    return f"{place['site']}, {tokens}, {branch}{scale}"


def place_names(places: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each place a short name of its own, made of what differs; "" for a place that is the only one."""
    varying = [name for name in places[0] if len({place[name] for place in places}) > 1]
    texts = [
        "-".join(
            f"scale{place[name]:g}" if name == SCALE else re.sub(r"[^\w.]+", "_", str(place[name])).strip("_")
            for name in varying
        )
        for place in places
    ]
    seen: Counter[str] = Counter()
    names = []
    for text in texts:
        seen[text] += 1
        names.append(text if seen[text] == 1 else f"{text}-{seen[text]}")
    return names


def steps_text(first: int, last: int) -> str:
    """Steps as "3" or "3-5"."""
    return str(first) if first == last else f"{first}-{last}"


def identity_moves(result: xarray.Dataset) -> float | None:
    """How far the controls that must change nothing moved the clean estimate, at most; None: unknown."""
    if _MOVED not in result:
        return None
    moved = result[_MOVED].values[result["control"].values == IDENTITY]
    known = moved[np.isfinite(moved)]
    return float(np.abs(known).max()) if len(known) else None


def errors_of(result: xarray.Dataset) -> Counter[str]:
    """What went wrong, and how often."""
    told = result["error"].values.tolist() if "error" in result else []
    return Counter(text for text in told if text)


def cells_with(cells: xarray.Dataset, **labels: Any) -> xarray.Dataset:
    """The cells with these labels; none, if there are none."""
    kept = np.ones(cells.sizes["cell"], dtype=bool)
    for name, value in labels.items():
        kept &= cells[name].values == value
    return cells.isel(cell=np.flatnonzero(kept))


def counted(cells: xarray.Dataset) -> str:
    """Of how many patches and samples cells are, and what their intervals are."""
    known = cells.isel(cell=np.flatnonzero(cells["n"].values > 0))
    methods = ", or ".join(dict.fromkeys(known["method"].values.tolist()))
    return (
        f"n = {span(known['n'].values, 'patch', 'patches')} of "
        f"{span(known['samples'].values, 'sample', 'samples')} a cell; "
        f"interval: {methods}; bootstrap seed {cells.attrs['seed']}"
    )


def span(counts: NDArray[np.int64], one: str, many: str) -> str:
    """Counts as "8 patches" or "6 to 8 patches"."""
    low, high = int(counts.min()), int(counts.max())
    return f"{low} {one if low == 1 else many}" if low == high else f"{low} to {high} {many}"


def remarks(result: xarray.Dataset, cells: xarray.Dataset) -> list[str]:
    """What has to be said beside an effect's numbers: its words, n, interval, controls, and what failed.

    Args:
        result: a patching result.
        cells: all its cells, controls too, as `effects.cells` makes them of an effect.
    """
    lines = [
        f"{cells.attrs['effect']}: {cells.attrs['long_name']}; mean and {cells.attrs['level']:.0%} interval."
    ]
    plain = cells_with(cells, control=PLAIN)
    known = plain.isel(cell=np.flatnonzero(plain["n"].values > 0))
    lines.append(f"{counted(plain)}.")
    controls = [name for name in dict.fromkeys(result["control"].values.tolist()) if name != PLAIN]
    if controls:
        of = cells.isel(cell=np.flatnonzero(cells["control"].values != PLAIN))
        lines.append(
            f"Controls ({', '.join(controls)}): n = {span(of['n'].values, 'patch', 'patches')} a cell"
            + ("." if set(of["n"].values) == set(known["n"].values) else ", of some of the pairs alone.")
        )
    else:
        lines.append("No controls were made: nothing tells these effects from those of any change as large.")
    identity = identity_moves(result)
    if identity is not None:
        lines.append(
            "identity, a run's own activations: changes nothing, as it has to."
            if identity == 0
            else f"identity, a run's own activations, moves the clean estimate by up to {identity:.2g} "
            "of its norm, which it must not: the sweep is not exact here."
        )
    failed = int(plain["failed"].sum())
    if failed:
        lines.append(f"{count_text(failed, 'value')} left out of these cells: failed, or not known.")
    lines += [f"{number} failed: {error}" for error, number in errors_of(result).most_common(3)]
    if plain.sizes["cell"] > STRONGEST:
        lines.append("The strongest of many cells is strong also by luck: confirm it on pairs not used here.")
    return lines


def strongest_line(result: xarray.Dataset, cells: xarray.Dataset, direction: str) -> str | None:
    """The strongest cell of a direction in a sentence, beside its controls; None: nothing is known of any."""
    of = cells_with(cells, direction=direction)
    plain = cells_with(of, control=PLAIN)
    size = np.abs(plain["value"].values)
    if not np.isfinite(size).any():
        return None
    best = plain.isel(cell=int(np.nanargmax(size)))
    labels = {name: best[name].item() for name in cell_labels(result) if name != "control"}
    beside = cells_with(of, **labels)
    others = [
        f"{name} {_number(value)}"
        for name, value in zip(
            beside["control"].values.tolist(), beside["value"].values.tolist(), strict=True
        )
        if name not in (PLAIN, IDENTITY) and np.isfinite(value)
    ]
    low, high = float(best["low"]), float(best["high"])
    sure = f"{_number(low)} to {_number(high)}" if np.isfinite(low) else "no interval"
    place = place_text(labels) if len(places_of(choose(result, control=PLAIN))) > 1 else str(labels["site"])
    return (
        f"{direction}: {cells.attrs['effect']} is strongest at {place}, layer {labels['layer']}, step "
        f"{steps_text(labels['first_step'], labels['last_step'])}: {_number(float(best['value']))} ({sure}, "
        f"n = {int(best['n'])} of {count_text(int(best['samples']), 'sample')})"
        + (f"; controls there: {', '.join(others)}." if others else ".")
    )


def _number(value: float) -> str:
    text = f"{value:.2f}" if abs(value) < 99.5 else f"{value:.0f}"
    return "0.00" if text == "-0.00" else text
