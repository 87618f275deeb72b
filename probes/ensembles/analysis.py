"""Comparisons of ensembles as results: what they gain over the seeds they are made of, and at what cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np

from probes.ensembles.comparing import VariantOutcomes, comparison
from probes.ensembles.costs import Making, making_of
from probes.ensembles.outcomes import (
    AGREEMENT,
    check_choice,
    metric_of,
    reading_of,
    run_values,
    seed_outcomes,
)
from probes.groups import ALL, Group, groups_of
from probes.kept_scores import kept_scores
from probes.results.provenance import provenance
from probes.results.result import Result
from probes.scores import Metric, Scored, ScoreTable
from stores import SelectionError, Store
from stores.chosen_runs import SampleNames, chosen_runs
from stores.filters import Seeds
from stores.layout import BASE
from stores.selection import compact
from stores.units import count_text

KIND = "ensemble"
VARIANT = "ensemble"

Rows = dict[str, dict[int, Scored]]
"""What runs were given, by sample and seed."""


def compare(
    store: Store,
    *,
    variants: str | Sequence[str] = (VARIANT,),
    metric: str | None = None,
    scores: str | None = None,
    choose: str = AGREEMENT,
    by: str | None = None,
    samples: SampleNames = None,
    seeds: Seeds = None,
    bootstrap_seed: int = 0,
    command: str | None = None,
) -> Result:
    """What ensembles gain over the seeds that they are made of; no model is needed.

    Beside each variant stand a single seed, the best of K seeds (chosen without the truth), the majority
    answer, any and all of K, each with its cost in evaluations of the denoiser, and how the variant differs
    from what its cost would give otherwise. See docs/ensembles.md.

    Args:
        store: whose runs. Base runs and those of the variants have to be scored, which
            `cosinterp.scoring.score_store` does.
        variants: made by ensembles.
        metric: of the task; the greater the better. None is what answers are right by ("solved" of mazes).
        scores: the result that holds the scores of the base runs; None is the only one. Those of the variants
            are the ones of the same task.
        choose: how the best of K is chosen: "agreement" is the seed whose answer most others share; the name
            of a metric that needs no right answer is the seed with the most of it ("-NAME": the least).
        by: a number or a text of the truth, by which samples are grouped beside all of them together.
        samples: which; None is all that have all runs.
        seeds: that the variants are held against; None is all that any of them is made of.
        bootstrap_seed: of the intervals and of the permutations.
        command: the command line that does the same.

    Raises:
        SelectionError: no such runs, none with all that is compared, no such metric, choice or truth.
        StoreError: runs are not scored, or a variant was made by no ensemble.
    """
    names = [variants] if isinstance(variants, str) else list(variants)
    _check_variants(names)
    makings = {name: _makings(store, name, samples) for name in names}
    used = sorted({seed for of in makings.values() for making in of.values() for seed in making.seeds})
    scored_in, table = _scores(store, BASE, scores, None)
    compared = metric_of(table, metric)
    check_choice(table, choose)
    base = _rows(store, table, samples, used if seeds is None else seeds)
    pool = sorted({seed for rows in base.values() for seed in rows})
    found = {name: _rows(store, _scores(store, name, None, table.task)[1], samples, None) for name in names}
    whole, notes = _whole(base, found, pool, compared)
    base = {name: base[name] for name in whole}
    outcomes = seed_outcomes(base, pool, compared, reading_of(table, compared), choose)
    held = [
        _outcomes(name, {one: found[name][one] for one in whole}, makings[name], compared) for name in names
    ]
    one_seed = [makings[names[0]][name].one for name in whole]
    groups = [Group(ALL, frozenset(whole)), *([] if by is None else groups_of(_truths(base), by))]
    dataset = comparison(
        outcomes, held, compared, groups, cost=float(np.mean(one_seed)), seed=bootstrap_seed
    ).assign_attrs(
        task=table.task,
        metric=compared.name,
        label=compared.label,
        outcome=compared.kind,
        choose=choose,
        by=by or "",
        seed=bootstrap_seed,
        scores=scored_in,
        notes=json.dumps(notes),
    )
    asked = {
        "variants": names,
        "metric": compared.name,
        "scores": scored_in,
        "choose": choose,
        "by": by,
        "samples": None if samples is None else list([samples] if isinstance(samples, str) else samples),
        "seeds": None if seeds is None else pool,
        "bootstrap_seed": bootstrap_seed,
    }
    return Result(dataset, provenance(KIND, store, asked, command=command, notes=notes))


def _check_variants(names: Sequence[str]) -> None:
    if not names:
        raise SelectionError("variants: name at least one that an ensemble made")
    if len(set(names)) < len(names):
        raise SelectionError(f"variants: {', '.join(names)}: each once")
    if BASE in names:
        raise SelectionError(f"variants: {BASE} is what ensembles are held against; leave it out")


def _makings(store: Store, variant: str, samples: SampleNames) -> dict[str, Making]:
    """How the runs of each sample were made; those of a sample were made together, so one of them says it."""
    seeds = {entry.sample: entry.seed for entry in reversed(chosen_runs(store, samples, None, variant))}
    return {sample: making_of(store, sample, seed, variant) for sample, seed in sorted(seeds.items())}


def _scores(store: Store, variant: str, name: str | None, task: str | None) -> tuple[str, ScoreTable]:
    found = kept_scores(store, variant, name=name, task=task)
    if found is None:
        of_variant = "" if variant == BASE else f" --variant {variant}"
        raise SelectionError(
            f"{store.path}: its runs of variant {variant} are not scored; cosinterp score {store.path}"
            f"{of_variant} does that"
        )
    return found


def _rows(store: Store, table: ScoreTable, samples: SampleNames, seeds: Seeds) -> Rows:
    """What the runs were given that are there and scored as they are."""
    of = {row.key: row for row in table.runs}
    rows: Rows = {}
    for entry in chosen_runs(store, samples, seeds, table.variant):
        row = of.get((entry.sample, entry.seed))
        if row is not None and row.is_of(entry):
            rows.setdefault(entry.sample, {})[entry.seed] = row
    return rows


def _whole(
    base: Rows, variants: Mapping[str, Rows], seeds: Sequence[int], metric: Metric
) -> tuple[list[str], list[str]]:
    """The samples that have all runs, scored by a number, and what is said of the others.

    Raises:
        SelectionError: none has.
    """
    runs = {name: max(map(len, rows.values()), default=0) for name, rows in variants.items()}
    whole, lacking = [], {}
    for sample in sorted(set(base).union(*variants.values())):
        held = {name: rows.get(sample, {}) for name, rows in variants.items()}
        missing = [name for name, of in held.items() if len(of) < max(1, runs[name])]
        every = [row for of in (base.get(sample, {}), *held.values()) for row in of.values()]
        if len(base.get(sample, {})) < len(seeds) or not seeds:
            missing.insert(0, BASE)
        if missing:
            lacking[sample] = f"scored runs of {' and '.join(missing)}"
        elif not all(math.isfinite(row.final[metric.name]) for row in every):
            lacking[sample] = f"a number for {metric.name}"
        else:
            whole.append(sample)
    first = next(iter(lacking), "")
    if not whole:
        wanted = f"base runs of the seeds {compact(seeds)} and runs of {', '.join(variants)}"
        why = f"; {first} lacks {lacking[first]}" if first else ""
        raise SelectionError(f"no sample has {wanted}, all of them scored{why}")
    if not lacking:
        return whole, []
    return whole, [f"left out: {count_text(len(lacking), 'sample')}, such as {first}: no {lacking[first]}"]


def _outcomes(name: str, rows: Rows, makings: Mapping[str, Making], metric: Metric) -> VariantOutcomes:
    of_samples = [makings[sample] for sample in rows]
    seeds = [tuple(sorted(by_seed)) for by_seed in rows.values()]
    words = list(dict.fromkeys(making.words for making in of_samples))
    return VariantOutcomes(
        name,
        run_values(rows, metric),
        # Runs of other seeds in another sample are paired each with each.
        seeds[0] if len(set(seeds)) == 1 else (),
        max(len(making.seeds) for making in of_samples),
        float(np.mean([making.evaluations for making in of_samples])),
        "; ".join(words),
    )


def _truths(base: Rows) -> dict[str, Mapping[str, float | str]]:
    return {sample: next(iter(rows.values())).truth for sample, rows in base.items()}
