"""The scores of base runs and of noised ones, by their final videos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from cosinterp.errors import SelectionError
from cosinterp.scoring import TaskScores, score_store
from probes.scores import Scored, ScoreTable

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from stores import Store


def final_scores(
    store: Store,
    variants: Sequence[str],
    model: Model | Callable[[], Model],
    *,
    samples: Iterable[str] | None = None,
    seeds: Iterable[int] | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> dict[str, ScoreTable]:
    """The scores of the final videos of each variant, as `probes.noising.effects` takes them.

    Nothing is kept in the store, and the model is asked only where a run has no video.

    Args:
        store: where the runs are.
        variants: which, base among them.
        model: decodes; given as a function, it is called only if something must be decoded.
        samples, seeds: which runs; None: all.
        progress: called with (sample, seed) after each run.

    Raises:
        SelectionError: no sample has a known task, or they have several.
    """
    names = None if samples is None else list(samples)
    numbers = None if seeds is None else list(seeds)
    tables = {}
    for variant in variants:
        found = score_store(
            store,
            model,
            by_step=False,
            variant=variant,
            samples=names,
            seeds=numbers,
            progress=progress,
        )
        if len(found) > 1:
            tasks = " and ".join(one.task.name for one in found)
            raise SelectionError(f"{store.path}: these samples have the tasks {tasks}; choose those of one")
        tables[variant] = _table(store, found[0], variant)
    return tables


def _table(store: Store, scores: TaskScores, variant: str) -> ScoreTable:
    entries = {(entry.sample, entry.seed): entry for entry in store.runs(variant=variant)}
    rows = []
    for row in scores.runs.to_dict("records"):
        entry = entries[row["sample"], row["seed"]]
        final = {metric.name: float(row[metric.name]) for metric in scores.task.metrics}
        rows.append(Scored(entry.sample, entry.seed, entry.finished, entry.size, final))
    task = scores.task
    return ScoreTable(task.name, variant, task.metrics, task.headline, (), tuple(rows))
