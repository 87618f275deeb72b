"""What patching showed: each cell of a grid with its interval, from a result alone.

A result has one entry a patch (dimension `patch`) with labels, such as direction, control, site, layer,
and effects, which are numbers. Patches of one cell are averaged over pairs of runs. Runs of one sample are
not independent, so what is drawn in the bootstrap are samples: pairs with the same recipient sample, or of
the same two samples (each once as the donor), are drawn together, with all of their seeds.

Patches that failed (`error` is not empty) or whose effect is not known (NaN) are left out and counted. An
effect's variable may have the attributes `long_name`, `kind` ("share" for outcomes of 0 and 1) and
`valid_min` and `valid_max`, which intervals of few samples need.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes import statistics
from probes.patches import ENDS, RUNS, Key, Patches, bounds_of, choose, in_words, require_labels
from probes.statistics import Estimate
from stores.errors import SelectionError

if TYPE_CHECKING:
    import xarray

PLAIN = "none"
"""The control of a patch that is no control."""
CELL = ("direction", "control", "site", "tokens", "branch", "first_step", "last_step", "layer")
"""What tells cells apart."""


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are drawn; see `statistics.means`."""

    seed: int = 0
    draws: int = statistics.DRAWS
    level: float = statistics.LEVEL


DEFAULT = Bootstrap()


def cells(
    dataset: xarray.Dataset, effect: str, by: Sequence[str] = CELL, bootstrap: Bootstrap = DEFAULT
) -> xarray.Dataset:
    """The mean of an effect in each cell, with its interval.

    Args:
        dataset: a patching result.
        effect: one of `patches.effects_of`.
        by: labels that tell cells apart; patches that agree in all of them are averaged.
        bootstrap: how intervals are drawn.

    Returns:
        One entry a cell (dimension `cell`), sorted by its labels, which are coordinates: `value`, `low` and
        `high` (NaN where nothing is known), `n` patches of `samples` independent samples, `failed` patches
        left out, and the `method` of the interval.

    Raises:
        SelectionError: the result has no such effect or label, nothing is known of the effect, or patches
            would be averaged that stopped at different horizons or were made at different scales.
    """
    patches = Patches.of(dataset, effect, by)
    observed = _by_cell(patches.keys(by), patches.values, patches.clusters)
    return _summary(dataset, effect, by, observed, bounds_of(dataset, effect), bootstrap)


def over_control(
    dataset: xarray.Dataset,
    effect: str,
    control: str = "random",
    by: Sequence[str] = CELL,
    bootstrap: Bootstrap = DEFAULT,
) -> xarray.Dataset:
    """By how much a patch's effect exceeds that of its control, pair by pair.

    A patch and its control are of the same two runs and the same cell; several of either are averaged first.
    Runs that were patched without this control, or the other way round, are not asked.

    Returns:
        As `cells`, of differences; `n` counts pairs of runs, `failed` those of which one side is not known,
        and the coordinate `control` says which control it was.

    Raises:
        SelectionError: as `cells`, or the result has no such control.
    """
    if control == PLAIN:
        raise SelectionError(f'control "{PLAIN}" is the patch itself; choose one of its controls')
    choose(dataset, control=control)
    by = tuple(name for name in by if name != "control")
    patches = Patches.of(dataset, effect, (*by, "control", *RUNS))
    sides: dict[Key, dict[str, list[float]]] = {}
    cluster_of: dict[Key, int] = {}
    for key, which, value, cluster in zip(
        patches.keys((*by, *RUNS)), patches.labels["control"], patches.values, patches.clusters, strict=True
    ):
        sides.setdefault(key, {}).setdefault(which, []).append(value)
        cluster_of[key] = int(cluster)
    compared = [key for key, side in sides.items() if PLAIN in side and control in side]
    if not compared:
        raise SelectionError(f'control "{control}": no patch of this result has one of its own runs and cell')
    observed = _by_cell(
        [key[: len(by)] for key in compared],
        np.array([_mean(sides[key][PLAIN]) - _mean(sides[key][control]) for key in compared]),
        np.array([cluster_of[key] for key in compared]),
    )
    low, high = bounds_of(dataset, effect)
    made = _summary(dataset, effect, by, observed, (low - high, high - low), bootstrap)
    made = made.assign_coords(control=("cell", [control] * made.sizes["cell"]))
    return made.assign_attrs(long_name=f"{in_words(dataset, effect)}, beyond the control {control}")


def strongest(
    dataset: xarray.Dataset,
    effect: str,
    n: int = 10,
    by: Sequence[str] = CELL,
    bootstrap: Bootstrap = DEFAULT,
) -> xarray.Dataset:
    """The ``n`` cells of largest mean effect, whatever its sign, the largest first; no controls.

    The largest of many is large also by luck, so what is found here is to be confirmed on other pairs.

    Raises:
        ValueError: ``n`` is less than 1.
        SelectionError: as `cells`.
    """
    if n < 1:
        raise ValueError(f"at least one cell has to be asked for, not {n}")
    found = cells(choose(dataset, control=PLAIN), effect, by, bootstrap)
    size = np.abs(found["value"].values)
    order = [index for index in np.argsort(-size, kind="stable").tolist() if not math.isnan(size[index])]
    return found.isel(cell=order[:n])


def grid(
    dataset: xarray.Dataset,
    effect: str,
    direction: str,
    control: str = PLAIN,
    *,
    site: str | None = None,
    tokens: str | None = None,
    branch: str | None = None,
    bootstrap: Bootstrap = DEFAULT,
) -> xarray.Dataset:
    """The cells of one direction and control, by steps and layers.

    Args:
        dataset, effect, bootstrap: as in `cells`.
        direction, control, site, tokens, branch: which patches; None is the only one there is.

    Returns:
        What `cells` gives, on the dimensions `steps` (text as "3" or "3-5", in order, with the coordinates
        `first_step` and `last_step`) and `layer`. A cell that was not patched has value NaN and n = 0.

    Raises:
        SelectionError: as `cells`, no such patch, or several sites, token groups or branches and none chosen.
    """
    import xarray

    asked = {"direction": direction, "control": control, "site": site, "tokens": tokens, "branch": branch}
    chosen = choose(dataset, **{name: value for name, value in asked.items() if value is not None})
    require_labels(chosen, tuple(asked))
    labels = {name: sorted(set(chosen[name].values.tolist())) for name in asked}
    for name, there in labels.items():
        if len(there) > 1:
            raise SelectionError(f"{name}: this result has several, choose one: {', '.join(there)}")
    flat = cells(chosen, effect, ("first_step", "last_step", "layer"), bootstrap)
    spans = list(zip(flat["first_step"].values.tolist(), flat["last_step"].values.tolist(), strict=True))
    rows, columns = sorted(set(spans)), sorted(set(flat["layer"].values.tolist()))
    at = [rows.index(span) for span in spans], [columns.index(one) for one in flat["layer"].values.tolist()]

    def laid_out(name: str, empty: float | int | str) -> tuple[tuple[str, str], NDArray[np.generic]]:
        full = np.full((len(rows), len(columns)), empty, dtype=flat[name].dtype)
        full[at] = flat[name].values
        return ("steps", "layer"), full

    empties = {"value": math.nan, "low": math.nan, "high": math.nan, "n": 0, "samples": 0, "failed": 0}
    return xarray.Dataset(
        {name: laid_out(name, empty) for name, empty in {**empties, "method": ""}.items()},
        coords={
            "steps": [str(first) if first == last else f"{first}-{last}" for first, last in rows],
            "first_step": ("steps", [first for first, _ in rows]),
            "last_step": ("steps", [last for _, last in rows]),
            "layer": columns,
            **{name: there[0] for name, there in labels.items()},
        },
        attrs=flat.attrs,
    )


@dataclass(frozen=True, eq=False)
class _Observed:
    """What is known of one cell: values (observation,) with the cluster of each, and how many are not."""

    values: NDArray[np.float64]
    clusters: NDArray[np.intp]
    failed: int


def _by_cell(
    keys: Sequence[Key], values: NDArray[np.float64], clusters: NDArray[np.intp]
) -> dict[Key, _Observed]:
    members: dict[Key, list[int]] = {}
    for index, key in enumerate(keys):
        members.setdefault(key, []).append(index)
    found: dict[Key, _Observed] = {}
    for key in sorted(members):
        rows = np.array(members[key])
        known = rows[np.isfinite(values[rows])]
        # In the order of clusters, so that cells of the same samples can share their draws, and of values, so
        # that the same patches give the same sums in whichever order they were made.
        known = known[np.lexsort((values[known], clusters[known]))]
        found[key] = _Observed(values[known], clusters[known], len(rows) - len(known))
    return found


def _estimated(
    observed: Sequence[_Observed], bounds: tuple[float, float], bootstrap: Bootstrap
) -> list[Estimate | None]:
    """An estimate of each cell, None where nothing is known.

    Cells that were measured on the same samples share their draws, which makes a grid as quick as a cell.
    """
    together: dict[bytes, list[int]] = {}
    for index, one in enumerate(observed):
        if one.values.size:
            together.setdefault(one.clusters.tobytes(), []).append(index)
    found: list[Estimate | None] = [None] * len(observed)
    for indices in together.values():
        estimates = statistics.means(
            np.stack([observed[index].values for index in indices], axis=1),
            observed[indices[0]].clusters.tolist(),
            seed=bootstrap.seed,
            draws=bootstrap.draws,
            level=bootstrap.level,
            bounds=bounds,
        )
        for index, estimate in zip(indices, estimates, strict=True):
            found[index] = estimate
    return found


def _summary(
    dataset: xarray.Dataset,
    effect: str,
    by: Sequence[str],
    observed: Mapping[Key, _Observed],
    bounds: tuple[float, float],
    bootstrap: Bootstrap,
) -> xarray.Dataset:
    """What `cells` returns, of these cells."""
    import xarray

    estimates = _estimated(list(observed.values()), bounds, bootstrap)
    if all(one is None for one in estimates):
        raise SelectionError(f'effect "{effect}": not known of any of these patches')
    nan, level = math.nan, bootstrap.level
    unknown = Estimate(nan, nan, nan, level, 0, 0, statistics.NO_INTERVAL, None, None)
    filled = [unknown if one is None else one for one in estimates]
    columns = ("value", "low", "high", "n", "samples", "method")
    labels = zip(*observed, strict=True)
    return xarray.Dataset(
        {name: ("cell", np.array([getattr(one, name) for one in filled])) for name in columns}
        | {"failed": ("cell", np.array([one.failed for one in observed.values()]))},
        coords={name: ("cell", np.array(label)) for name, label in zip(by, labels, strict=True)},
        attrs={
            "effect": effect,
            "long_name": in_words(dataset, effect),
            **{name: end for name, end in zip(ENDS, bounds, strict=True) if math.isfinite(end)},
            "level": level,
            "seed": bootstrap.seed,
            "draws": bootstrap.draws,
        },
    )


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else math.nan
