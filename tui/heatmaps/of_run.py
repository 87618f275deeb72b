"""Quantities of one run by step and layer, read from its store piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stores.reader import Run
from stores.sites import SiteInfo
from stores.token_selection import Tokens
from tui.heatmaps.heatmap import Heatmap

MOST_ROWS = 512
"""Tokens that CKA is computed of: enough for a map to look at, and quick with any number of channels."""
LEAST_ROWS = 4
"""Of fewer rows debiased CKA is not defined."""


@dataclass(frozen=True)
class Place:
    """What is read of a run: a site under a reduction (a key of `Run.sites`), and a branch."""

    site: str
    branch: str

    def __str__(self) -> str:
        return f"{self.site}, {self.branch}"


Measured = Iterator[tuple[int, int, float]]
"""Index of the step, index of the layer, value."""


@dataclass(frozen=True)
class RunQuantity:
    """A quantity that a run's activations have at each step and layer.

    Attributes:
        name: of it.
        title: what it is, for a site.
        measure: yields the cells as they are read.
        fits: whether it can be computed of what is stored of a site.
    """

    name: str
    title: Callable[[SiteInfo], str]
    measure: Callable[[Run, Place], Measured]
    fits: Callable[[SiteInfo], bool]


def places_of(run: Run) -> list[Place]:
    """What can be read of a run: the residual stream first, as what most questions are about."""
    first = sorted(run.sites, key=lambda key: (run.sites[key].site != "resid", key))
    return [Place(key, branch) for key in first for branch in run.sites[key].branches]


def quantities_of(info: SiteInfo) -> list[RunQuantity]:
    """The quantities that can be computed of a site."""
    return [quantity for quantity in QUANTITIES if quantity.fits(info)]


def measured(run: Run, place: Place, quantity: RunQuantity) -> Iterator[tuple[Heatmap, int]]:
    """After each cell the map, which is one object that fills, and how many of its cells are read."""
    info = run.sites[place.site]
    values = np.full((len(info.steps), len(info.layers)), np.nan)
    heatmap = Heatmap(
        title=f"{quantity.title(info)}, {place}",
        columns=tuple(map(str, info.steps)),
        rows=tuple(map(str, info.layers)),
        values=values,
        note=f"of this run alone, so there is no interval; {run.sample}, seed {run.seed}, {run.variant}",
    )
    for done, (step, layer, value) in enumerate(quantity.measure(run, place), start=1):
        values[step, layer] = value
        yield heatmap, done


def _energy(run: Run, place: Place) -> Measured:
    info = run.sites[place.site]
    for step, layer in _coarse_to_fine(len(info.steps), len(info.layers)):
        squares = np.square(_slab(run, place, info.steps[step], info.layers[layer]), dtype=np.float64)
        yield step, layer, float(np.sqrt(squares.mean() * _numbers_kept(info) / info.channels))


def _change(run: Run, place: Place) -> Measured:
    info = run.sites[place.site]
    for layer, number in enumerate(info.layers):
        before = _slab(run, place, info.steps[0], number)
        yield 0, layer, np.nan
        for step in range(1, len(info.steps)):
            now = _slab(run, place, info.steps[step], number)
            length = float(np.linalg.norm(before))
            yield step, layer, float(np.linalg.norm(now - before)) / length if length else np.nan
            before = now


def _cka_to_last(run: Run, place: Place) -> Measured:
    # Imported here as it brings SciPy, which the first picture should not wait for.
    from threadpoolctl import threadpool_limits

    from probes.similarity.cka import linear_cka

    info = run.sites[place.site]
    tokens = _some_tokens(info)
    for layer, number in enumerate(info.layers):
        last = _rows(run, place, info.steps[-1], number, tokens)
        for step in reversed(range(len(info.steps))):
            rows = _rows(run, place, info.steps[step], number, tokens)
            # Matrices this small gain nothing from more threads, which on a busy machine wait for others.
            with threadpool_limits(1):
                value = linear_cka(rows, last)
            yield step, layer, value


def _slab(run: Run, place: Place, step: int, layer: int) -> NDArray[Any]:
    return run.read(place.site, step, layer, place.branch)


def _rows(run: Run, place: Place, step: int, layer: int, tokens: Tokens | None) -> NDArray[Any]:
    rows = run.read(place.site, step, layer, place.branch, tokens=tokens)
    return rows.reshape(-1, rows.shape[-1])


def _some_tokens(info: SiteInfo) -> list[int] | None:
    """Evenly spaced tokens of a whole token grid that is large; None: all there are."""
    count = int(np.prod(info.grid))
    if info.axes[:3] != ("frame", "row", "col") or count <= MOST_ROWS:
        return None
    return np.linspace(0, count - 1, MOST_ROWS).astype(int).tolist()


def _numbers_kept(info: SiteInfo) -> int:
    """How many numbers stand for a token: 1 for its norm, else its channels or what they are projected to."""
    return info.shape[-1] if info.item_axes else 1


def _coarse_to_fine(steps: int, layers: int) -> Iterator[tuple[int, int]]:
    """All cells, first some from everywhere, so that a map that is slow to read shows its shape early."""
    stride = 1
    while stride * 2 < max(steps, layers):
        stride *= 2
    seen: set[tuple[int, int]] = set()
    while stride:
        for step in range(0, steps, stride):
            for layer in range(0, layers, stride):
                if (step, layer) not in seen:
                    seen.add((step, layer))
                    yield step, layer
        stride //= 2


def _tokens_text(info: SiteInfo) -> str:
    if info.axes[:1] == ("frame",) and len(info.axes) == 2:
        return " of the mean tokens of frames"
    return " of the mean token" if info.axes == ("channel",) else ""


def _cka_text(info: SiteInfo) -> str:
    some = _some_tokens(info)
    of = f"{len(some)} tokens, evenly spaced" if some else f"all {int(np.prod(info.shape[:-1]))} rows"
    return f"debiased linear CKA with the last step ({of})"


QUANTITIES = (
    RunQuantity(
        "energy", lambda info: f"energy{_tokens_text(info)} (root mean square)", _energy, lambda info: True
    ),
    RunQuantity(
        "change",
        lambda info: f"change from the step before{_tokens_text(info)} (norm, relative)",
        _change,
        lambda info: bool(info.item_axes) and len(info.steps) > 1,
    ),
    RunQuantity(
        "CKA with the last step",
        _cka_text,
        _cka_to_last,
        lambda info: bool(info.item_axes) and int(np.prod(info.shape[:-1])) >= LEAST_ROWS,
    ),
)
