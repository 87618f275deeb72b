"""Score the runs of a store whose samples have a known truth: final videos, and clean estimates by step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cosinterp.decoding import clean_videos, final_video
from cosinterp.errors import SelectionError
from cosinterp.scorers import Metric, Task, known_tasks, task_of
from probes import statistics
from probes.convergence import Answers, answers
from probes.statistics import Estimate

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from stores import Store

KEYS = ["sample", "seed", "variant"]


@dataclass(frozen=True)
class TaskScores:
    """Scores of the runs of one task.

    task      what was scored
    runs      a row a run: sample, seed, variant, and each metric of the task (shares as 0.0 or 1.0)
    steps     a row a run and step: the same, with step, sigma and answer (text or None); None if not wanted
    unknown   samples left out because their truth names no known task
    """

    task: Task
    runs: pd.DataFrame
    steps: pd.DataFrame | None
    unknown: tuple[str, ...]

    def total(self, *, seed: int = 0) -> dict[str, Estimate]:
        """Each metric over all runs, by its name."""
        return {metric.name: _estimate(self.runs, metric, seed) for metric in self.task.metrics}

    def by_step(self, *, seed: int = 0) -> dict[str, list[Estimate]]:
        """Each metric at each step over all runs, by its name."""
        groups = [group for _, group in self._steps().groupby("step")]
        return {
            metric.name: [_estimate(group, metric, seed) for group in groups] for metric in self.task.metrics
        }

    def sigmas(self) -> list[float | None]:
        """The noise level of each step; None where runs differ in it."""
        noise = [np.asarray(group["sigma"], dtype=float) for _, group in self._steps().groupby("step")]
        return [float(one[0]) if np.allclose(one, one[0]) else None for one in noise]

    def answers(self) -> dict[str, Answers]:
        """What the seeds of each sample answer, by step; samples by name."""
        found: dict[str, Answers] = {}
        for sample, group in self._steps().groupby("sample", sort=False):
            rows = [
                [None if pd.isna(answer) else answer for answer in run.sort_values("step")["answer"]]
                for _, run in group.groupby("seed")
            ]
            found[str(sample)] = answers(rows)
        return found

    def agreement(self, *, seed: int = 0) -> list[Estimate]:
        """Share of seed pairs with the same answer at each step, mean over samples with two or more seeds."""
        shared = {
            name: one.agreement for name, one in self.answers().items() if not np.isnan(one.agreement).any()
        }
        if not shared:
            return []
        return statistics.means(np.stack(list(shared.values())), list(shared), seed=seed, bounds=(0.0, 1.0))

    def commitment(self, *, seed: int = 0) -> Estimate | None:
        """The step from which a run's answer is its final one: mean over the runs that end with an answer."""
        rows = [
            (sample, step)
            for sample, one in self.answers().items()
            for step in one.committed.tolist()
            if step >= 0
        ]
        if not rows:
            return None
        last = float(len(self.sigmas()) - 1)
        names, steps = zip(*rows, strict=True)
        return statistics.mean(steps, names, seed=seed, bounds=(0.0, last))

    def _steps(self) -> pd.DataFrame:
        if self.steps is None:
            raise ValueError("these scores were made without steps")
        return self.steps


def score_store(
    store: Store,
    model: Model | Callable[[], Model],
    *,
    by_step: bool = True,
    variant: str = "base",
    samples: Iterable[str] | None = None,
    seeds: Iterable[int] | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> list[TaskScores]:
    """Score the runs of `store`, a `TaskScores` for each task found.

    `model` decodes; given as a function, it is called only if something must be decoded, which is not so
    for the stored final videos. `progress(sample, seed)` is called after each run. Raises SelectionError if
    no run was chosen, if none has a truth that can be scored, or if steps are wanted of runs whose numbers
    of steps differ.
    """
    entries = store.runs(
        sample=None if samples is None else list(samples),
        seed=None if seeds is None else list(seeds),
        variant=variant,
    )
    if not entries:
        raise SelectionError(f"nothing to score: {store.path} holds no such run of variant {variant}.")
    load = _once(model)
    rows: dict[str, list[dict[str, Any]]] = {}
    step_rows: dict[str, list[dict[str, Any]]] = {}
    tasks: dict[str, Task] = {}
    unknown: dict[str, None] = {}
    lengths: set[int] = set()
    for entry in entries:
        with store.run(entry.sample, entry.seed, entry.variant) as run:
            truth = run.truth
            task = task_of(truth)
            if task is None:
                unknown[entry.sample] = None
                continue
            tasks[task.name] = task
            key = {"sample": entry.sample, "seed": entry.seed, "variant": entry.variant}
            final = run.video if run.video is not None else final_video(load(), run)
            rows.setdefault(task.name, []).append(key | task.score(final, truth))
            if by_step:
                lengths.add(run.num_steps)
                if len(lengths) > 1:
                    raise SelectionError(
                        f"runs of {store.path} cannot be scored by step: they have "
                        f"{' and '.join(map(str, sorted(lengths)))} steps. Choose samples, or no steps."
                    )
                sigmas = run.schedule.sigma
                for step, video in clean_videos(load(), run):
                    step_rows.setdefault(task.name, []).append(
                        key
                        | {"step": step, "sigma": float(sigmas[step])}
                        | task.score(video, truth)
                        | {"answer": task.answer(video, truth)}
                    )
        if progress is not None:
            progress(entry.sample, entry.seed)
    if not tasks:
        raise SelectionError(
            f"nothing to score: no sample of {store.path} has a truth that names a known task "
            f"({', '.join(known_tasks())})."
        )
    return [
        TaskScores(
            task=task,
            runs=pd.DataFrame(rows[name]),
            steps=pd.DataFrame(step_rows[name]) if by_step else None,
            unknown=tuple(unknown),
        )
        for name, task in tasks.items()
    ]


def _estimate(table: pd.DataFrame, metric: Metric, seed: int) -> Estimate:
    values, names = table[metric.name].to_numpy(dtype=float), table["sample"].tolist()
    if metric.kind == "share":
        return statistics.proportion(values, names, seed=seed)
    return statistics.mean(values, names, seed=seed, bounds=metric.bounds)


def _once(model: Model | Callable[[], Model]) -> Callable[[], Model]:
    loaded: list[Model] = []

    def load() -> Model:
        if not loaded:
            loaded.append(model() if callable(model) else model)
        return loaded[0]

    return load
