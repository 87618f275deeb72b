"""Results of patching, ablation and steering: effects of changes over a grid, beside their controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.kinds import Kind
from stores.units import count_text

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure

    from probes.effects import Bootstrap

    Draw = Callable[[], Figure]
    Figures = Mapping[str, Draw]

_STRONGEST = "strongest"
_COLUMNS = ("value", "low", "high", "n", "samples", "failed", "method")


def summary(dataset: xarray.Dataset) -> list[str]:
    """The strongest cell of each direction beside its controls, then what has to be said of all of them."""
    from probes import effects, sweeps

    effect = main_effect(dataset)
    if effect is None:
        return nothing_known(dataset)
    cells = effects.cells(dataset, effect, sweeps.cell_labels(dataset))
    lines = [
        sweeps.strongest_line(dataset, cells, direction)
        for direction in dict.fromkeys(dataset["direction"].values.tolist())
    ]
    return [*(line for line in lines if line is not None), *sweeps.remarks(dataset, cells)]


def nothing_known(dataset: xarray.Dataset) -> list[str]:
    """What is said of a result of which no effect is known."""
    from probes import sweeps

    told = [f"{number} failed: {error}" for error, number in sweeps.errors_of(dataset).most_common(3)]
    return [f"No effect is known, of {count_text(dataset.sizes['patch'], 'row')}.", *told]


def table(dataset: xarray.Dataset) -> pandas.DataFrame:
    """A row for each effect and cell, the main effect first."""
    from probes import sweeps

    return effect_table(dataset, sweeps.known_effects(dataset))


def figures(dataset: xarray.Dataset) -> Figures:
    """The main effect in all the ways that fit its grid; the maps, or curves, of the other effects."""
    from probes import sweeps

    known = sweeps.known_effects(dataset)
    made = dict(effect_figures(dataset, known[0])) if known else {}
    for effect in known[1:]:
        # Where there are scales, a map for each of them would be too much of what no one asked for first.
        made |= _by_scale(dataset, effect) or grid_figures(dataset, effect)
    return made


def effect_figures(dataset: xarray.Dataset, effect: str, bootstrap: Bootstrap | None = None) -> Figures:
    """One effect in all the ways that fit the grid: along scales, by steps and layers, its strongest cells.

    Args:
        dataset: a patching result.
        effect: one of which something is known.
        bootstrap: how intervals are drawn; None is `effects.DEFAULT`.
    """
    made = {**_by_scale(dataset, effect, bootstrap), **grid_figures(dataset, effect, bootstrap)}
    return made | {f"{effect}-{_STRONGEST}": partial(_dots, dataset, effect, bootstrap)}


def main_effect(dataset: xarray.Dataset) -> str | None:
    """The effect that a result is shown by; None if nothing is known."""
    from probes import sweeps

    return next(iter(sweeps.known_effects(dataset)), None)


def effect_table(dataset: xarray.Dataset, effects: Sequence[str]) -> pandas.DataFrame:
    """A row for each of these effects and each cell: its labels, value, interval, n."""
    import pandas as pd

    from probes import effects as of_effects
    from probes import sweeps

    by = sweeps.cell_labels(dataset)
    parts = []
    for effect in effects:
        cells = of_effects.cells(dataset, effect, by)
        # Patches before their controls.
        cells = cells.isel(cell=np.argsort(cells["control"].values != of_effects.PLAIN, kind="stable"))
        columns = {"effect": [effect] * cells.sizes["cell"]}
        parts.append(pd.DataFrame(columns | {name: cells[name].values for name in (*by, *_COLUMNS)}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["effect", *by, *_COLUMNS])


def grid_figures(dataset: xarray.Dataset, effect: str, bootstrap: Bootstrap | None = None) -> Figures:
    """Maps of an effect for each place with several steps and layers; for others, curves along either."""
    from probes import patches, sweeps

    plain = patches.choose(dataset, control="none")
    places = sweeps.places_of(plain)
    made: dict[str, Draw] = {}
    flat: dict[str, None] = {}
    for place, name in zip(places, sweeps.place_names(places), strict=True):
        here = patches.choose(plain, **place)
        if not sweeps.is_known(here, effect):
            continue
        steps = len(
            set(zip(here["first_step"].values.tolist(), here["last_step"].values.tolist(), strict=True))
        )
        layers = len(set(here["layer"].values.tolist()))
        if steps > 1 and layers > 1:
            made[f"{effect}-{name}" if name else effect] = partial(_map, dataset, effect, place, bootstrap)
        elif layers > 1 or steps > 1:
            flat["layer" if layers > 1 else "steps"] = None
    for along in flat:
        made[f"{effect}-by-{along.removesuffix('s')}"] = partial(_curves, dataset, effect, along, bootstrap)
    return made


def _map(
    dataset: xarray.Dataset, effect: str, place: Mapping[str, Any], bootstrap: Bootstrap | None
) -> Figure:
    from probes import effect_plots, effects, patches, sweeps

    title = patches.in_words(dataset, effect)
    title = title[:1].upper() + title[1:]
    if sweeps.SCALE in place:
        title = f"{title}, scale {place[sweeps.SCALE]:g}"
    here = _known_groups(patches.choose(dataset, **place), effect)
    return effect_plots.step_layer_maps(here, effect, title=title, bootstrap=bootstrap or effects.DEFAULT)


def _curves(dataset: xarray.Dataset, effect: str, along: str, bootstrap: Bootstrap | None) -> Figure:
    from probes import effect_curves, effects

    here = _known_groups(dataset, effect)
    return effect_curves.curves(here, effect, along, bootstrap=bootstrap or effects.DEFAULT)


def _dots(dataset: xarray.Dataset, effect: str, bootstrap: Bootstrap | None) -> Figure:
    from probes import effect_curves, effects

    return effect_curves.strongest_dots(dataset, effect, bootstrap=bootstrap or effects.DEFAULT)


def _known_groups(dataset: xarray.Dataset, effect: str) -> xarray.Dataset:
    """Without the directions, and the controls of a direction, of which nothing is known."""
    from probes import sweeps

    known = sweeps.known_patches(dataset, effect)
    groups = list(zip(dataset["direction"].values.tolist(), dataset["control"].values.tolist(), strict=True))
    there = {group for group, is_known in zip(groups, known, strict=True) if is_known}
    return dataset.isel(
        patch=[i for i, group in enumerate(groups) if group in there and (group[0], "none") in there]
    )


def _by_scale(dataset: xarray.Dataset, effect: str, bootstrap: Bootstrap | None = None) -> dict[str, Draw]:
    if not _has_scales(dataset):
        return {}
    return {f"{effect}-by-scale": partial(_curves, dataset, effect, "scale", bootstrap)}


def _has_scales(dataset: xarray.Dataset) -> bool:
    if "scale" not in dataset:
        return False
    return len(set(dataset["scale"].values[dataset["control"].values == "none"].tolist())) > 1


PATCH = Kind("Patching: one run's activations put into another", summary, table, figures)
ABLATION = Kind("Ablation: what runs compute, taken away", summary, table, figures)
STEERING = Kind("Steering: a direction added to what runs compute", summary, table, figures)
