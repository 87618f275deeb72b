"""How far the clean estimates of a sample's seeds are apart, from stored latents alone.

A small distance early on is no agreement about the answer: early estimates are averages over what may still
come (Wang et al. 2026, arXiv 2603.16870), and averages are alike. What a distance means is told by its
reference: the same distance between runs of different samples, whose answers have nothing in common, with
different seeds and with the same seed (so with the same initial noise).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from probes import statistics
from probes.statistics import Estimate
from stores import SelectionError, Store

Normaliser = Literal["norm", "final", "none"]

NORMALISERS: dict[str, str] = {
    "norm": "root mean square distance of two seeds over the root of the sum of their mean squares "
    "at that step (0: the same, 1: uncorrelated)",
    "final": "root mean square distance of two seeds over its mean at the last step of the sample",
    "none": "root mean square distance of two seeds, in latent units",
}


_SAME = 1e-5
"""Estimates whose distance is this share of their size differ by rounding alone."""


@dataclass(frozen=True)
class Disagreement:
    """Distance between the clean estimates of a sample's seeds, by step.

    samples      names, in order
    seeds        how many seeds each sample has (sample,)
    values       (sample, step): mean over the pairs of seeds, float64
    normaliser   what the distance is divided by: a key of NORMALISERS
    left_out     samples with fewer than two seeds: nothing to compare
    """

    samples: tuple[str, ...]
    seeds: tuple[int, ...]
    values: NDArray[np.float64]
    normaliser: Normaliser
    left_out: tuple[str, ...]

    @property
    def num_steps(self) -> int:
        """How many steps the curves have."""
        return self.values.shape[1]

    @property
    def meaning(self) -> str:
        """What a value is, in words."""
        return NORMALISERS[self.normaliser]

    def by_step(self, *, seed: int = 0, level: float = statistics.LEVEL) -> list[Estimate]:
        """Mean over samples at each step; n counts samples, for the pairs of a sample make one value."""
        return statistics.means(self.values, self.samples, seed=seed, level=level, bounds=(0.0, np.inf))


def pair_distances(estimates: NDArray[Any], normaliser: Normaliser = "none") -> NDArray[np.float64]:
    """Root mean square distance of each pair of `estimates` (seed, ...): (pair,), in np.triu_indices order.

    `norm` divides by sqrt(mean square of one + mean square of the other), so that two zero-mean
    uncorrelated fields are 1 apart whatever their scale. Two fields that are zero everywhere are 0 apart.
    """
    if len(estimates) < 2:
        raise ValueError("a distance between seeds needs at least two of them")
    return _distances(estimates, *np.triu_indices(len(estimates), 1), normaliser)


def cross_distances(
    first: NDArray[Any], second: NDArray[Any], normaliser: Normaliser = "none"
) -> NDArray[np.float64]:
    """As `pair_distances`, of each of `first` (seed, ...) to each of `second` (seed, ...): (seed, seed)."""
    rows, columns = np.indices((len(first), len(second))).reshape(2, -1)
    found = _distances(np.concatenate([first, second]), rows, columns + len(first), normaliser)
    return found.reshape(len(first), len(second))


def _distances(
    estimates: NDArray[Any], first: NDArray[np.intp], second: NDArray[np.intp], normaliser: Normaliser
) -> NDArray[np.float64]:
    if normaliser not in ("none", "norm"):
        raise ValueError(f"one step knows no normaliser {normaliser!r}: none or norm")
    flat = np.asarray(estimates, dtype=np.float64).reshape(len(estimates), -1)
    # Pair by pair: the product form would lose the small distances of late steps to rounding.
    square = np.array([np.mean((flat[i] - flat[j]) ** 2) for i, j in zip(first, second, strict=True)])
    if normaliser == "norm":
        power = np.mean(flat**2, axis=1)
        total = power[first] + power[second]
        square = np.divide(square, total, out=np.zeros_like(square), where=total > 0)
    return np.sqrt(square)


def seed_disagreement(
    store: Store,
    *,
    samples: Iterable[str] | None = None,
    seeds: Iterable[int] | None = None,
    variant: str = "base",
    normaliser: Normaliser = "norm",
    progress: Callable[[], object] | None = None,
) -> Disagreement:
    """Pairwise distance of the clean estimates across the seeds of each sample, by step.

    Reads latents only: no model, and one step of one sample's seeds in memory at a time. `progress` is called
    after each sample. Raises SelectionError when no sample has two seeds, and when runs to be compared do not
    share their number of steps; StoreError when they have no latents.
    """
    if normaliser not in NORMALISERS:
        raise ValueError(f"unknown normaliser {normaliser!r}: {', '.join(NORMALISERS)}")
    wanted_samples = None if samples is None else set(samples)
    wanted_seeds = None if seeds is None else set(seeds)
    seeds_of: dict[str, list[int]] = {}
    for entry in store.runs(variant=variant):
        if wanted_samples is not None and entry.sample not in wanted_samples:
            continue
        if wanted_seeds is None or entry.seed in wanted_seeds:
            seeds_of.setdefault(entry.sample, []).append(entry.seed)
    compared = {sample: sorted(found) for sample, found in seeds_of.items() if len(found) > 1}
    if not compared:
        raise SelectionError(
            f"seeds cannot be compared: no chosen sample of {store.path} has two seeds of variant {variant}."
        )
    curves = []
    for sample, found in compared.items():
        curves.append(_disagreement_of(store, sample, found, variant, normaliser))
        if progress is not None:
            progress()
    lengths = {len(curve) for curve in curves}
    if len(lengths) > 1:
        raise SelectionError(
            f"seeds cannot be compared by step: samples of {store.path} have "
            f"{' and '.join(map(str, sorted(lengths)))} steps. Choose samples with the same number of steps."
        )
    return Disagreement(
        samples=tuple(compared),
        seeds=tuple(len(found) for found in compared.values()),
        values=np.stack(curves),
        normaliser=normaliser,
        left_out=tuple(sample for sample in seeds_of if sample not in compared),
    )


def _disagreement_of(
    store: Store, sample: str, seeds: Sequence[int], variant: str, normaliser: Normaliser
) -> NDArray[np.float64]:
    with ExitStack() as stack:
        runs = [stack.enter_context(store.run(sample, seed, variant)) for seed in seeds]
        steps = {run.num_steps for run in runs}
        if len(steps) > 1:
            raise SelectionError(
                f"seeds of {sample} in {store.path} cannot be compared by step: they have "
                f"{' and '.join(map(str, sorted(steps)))} steps."
            )
        num_steps = steps.pop()

        def distance(step: int, kind: Normaliser) -> float:
            return float(pair_distances(np.stack([run.clean_estimate(step) for run in runs]), kind).mean())

        kind: Normaliser = "norm" if normaliser == "norm" else "none"
        curve = np.array([distance(step, kind) for step in range(num_steps)])
        relative_end = distance(num_steps - 1, "norm") if normaliser == "final" else 1.0
    if normaliser == "final":
        # A last distance of nothing but rounding would blow up all others.
        if relative_end < _SAME:
            raise SelectionError(
                f"the seeds of {sample} end in the same video, so no distance can be divided by the last; "
                "use the normaliser norm."
            )
        curve /= curve[-1]
    return curve


@dataclass(frozen=True)
class Reference:
    """Distance between the clean estimates of different samples, by step.

    Samples are coupled at random, each in one couple at most, so that couples are independent of one another.

    couples      the two samples of each
    other_seed   (couple, step): mean over the pairs of runs with different seeds, float64
    same_seed    (couple, step): mean over those with the same seed; NaN where the two share none
    """

    couples: tuple[tuple[str, str], ...]
    other_seed: NDArray[np.float64]
    same_seed: NDArray[np.float64]


def reference_distances(
    store: Store,
    seeds_of: Mapping[str, Sequence[int]],
    *,
    variant: str = "base",
    normaliser: Normaliser = "norm",
    seed: int = 0,
    progress: Callable[[], object] | None = None,
) -> Reference:
    """What `seed_disagreement` would measure if the seeds of a sample had nothing but the model in common.

    Args:
        store: where the runs are.
        seeds_of: the seeds of each sample; samples whose latents have one shape are coupled, so an odd one
            out is left out.
        variant: of the runs.
        normaliser: "norm" or "none".
        seed: of the couples.
        progress: called after each couple.

    Raises:
        StoreError: runs have no latents.
    """
    rng = np.random.default_rng(seed)
    by_shape: dict[tuple[int, ...], list[str]] = {}
    for sample, seeds in seeds_of.items():
        with store.run(sample, seeds[0], variant) as run:
            by_shape.setdefault((run.num_steps, *run.clean_estimate(0).shape), []).append(sample)
    couples: list[tuple[str, str]] = []
    for names in by_shape.values():
        mixed = [names[index] for index in rng.permutation(len(names))]
        couples += zip(mixed[::2], mixed[1::2], strict=False)
    other, same = [], []
    for first, second in couples:
        is_same = np.equal.outer(np.asarray(seeds_of[first]), np.asarray(seeds_of[second]))
        curve = _between(store, first, second, seeds_of, variant, normaliser)
        other.append(_mean_where(curve, ~is_same))
        same.append(_mean_where(curve, is_same))
        if progress is not None:
            progress()
    steps = next((shape[0] for shape in by_shape), 0)
    empty = np.empty((0, steps))
    return Reference(tuple(couples), np.stack(other) if other else empty, np.stack(same) if same else empty)


def _between(
    store: Store,
    first: str,
    second: str,
    seeds_of: Mapping[str, Sequence[int]],
    variant: str,
    normaliser: Normaliser,
) -> NDArray[np.float64]:
    """(step, seed of the first, seed of the second)"""
    with ExitStack() as stack:
        runs = [
            [stack.enter_context(store.run(sample, seed, variant)) for seed in seeds_of[sample]]
            for sample in (first, second)
        ]
        curve = []
        for step in range(runs[0][0].num_steps):
            here, there = (np.stack([run.clean_estimate(step) for run in side]) for side in runs)
            curve.append(cross_distances(here, there, normaliser))
        return np.stack(curve)


def _mean_where(curve: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Over the chosen pairs of seeds, (step,); NaN where none is."""
    return curve[:, chosen].mean(axis=1) if chosen.any() else np.full(len(curve), np.nan)
