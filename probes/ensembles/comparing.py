"""Ensembles beside what the same seeds give without them: by approach, by group of samples, at equal cost.

Each number is the mean over samples of a number a sample (the mean over its seeds, or over all subsets of
its seeds), each difference is paired by sample, and intervals are over samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from probes import statistics
from probes.ensembles.outcomes import BLIND, RULES, SeedOutcomes
from probes.ensembles.paired import at_size, holm, pairs, seeds_paid, sign_flip_p, turned, verdict
from probes.estimated import NOTHING, arrays
from probes.groups import Group
from probes.scores import Metric
from probes.statistics import Estimate

if TYPE_CHECKING:
    import xarray

    Column = NDArray[np.float64]

SINGLE = "single seed"
HELD_AGAINST = ("best", "majority", "any")
"""What a variant is held against at equal cost; its verdict is by those that need no right answer."""
TURNS = ("wrong_to_right", "right_to_wrong")


@dataclass(frozen=True, eq=False)
class VariantOutcomes:
    """What the runs of a variant came to.

    name      of the variant
    values    (sample, run) the metric of the final video, of the samples of the seeds it is held against
    seeds     (run,) what its runs are called
    merged    how many seeds it is made of
    cost      evaluations of the denoiser that all its runs of a sample take together, mean over samples
    words     what it does
    """

    name: str
    values: NDArray[np.float64]
    seeds: tuple[int, ...]
    merged: int
    cost: float
    words: str = ""


def approach_name(rule: str, seeds: float) -> str:
    """What a rule is called, such as "best of 3", or "best of 1.17"."""
    return f"{rule} of {seeds:.3g}"


def comparison(
    base: SeedOutcomes,
    variants: Sequence[VariantOutcomes],
    metric: Metric,
    groups: Sequence[Group],
    *,
    cost: float,
    seed: int = 0,
    draws: int = statistics.DRAWS,
) -> xarray.Dataset:
    """The labelled numbers of a comparison; docs/ensembles.md says what each is.

    Args:
        base: what the seeds came to by themselves.
        variants: what is held against them, on the same samples.
        metric: what is compared.
        groups: of the samples, the first is all of them.
        cost: evaluations of the denoiser that one seed takes.
        seed: of the intervals and of the permutations.
        draws: for each of them.
    """
    import xarray

    estimator = _Estimator(base.samples, groups, metric, seed, draws)
    count = len(base.seeds)
    sizes = list(range(1, count + 1))
    curves = {rule: [base.by_rule(rule, size) for size in sizes] for rule in RULES}
    single = base.values.mean(axis=1)
    several = RULES if count > 1 else ()
    columns = {
        SINGLE: single,
        **{one.name: one.values.mean(axis=1) for one in variants},
        **{approach_name(rule, count): curves[rule][-1] for rule in several},
    }
    costs = [cost, *(one.cost for one in variants), *(cost * count for _ in several)]
    differences = [column - single for column in columns.values()]
    paid = [seeds_paid(one.cost, cost, count) for one in variants]
    held = [
        [columns[one.name] - at_size(curves[rule], size) for rule in HELD_AGAINST]
        for one, size in zip(variants, paid, strict=True)
    ]
    p = estimator.p(differences)
    variables: dict[str, Any] = {
        **estimator.means(
            "value", ("approach",), list(columns.values()), f"{metric.label}, mean over samples"
        ),
        **estimator.differences("difference", ("approach",), differences, "difference from a single seed"),
        "difference_p": (("group", "approach"), p, {"long_name": "p-value, signs flipped by sample"}),
        **estimator.differences(
            "equal", ("variant", "against"), held, "difference from as many seeds as the cost pays for"
        ),
        "equal_p": (("group", "variant", "against"), estimator.p(held)),
        **estimator.curves(curves, "mean over all subsets of so many seeds"),
        "cost": ("approach", np.array(costs), {"long_name": "evaluations of the denoiser a sample"}),
        "paid": ("variant", np.array(paid), {"long_name": "seeds that the cost pays for"}),
        "merged": ("variant", np.array([one.merged for one in variants])),
        "words": ("variant", _texts([one.words for one in variants])),
        "sample_value": (("sample", "approach"), np.column_stack(list(columns.values()))),
        "seed_value": (("sample", "base_seed"), base.values),
        "group_size": ("group", np.array([estimator.size(group) for group in groups])),
    }
    if metric.kind == "share":
        variables |= estimator.turns(base, variants)
    dataset = xarray.Dataset(
        variables,
        {
            "group": [group.name for group in groups],
            "approach": list(columns),
            "variant": [one.name for one in variants],
            "against": list(HELD_AGAINST),
            "rule": list(RULES),
            "seeds": sizes,
            "base_seed": list(base.seeds),
            "sample": _texts(base.samples),
        },
    )
    of_variants = [list(columns).index(one.name) for one in variants]
    dataset["difference_holm"] = ("variant", holm(p[0, of_variants]))
    dataset["verdict"] = ("variant", _texts([_verdict(dataset, one.name) for one in variants]))
    return dataset


def _verdict(dataset: xarray.Dataset, variant: str) -> str:
    from probes.estimated import estimate_at

    group = dataset["group"].values[0]
    return verdict(
        estimate_at(dataset, "equal", group=group, variant=variant, against=rule) for rule in BLIND
    )


class _Drawn(TypedDict):
    seed: int
    draws: int


class _Estimator:
    """Means over the samples of each group, all from the same draws of samples."""

    def __init__(
        self, samples: Sequence[str], groups: Sequence[Group], metric: Metric, seed: int, draws: int
    ) -> None:
        self._samples, self._groups, self._metric = samples, groups, metric
        self._drawn: _Drawn = {"seed": seed, "draws": draws}
        self._found: dict[bytes, float] = {}
        self._rows = [
            np.array([row for row, name in enumerate(samples) if name in group.samples], dtype=np.intp)
            for group in groups
        ]

    def size(self, group: Group) -> int:
        """How many of the samples are in a group."""
        return len(self._rows[self._groups.index(group)])

    def means(self, name: str, dims: Sequence[str], columns: Any, label: str) -> dict[str, Any]:
        """Estimates of nested lists of columns (sample,), in the bounds of the metric."""
        return self._by_group(name, dims, columns, label, self._metric.bounds)

    def differences(self, name: str, dims: Sequence[str], columns: Any, label: str) -> dict[str, Any]:
        """Estimates of nested lists of columns of differences."""
        low, high = self._metric.bounds
        return self._by_group(name, dims, columns, label, (low - high, high - low))

    def curves(self, curves: Mapping[str, Sequence[Column]], label: str) -> dict[str, Any]:
        """Estimates of the rules by how many seeds they are given, over all samples."""
        columns = np.array([list(curve) for curve in curves.values()])
        return arrays("curve", ("rule", "seeds"), self._estimates(columns, 0, self._metric.bounds), label)

    def turns(self, base: SeedOutcomes, variants: Sequence[VariantOutcomes]) -> dict[str, Any]:
        """The share of pairs of runs that a variant turns right, and that it turns wrong."""
        columns = [list(turned(*pairs(base.values, one.values, base.seeds, one.seeds))) for one in variants]
        label = "share of pairs of a run and its variant"
        named = arrays(
            "turned", ("variant", "turn"), self._estimates(np.array(columns), 0, (0.0, 1.0)), label
        )
        return {**named, "turn": list(TURNS)}

    def p(self, columns: Any) -> NDArray[np.float64]:
        """(group, ...) p-values of nested lists of columns of differences; NaN for an empty group."""
        held = np.array(columns)
        flat = held.reshape(-1, len(self._samples))
        found = np.array(
            [[self._p(one[rows]) if rows.size else np.nan for one in flat] for rows in self._rows]
        )
        return found.reshape(len(self._groups), *held.shape[:-1])

    def _p(self, differences: Column) -> float:
        # At the cost of one seed all rules are that seed, and large draws are dear.
        key = differences.tobytes()
        if key not in self._found:
            self._found[key] = sign_flip_p(differences, **self._drawn)
        return self._found[key]

    def _by_group(
        self, name: str, dims: Sequence[str], columns: Any, label: str, bounds: tuple[float, float]
    ) -> dict[str, Any]:
        found = [self._estimates(np.array(columns), at, bounds) for at in range(len(self._groups))]
        return arrays(name, ("group", *dims), found, label)

    def _estimates(self, columns: NDArray[np.float64], group: int, bounds: tuple[float, float]) -> list[Any]:
        """Estimates nested as the columns (..., sample) are."""
        rows = self._rows[group]
        flat = columns.reshape(-1, len(self._samples))[:, rows].T
        names = [self._samples[row] for row in rows]
        found: list[Estimate] = (
            statistics.means(flat, names, bounds=bounds, **self._drawn)
            if rows.size
            else [NOTHING] * flat.shape[1]
        )
        held = np.empty(len(found), dtype=object)
        held[:] = found
        return held.reshape(columns.shape[:-1]).tolist()


def _texts(values: Sequence[str]) -> NDArray[np.str_]:
    return np.array(values, dtype=np.str_)
