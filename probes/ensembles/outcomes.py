"""What runs came to, as comparisons need it: a number for each sample and seed, and what each answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from probes.ensembles import subsets
from probes.scores import Metric, Reading, Scored, ScoreTable
from stores import SelectionError

AGREEMENT = "agreement"
Rule = Literal["best", "majority", "any", "all"]
RULES: tuple[Rule, ...] = get_args(Rule)
BLIND: tuple[Rule, ...] = ("best", "majority")
"""The rules that need no right answer, and so can be had."""


@dataclass(frozen=True, eq=False)
class SeedOutcomes:
    """What the seeds of each sample came to.

    samples    names
    seeds      the same of each sample
    values     (sample, seed) the metric of the final video
    voted      (sample, seed) what a seed adds where the majority is for its answer: its value, or 0 for a
               share of a seed that gives no answer
    answers    (sample, seed) what it answers; None for nothing
    scores     (sample, seed) by which the best is chosen, the greater the better; None: by agreement
    """

    samples: tuple[str, ...]
    seeds: tuple[int, ...]
    values: NDArray[np.float64]
    voted: NDArray[np.float64]
    answers: tuple[tuple[str | None, ...], ...]
    scores: NDArray[np.float64] | None = None

    def by_rule(self, rule: Rule, size: int) -> NDArray[np.float64]:
        """(sample,) what a rule gives of `size` seeds: the mean over all subsets of so many.

        best        the seed that is chosen without the truth: by agreement, or by `scores`
        majority    the most common answer; that there is none is an answer too, and a wrong one
        any, all    the greatest and the least value: solved by any, by all of them
        """
        if rule == "any":
            return subsets.greatest_means(self.values, size)
        if rule == "all":
            return subsets.least_means(self.values, size)
        if rule == "majority":
            return subsets.chosen_means(self.voted, self.answers, subsets.most_common_weights, size)
        if self.scores is None:
            return subsets.chosen_means(self.values, self.answers, subsets.agreed_weights, size)
        return subsets.chosen_means(self.values, list(self.scores), subsets.greatest_weights, size)


def metric_of(table: ScoreTable, name: str | None) -> Metric:
    """The metric of this name; None is what the first reading is right by, else the first of the headline.

    Raises:
        SelectionError: there is no such metric.
    """
    wanted = name or table.readings[0].right or table.headline[0]
    for metric in table.metrics:
        if metric.name == wanted:
            return metric
    raise SelectionError(
        f"metric {wanted!r}: task {table.task} has {', '.join(metric.name for metric in table.metrics)}"
    )


def reading_of(table: ScoreTable, metric: Metric) -> Reading:
    """The way to read answers that a metric is about: the one that it tells right from wrong, else all."""
    return next((one for one in table.readings if one.right == metric.name), table.readings[0])


def check_choice(table: ScoreTable, choose: str) -> None:
    """That the best can be chosen so, and without knowing what is right.

    Raises:
        SelectionError: no such metric, or one that needs the right answer.
    """
    if choose == AGREEMENT:
        return
    name = choose.removeprefix("-")
    blind = [one.name for one in table.metrics if one.blind]
    if name in blind:
        return
    ways = " or ".join((AGREEMENT, *blind))
    if any(one.name == name for one in table.metrics):
        raise SelectionError(
            f"choose {choose!r}: the scores do not say that this needs no right answer, and else it is what "
            f"any of K is; choose by {ways}"
        )
    raise SelectionError(f"choose {choose!r}: task {table.task} has no such metric; choose by {ways}")


def seed_outcomes(
    rows: Mapping[str, Mapping[int, Scored]],
    seeds: Sequence[int],
    metric: Metric,
    reading: Reading,
    choose: str,
) -> SeedOutcomes:
    """What these seeds of samples came to.

    Args:
        rows: what each run was given, by sample and seed; all have all seeds.
        seeds: which.
        metric: of the final videos.
        reading: of their answers, which are those of the last clean estimates.
        choose: "agreement", or a metric; "-NAME" for the least of it.
    """
    chosen = [[by_seed[seed] for seed in seeds] for by_seed in rows.values()]
    final = partial(_finals, chosen)
    values = final(metric.name)
    answers = tuple(tuple(row.answers[reading.name][-1] for row in of_sample) for of_sample in chosen)
    says_nothing = np.array([[answer is None for answer in of_sample] for of_sample in answers])
    voted = np.where(says_nothing, 0.0, values) if metric.kind == "share" else values
    scores = None
    if choose != AGREEMENT:
        scores = final(choose.removeprefix("-")) * (-1.0 if choose.startswith("-") else 1.0)
    return SeedOutcomes(tuple(rows), tuple(seeds), values, voted, answers, scores)


def run_values(rows: Mapping[str, Mapping[int, Scored]], metric: Metric) -> NDArray[np.float64]:
    """(sample, run) the metric of the final videos of equally many runs of each sample, by seed."""
    return _finals([[by_seed[seed] for seed in sorted(by_seed)] for by_seed in rows.values()], metric.name)


def _finals(chosen: Sequence[Sequence[Scored]], name: str) -> NDArray[np.float64]:
    return np.array([[row.final[name] for row in of_sample] for of_sample in chosen], dtype=np.float64)
