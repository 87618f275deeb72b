"""How far noised runs are from their base runs: clean estimates by step, final latents by frame.

Distances are those of `probes.convergence.distances` with its normaliser "norm": root mean square distance
over the root of the sum of both mean squares, 0 for the same, 1 for two of zero mean that have nothing in
common.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.convergence.distances import cross_distances
from probes.noising.places import NoisedPlace
from probes.noising.runs import Compared
from stores import SelectionError, StoreError
from stores.layout import BASE

if TYPE_CHECKING:
    from stores import Run, Store

MEANING = (
    "root mean square distance from the base run over the root of the sum of both mean squares "
    "(0: the same, 1: uncorrelated)"
)


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Distances of noised runs from their base runs, and what noise they had.

    Attributes:
        energies: (place, run) of the noise; `cosinterp.noising.mixing` says what that is.
        clean: (place, run, step) of the clean estimates.
        final: (place, run) of the final latents.
        by_frame: (place, run, frame) of the final latents, each frame by itself.
    """

    energies: NDArray[np.float64]
    clean: NDArray[np.float64]
    final: NDArray[np.float64]
    by_frame: NDArray[np.float64]


def trajectories(
    store: Store,
    places: Sequence[NoisedPlace],
    runs: Compared,
    progress: Callable[[], object] | None = None,
) -> Trajectories:
    """The distances of all noised runs; a run's latents of one step are in memory at a time.

    ``progress`` is called after each run of base.

    Raises:
        SelectionError: runs differ in their number of steps or of latent frames.
        StoreError: a run has no latents, or does not say its energy.
    """
    found: list[list[_Row]] = []
    for sample, seed in runs.keys:
        base = store.shared_run(sample, seed, BASE)
        noised = [store.shared_run(sample, seed, place.variant) for place in places]
        found.append(_of_run(base, noised))
        if progress is not None:
            progress()
    lengths = {(len(row.clean), len(row.by_frame)) for rows in found for row in rows}
    if len(lengths) > 1:
        told = " and ".join(f"{steps} steps, {frames} latent frames" for steps, frames in sorted(lengths))
        raise SelectionError(f"runs of {store.path} cannot be compared: they have {told}; choose samples")
    return Trajectories(
        *(
            np.array([[getattr(row, part) for row in rows] for rows in found], dtype=np.float64).swapaxes(
                0, 1
            )
            for part in ("energy", "clean", "final", "by_frame")
        )
    )


@dataclass(frozen=True)
class _Row:
    """Of one noised run: as `Trajectories`."""

    energy: float
    clean: list[float]
    final: float
    by_frame: list[float]


def _of_run(base: Run, noised: Sequence[Run]) -> list[_Row]:
    steps = base.num_steps
    clean: list[list[float]] = [[] for _ in noised]
    for step in range(steps):
        there = base.clean_estimate(step)
        for row, run in zip(clean, noised, strict=True):
            row.append(_distance(run.clean_estimate(step), there))
    end = base.noisy(steps)
    rows = []
    for own_clean, run in zip(clean, noised, strict=True):
        own = run.noisy(run.num_steps)
        frames = [_distance(own[:, frame], end[:, frame]) for frame in range(end.shape[1])]
        rows.append(_Row(_energy(run), own_clean, _distance(own, end), frames))
    return rows


def _energy(run: Run) -> float:
    energy = run.attrs.get("noise_energy")
    if energy is None:
        raise StoreError(f"{run.path}: does not say the energy of its noise; make it again")
    return float(energy)


def _distance(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(cross_distances(one[None], other[None], "norm")[0, 0])
