"""How the seeds of a sample agree as denoising goes on, from a store alone.

Two views. `seed_disagreement` compares the clean estimates themselves, so it needs no task. `answers`
compares what they say once something has read them (which goal is reached, which way is taken), and tells
when a run commits. A small distance between clean estimates early on is not agreement about the answer:
early estimates are averages over what may still come (Wang et al. 2026, arXiv 2603.16870), and averages are
alike. Read both together.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
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
    flat = np.asarray(estimates, dtype=np.float64).reshape(len(estimates), -1)
    if len(flat) < 2:
        raise ValueError("a distance between seeds needs at least two of them")
    if normaliser not in ("none", "norm"):
        raise ValueError(f"one step knows no normaliser {normaliser!r}: none or norm")
    first, second = np.triu_indices(len(flat), 1)
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
) -> Disagreement:
    """Pairwise distance of the clean estimates across the seeds of each sample, by step.

    Reads latents only: no model, and one step of one sample's seeds in memory at a time. Raises
    SelectionError when no sample has two seeds, and when runs to be compared do not share their number of
    steps.
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
    curves = [
        _disagreement_of(store, sample, found, variant, normaliser) for sample, found in compared.items()
    ]
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
class Answers:
    """What the seeds of one sample answer, by step.

    distinct    (step,) how many different answers are held; no answer (None) is not one
    agreement   (step,) share of the pairs of seeds that give the same answer; a pair with a seed that gives
                none does not agree. NaN for one seed
    answered    (step,) share of seeds that give an answer
    committed   (seed,) the first step from which a run's answer stays its final one; -1 if it ends without
    """

    distinct: NDArray[np.int64]
    agreement: NDArray[np.float64]
    answered: NDArray[np.float64]
    committed: NDArray[np.int64]


def answers(labels: Sequence[Sequence[Hashable | None]]) -> Answers:
    """Agreement of per-step answers: `labels` (seed, step), None where a clean estimate answers nothing."""
    lengths = {len(row) for row in labels}
    if not labels or lengths == {0} or len(lengths) > 1:
        raise ValueError("labels must be (seed, step): at least one seed, all with the same number of steps")
    by_step = list(zip(*labels, strict=True))
    count = len(labels)
    pairs = count * (count - 1) / 2
    distinct, agreement, answered = [], [], []
    for held in by_step:
        given = [answer for answer in held if answer is not None]
        sizes = [given.count(answer) for answer in set(given)]
        distinct.append(len(sizes))
        answered.append(len(given) / count)
        agreement.append(sum(size * (size - 1) / 2 for size in sizes) / pairs if pairs else np.nan)
    return Answers(
        distinct=np.array(distinct, dtype=np.int64),
        agreement=np.array(agreement, dtype=np.float64),
        answered=np.array(answered, dtype=np.float64),
        committed=np.array([commit_step(row) for row in labels], dtype=np.int64),
    )


def commit_step(labels: Sequence[Hashable | None]) -> int:
    """The first step from which the answer (step,) stays the final one; -1 if the final one is None."""
    if not labels:
        raise ValueError("a run without steps commits to nothing")
    final = labels[-1]
    if final is None:
        return -1
    for step in range(len(labels) - 1, -1, -1):
        if labels[step] != final:
            return step + 1
    return 0
