"""Which runs are compared: those that base and every noised variant have, and what each came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.kept_scores import kept_scores
from probes.noising.places import NoisedPlace
from probes.scores import Metric, ScoreTable
from stores import SelectionError
from stores.chosen_runs import SampleNames, chosen_runs
from stores.filters import Seeds
from stores.layout import BASE
from stores.units import count_text

if TYPE_CHECKING:
    from stores import Store

RunKey = tuple[str, int]


@dataclass(frozen=True)
class Compared:
    """The runs that are compared, each with its base run.

    Attributes:
        keys: (sample, seed), sorted.
        notes: what is left out.
    """

    keys: tuple[RunKey, ...]
    notes: tuple[str, ...]

    @property
    def samples(self) -> list[str]:
        """The sample of each run."""
        return [sample for sample, _ in self.keys]


@dataclass(frozen=True, eq=False)
class Scores:
    """What the final videos of the compared runs were given.

    Attributes:
        task: of the runs.
        metric: which number of their scores.
        base: (run,) of the base runs.
        noised: (place, run).
    """

    task: str
    metric: Metric
    base: NDArray[np.float64]
    noised: NDArray[np.float64]

    @property
    def effects(self) -> NDArray[np.float64]:
        """(place, run): what the noise changed."""
        return self.noised - self.base


def compared(
    store: Store, places: Sequence[NoisedPlace], samples: SampleNames = None, seeds: Seeds = None
) -> Compared:
    """The runs that base and all places have.

    Raises:
        SelectionError: there is none.
    """
    chosen = {(entry.sample, entry.seed) for entry in chosen_runs(store, samples, seeds, BASE)}
    shared = chosen.intersection(
        *({(entry.sample, entry.seed) for entry in store.runs(variant=place.variant)} for place in places)
    )
    if not shared:
        raise SelectionError(
            f"{store.path}: no run of base has noised ones of all {len(places)} variants; choose fewer "
            "variants, or make the others with --resume"
        )
    left_out = len(chosen) - len(shared)
    notes = (
        [f"{count_text(left_out, 'base run')} left out, for some variants lack theirs"] if left_out else []
    )
    return Compared(tuple(sorted(shared)), tuple(notes))


def scores_of(
    store: Store,
    places: Sequence[NoisedPlace],
    runs: Compared,
    tables: Mapping[str, ScoreTable] | None,
    metric: str | None,
) -> tuple[Scores | None, str]:
    """What the compared runs were given, or None and why it is not known.

    Args:
        store, places, runs: what is compared.
        tables: the scores of base and of each variant; None: those that the store keeps.
        metric: which of them; None: the first of the headline.

    Raises:
        SelectionError: scores of some, but not of all; of several tasks; or no such metric.
    """
    wanted = (BASE, *(place.variant for place in places))
    if tables is None:
        kept = {variant: kept_scores(store, variant) for variant in wanted}
        tables = {variant: found[1] for variant, found in kept.items() if found is not None}
        if not tables:
            return None, "nothing is scored, so there are no effects on scores"
    lacking = [variant for variant in wanted if variant not in tables]
    if lacking:
        raise SelectionError(
            f"{store.path}: {len(lacking)} of {len(wanted)} variants, such as {lacking[0]}, are not scored; "
            f"cosinterp score {store.path} --variant {lacking[0]} does that"
        )
    tasks = sorted({tables[variant].task for variant in wanted})
    if len(tasks) > 1:
        raise SelectionError(f"{store.path}: scores of the tasks {' and '.join(tasks)}; choose one")
    chosen = _metric(tables[BASE], metric)
    values = np.array([_values(store, tables[variant], variant, runs, chosen.name) for variant in wanted])
    return Scores(tasks[0], chosen, values[0], values[1:]), ""


def _metric(table: ScoreTable, name: str | None) -> Metric:
    by_name = {metric.name: metric for metric in table.metrics}
    asked = table.headline[0] if name is None else name
    if asked not in by_name:
        raise SelectionError(f"metric {asked}: the task {table.task} has {', '.join(by_name)}")
    return by_name[asked]


def _values(store: Store, table: ScoreTable, variant: str, runs: Compared, metric: str) -> list[float]:
    of = {row.key: row for row in table.runs}
    entries = {(entry.sample, entry.seed): entry for entry in store.runs(variant=variant)}
    values = []
    for key in runs.keys:
        row = of.get(key)
        if row is None or not row.is_of(entries[key]):
            raise SelectionError(
                f"{store.path}: {key[0]} seed {key[1]} of {variant} is not scored as it is now; "
                f"cosinterp score {store.path} --variant {variant} does that"
            )
        values.append(float(row.final[metric]))
    return values
