"""Convergence as a result: distances from latents, and what a result of scores tells of answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from probes import statistics
from probes.convergence.distances import (
    NORMALISERS,
    Disagreement,
    Normaliser,
    Reference,
    reference_distances,
    seed_disagreement,
)
from probes.convergence.sequences import HOLD
from probes.convergence.task_answers import answer_arrays
from probes.estimated import NOTHING, arrays
from probes.groups import ALL, Group, truth_groups
from probes.kept_scores import kept_scores
from probes.results.provenance import provenance
from probes.results.result import Result
from probes.scores import ScoreTable
from stores import SelectionError, Store
from stores.chosen_runs import SampleNames, chosen_runs
from stores.filters import Seeds
from stores.layout import BASE

if TYPE_CHECKING:
    from stores import RunEntry

KIND = "convergence"
TOLERANCE = 0.05


def convergence(
    store: Store,
    *,
    scores: str | None = None,
    samples: SampleNames = None,
    seeds: Seeds = None,
    variant: str = BASE,
    by: str | None = None,
    hold: int = HOLD,
    tolerance: float = TOLERANCE,
    normaliser: Normaliser = "norm",
    seed: int = 0,
    command: str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Result:
    """How the seeds of each sample agree over the steps, and when runs commit; no model is needed.

    Distances come from the stored latents. Answers come from a result of the kind "scores", which
    `cosinterp.scoring.score_store` makes; without one there are distances alone. Intervals are over samples.

    Args:
        store: whose runs.
        scores: the name of that result; None is the only one of this variant, if there is one.
        samples, seeds, variant: which runs.
        by: a number or a text of the truth, by which samples are grouped beside all of them together.
        hold: steps from which an answer counts as held (`sequences`).
        tolerance: a metric has settled when it stays so near its final value: a share of its range.
        normaliser: of the distances, as in `distances.NORMALISERS`.
        seed: of the intervals, and of which samples are coupled for reference.
        command: the command line that does the same.
        progress: called with (parts done, parts in all).

    Raises:
        SelectionError: no such runs, no sample with two seeds, runs of different length, no such truth, or
            scores that are not of these runs.
        StoreError: runs have no latents, or there are no such scores.
    """
    import xarray

    if hold < 1:
        raise SelectionError(f"hold {hold}: an answer is held for 1 step or more")
    if not 0 <= tolerance < 1:
        raise SelectionError(f"tolerance {tolerance}: a share of a metric's range, from 0 and less than 1")
    if normaliser not in NORMALISERS:
        raise SelectionError(f"normaliser {normaliser!r}: {', '.join(NORMALISERS)}")
    entries = chosen_runs(store, samples, seeds, variant)
    seeds_of = _seeds_of(entries)
    groups = [Group(ALL, frozenset(seeds_of))]
    if by is not None:
        first_seeds = {sample: found[0] for sample, found in seeds_of.items()}
        groups += truth_groups(store, first_seeds, by, variant)
    scored_in, table = kept_scores(store, variant, name=scores) or (None, None)
    notes = _notes_on_scores(store, table, entries)
    several = {sample: found for sample, found in seeds_of.items() if len(found) > 1}
    # "final" is by the end of each sample's own seeds, so there is nothing of it between samples.
    has_reference = normaliser != "final"
    count = _Count(len(several) + (len(several) // 2 if has_reference else 0), progress)
    apart = seed_disagreement(
        store, samples=seeds_of, seeds=_all_seeds(entries), variant=variant, normaliser=normaliser,
        progress=count,
    )  # fmt: skip
    reference = None
    if has_reference:
        reference = reference_distances(
            store, several, variant=variant, normaliser=normaliser, seed=seed, progress=count
        )
    if apart.left_out:
        notes.append(f"no second seed to compare with: {', '.join(apart.left_out)}")
    variables, coords = _distance_arrays(apart, reference, groups, seed)
    if table is not None:
        more, axes = answer_arrays(_chosen(table, entries), groups, hold=hold, tolerance=tolerance, seed=seed)
        variables |= more
        coords |= axes
    dataset = xarray.Dataset(
        variables,
        coords,
        attrs={"variant": variant, "normaliser": normaliser, "by": by or "", "scores": scored_in or ""}
        | {"hold": hold, "notes": json.dumps(notes)},
    )
    asked = {
        "scores": scored_in,
        "samples": None if samples is None else list([samples] if isinstance(samples, str) else samples),
        "seeds": None if seeds is None else sorted({entry.seed for entry in entries}),
        "variant": variant,
        "by": by,
        "hold": hold,
        "tolerance": tolerance,
        "normaliser": normaliser,
        "seed": seed,
    }
    return Result(dataset, provenance(KIND, store, asked, command=command, notes=notes))


def _seeds_of(entries: Sequence[RunEntry]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for entry in entries:
        found.setdefault(entry.sample, []).append(entry.seed)
    return {sample: sorted(seeds) for sample, seeds in found.items()}


def _all_seeds(entries: Sequence[RunEntry]) -> set[int]:
    return {entry.seed for entry in entries}


def _notes_on_scores(store: Store, table: ScoreTable | None, entries: Sequence[RunEntry]) -> list[str]:
    """What has to be said of runs that are not scored.

    Raises:
        SelectionError: none is.
    """
    if table is None:
        return [f"no answers, for nothing is scored: cosinterp score {store.path} does that"]
    of = {row.key: row for row in table.runs}
    lacking = [entry for entry in entries if (row := of.get(entry.key[:2])) is None or not row.is_of(entry)]
    if len(lacking) == len(entries):
        raise SelectionError(
            f"none of these {len(entries)} runs of {store.path} is scored; cosinterp score {store.path} does "
            "that"
        )
    if not lacking:
        return []
    scored, first = len(entries) - len(lacking), f"{lacking[0].sample} seed {lacking[0].seed}"
    return [f"answers of {scored} of {len(entries)} runs: the others, such as {first}, are not scored"]


def _chosen(table: ScoreTable, entries: Sequence[RunEntry]) -> ScoreTable:
    of = {entry.key[:2]: entry for entry in entries}
    kept = tuple(row for row in table.runs if row.key in of and row.is_of(of[row.key]))
    return replace(table, runs=kept)


def _distance_arrays(
    apart: Disagreement, reference: Reference | None, groups: Sequence[Group], seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    steps = range(apart.num_steps)
    curves = []
    for group in groups:
        rows = [row for row, sample in enumerate(apart.samples) if sample in group.samples]
        names = [apart.samples[row] for row in rows]
        curves.append(_means(apart.values[rows], names, seed, (0.0, np.inf)))
    variables = arrays("distance", ("group", "step"), curves, apart.meaning)
    variables["sample_distance"] = (("sample", "step"), apart.values, {"long_name": apart.meaning})
    variables["seeds"] = ("sample", np.array(apart.seeds, dtype=np.int64))
    for name, what in (("other_seed", "another seed"), ("same_seed", "the same seed")):
        values = getattr(reference, name) if reference is not None else np.empty((0, len(steps)))
        known = np.isfinite(values).all(axis=1)
        curve = _means(values[known], np.flatnonzero(known).tolist(), seed, (0.0, np.inf))
        label = f"the same to a run of another sample, {what}"
        variables |= arrays(f"distance_{name}", ("step",), curve, label)
    coords = {
        "group": [group.name for group in groups],
        "step": list(steps),
        "sample": np.array(apart.samples, dtype=np.str_),
    }
    return variables, coords


def _means(values: Any, names: Sequence[Any], seed: int, bounds: tuple[float, float]) -> list[Any]:
    if not len(values):
        return [NOTHING] * np.shape(values)[1]
    return statistics.means(values, names, seed=seed, bounds=bounds)


class _Count:
    def __init__(self, total: int, progress: Callable[[int, int], object] | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def __call__(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)
