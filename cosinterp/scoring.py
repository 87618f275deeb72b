"""Score the runs of a store whose samples have a known truth: final videos, and clean estimates by step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cosinterp.decoding import clean_videos, final_video
from cosinterp.errors import SelectionError
from cosinterp.saved_scores import SavedScores
from cosinterp.scorers import Metric, Task, known_tasks, read_answer, readings_of, task_of
from probes import statistics
from probes.convergence import Answers, answers
from probes.scores import ANSWER, Scored, scalars
from probes.statistics import Estimate

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from stores import Run, RunEntry, Store
    from stores.entries import Key


@dataclass(frozen=True)
class TaskScores:
    """Scores of the runs of one task.

    task      what was scored
    runs      a row a run: sample, seed, variant, and each metric of the task (shares as 0.0 or 1.0)
    steps     a row a run and step: the same, with step, sigma and answer (text or None); None if not wanted
    unknown   samples left out because their truth names no known task
    path      the result that holds them; None if they are not kept
    """

    task: Task
    runs: pd.DataFrame
    steps: pd.DataFrame | None
    unknown: tuple[str, ...]
    path: Path | None = None

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
    save: bool = False,
    name: str | None = None,
    force: bool = False,
    decoder: str | None = None,
    command: str | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> list[TaskScores]:
    """Score the runs of `store`, a `TaskScores` for each task found.

    With `save` the scores by step are kept in the store as a result of the kind "scores", and runs whose
    scores are there are read instead of decoded; those of runs chosen before stay. It is written every
    minute and at the end, be it an early one.

    Args:
        store: what is scored.
        model: decodes; given as a function, it is called only if something must be decoded, which is not so
            for stored final videos and for saved scores.
        by_step: also score the clean estimate of each step. Without, saved scores are read, and none saved.
        variant, samples, seeds: which runs.
        save: keep the scores.
        name: of the result; default `scores-TASK`, for another variant than base `scores-TASK-VARIANT`.
        force: score anew what was scored, and replace the result.
        decoder: the name of the model, if it is not the one that made the store.
        command: the command line that does the same.
        progress: called with (sample, seed) after each run.

    Raises:
        SelectionError: no run was chosen, none has a truth that can be scored, steps are wanted of runs
            whose numbers of steps differ, or a result of this name is none that these could be added to.
        StoreError: scores cannot be saved.
    """
    entries = store.runs(
        sample=None if samples is None else list(samples),
        seed=None if seeds is None else list(seeds),
        variant=variant,
    )
    if not entries:
        raise SelectionError(f"nothing to score: {store.path} holds no such run of variant {variant}.")
    saved = (
        SavedScores(store, variant, name=name, decoder=decoder, force=force, command=command)
        if save
        else None
    )
    tasks, unknown = _tasks_of(store, entries, saved)
    if by_step:
        _check_steps(store, [entry for entry in entries if entry.key in tasks], tasks, saved)
        if saved is not None:
            found = {entry.key: saved.row(tasks[entry.key], entry) for entry in entries if entry.key in tasks}
            if None in found.values():
                saved.check(sorted({task.name for task in tasks.values()}))
    load = _once(model)
    rows: dict[str, list[Scored]] = {task.name: [] for task in tasks.values()}
    try:
        for entry in entries:
            task = tasks.get(entry.key)
            if task is not None:
                row = None if saved is None else saved.row(task, entry)
                if row is None:
                    with store.run(entry.sample, entry.seed, entry.variant) as run:
                        row = _score(task, entry, run, load, by_step)
                    if saved is not None and by_step:
                        saved.add(task, row)
                rows[task.name].append(row)
            if progress is not None:
                progress(entry.sample, entry.seed)
    finally:
        if saved is not None:
            saved.save()
    by_name = {task.name: task for task in tasks.values()}
    return [
        TaskScores(
            task=by_name[task_name],
            runs=_run_frame(scored, variant),
            steps=_step_frame(scored, variant) if by_step else None,
            unknown=unknown,
            path=saved.path(task_name) if saved is not None and by_step else None,
        )
        for task_name, scored in rows.items()
    ]


def _tasks_of(
    store: Store, entries: Sequence[RunEntry], saved: SavedScores | None
) -> tuple[dict[Key, Task], tuple[str, ...]]:
    """The task of each run that has one, and the samples that have none."""
    tasks: dict[Key, Task] = {}
    unknown: dict[str, None] = {}
    for entry in entries:
        told = None if saved is None else saved.task_name(entry)
        if told is None:
            with store.run(entry.sample, entry.seed, entry.variant) as run:
                task = task_of(run.truth)
        else:
            task = task_of({"task": told})
        if task is None:
            unknown[entry.sample] = None
        else:
            tasks[entry.key] = task
    if not tasks:
        raise SelectionError(
            f"nothing to score: no sample of {store.path} has a truth that names a known task "
            f"({', '.join(known_tasks())})."
        )
    return tasks, tuple(unknown)


def _check_steps(
    store: Store, entries: Sequence[RunEntry], tasks: Mapping[Key, Task], saved: SavedScores | None
) -> None:
    lengths = {entry.num_steps for entry in entries}
    if len(lengths) > 1:
        raise SelectionError(
            f"runs of {store.path} cannot be scored by step: they have "
            f"{' and '.join(map(str, sorted(lengths)))} steps. Choose samples, or no steps."
        )
    if saved is None:
        return
    for name in {task.name for task in tasks.values()}:
        others = saved.steps_of(name) - lengths
        if others:
            raise SelectionError(
                f"{saved.path(name)}: these scores are of runs of {others.pop()} steps, and the chosen runs "
                f"have {lengths.pop()}; choose another --name"
            )


def _score(task: Task, entry: RunEntry, run: Run, load: Callable[[], Model], by_step: bool) -> Scored:
    truth = run.truth
    final = run.video if run.video is not None else final_video(load(), run)
    steps: list[dict[str, float]] = []
    answers: list[str | None] = []
    if by_step:
        for _, video in clean_videos(load(), run):
            steps.append(_numbers(task.score(video, truth)))
            answers.append(task.answer(video, truth))
    return Scored(
        entry.sample,
        entry.seed,
        entry.finished,
        entry.size,
        final=_numbers(task.score(final, truth)),
        sigmas=run.schedule.sigma[: len(steps)].astype(float).tolist(),
        steps=steps,
        answers={
            reading.name: [read_answer(task, reading.name, answer) for answer in answers]
            for reading in readings_of(task)
        },
        truth=scalars(truth),
    )


def _numbers(scored: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in scored.items()}


def _run_frame(rows: Sequence[Scored], variant: str) -> pd.DataFrame:
    return pd.DataFrame([_names(row, variant) | dict(row.final) for row in rows])


def _step_frame(rows: Sequence[Scored], variant: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            _names(row, variant)
            | {"step": step, "sigma": row.sigmas[step]}
            | dict(scored)
            | {"answer": row.answers[ANSWER][step]}
            for row in rows
            for step, scored in enumerate(row.steps)
        ]
    )


def _names(row: Scored, variant: str) -> dict[str, Any]:
    return {"sample": row.sample, "seed": row.seed, "variant": variant}


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
