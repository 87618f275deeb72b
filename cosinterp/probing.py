"""Probes of a store, with what needs the task's code: how runs ended."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.errors import SelectionError
from cosinterp.scorers import Task, task_of
from probes.probing.making import probe_result, transfer_result
from probes.probing.plan import Plan
from probes.probing.study import Asked, Study, prepare
from probes.probing.targets import Outcomes
from probes.probing.transferring import transfer_study
from stores import Store, open_store, selection

if TYPE_CHECKING:
    from probes.results.result import Result
    from stores import Run

_PLANNED = frozenset(Plan.__dataclass_fields__) - {"model"}

Progress = Callable[[int, int], None]


def probe(
    store: Store | Path | str, target: str, *, progress: Progress | None = None, **asked: Any
) -> Result:
    """What linear probes read of a target at each step and layer of a store.

    >>> found = ci.probe("runs/mazes", "path", layers="0-8", permutations=1000)
    >>> found.summary()
    >>> found.plot("path.png")
    >>> found.save("runs/mazes", "path")

    Splits, intervals and permutations go by sample, and which sample a row is of is read off the store.

    Args:
        store: a store, or its folder.
        target: what is predicted, as `probes.probing.targets` says: ``path``, ``truth:walls``, ``solved``,
            ``labels.csv:column``, ``module:function``...
        progress: told how many cells are done, and of how many.
        asked: the fields of `probes.probing.study.Asked` and of `probes.probing.plan.Plan`: ``steps``,
            ``layers``, ``samples``, ``untrained``, ``permutations``, ``seed`` and so on.

    Returns:
        a result of the kind "probe", yet to be saved.

    Raises:
        SelectionError: something that is asked for is not there, or cannot be probed: labels that are missing
            or all alike, too few samples for the folds, NaN among the activations.
        StoreError: a run is damaged, or holds no such site.
    """
    return probe_result(study_of(store, target, **asked), progress=progress)


def probe_transfer(
    store: Store | Path | str,
    target: str,
    *,
    transfer_steps: selection.Selection = "all",
    transfer_layers: selection.Selection = "all",
    progress: Progress | None = None,
    **asked: Any,
) -> Result:
    """Probes fitted at some steps and layers, tested at all, on the samples that they were not fitted on.

    Args:
        store, target, progress, asked: as in `probe`. Baselines and permutations are not made.
        transfer_steps, transfer_layers: where probes are fitted.

    Returns:
        a result of the kind "transfer", yet to be saved.

    Raises:
        SelectionError, StoreError: as `probe`.
    """
    study = study_of(store, target, **asked, baselines=False)
    return transfer_result(transfer_study(study, transfer_steps, transfer_layers), progress=progress)


def study_of(store: Store | Path | str, target: str, **asked: Any) -> Study:
    """What `probe` is going to compute, checked.

    Raises:
        SelectionError, StoreError: as `probe`.
        TypeError: nothing is called so.
    """
    opened = store if isinstance(store, Store) else open_store(store)
    planned = {name: asked.pop(name) for name in list(asked) if name in _PLANNED}
    try:
        plan = Plan(**planned)
    except ValueError as error:
        raise SelectionError(str(error)) from error
    return prepare(opened, Asked(target=target, plan=plan, **asked), outcomes_of(opened))


def outcomes_of(store: Store) -> Outcomes:
    """How the runs of a store ended, by the names of what their tasks measure; from the stored final videos.

    Shares are truth values and means are numbers.
    """
    tasks: dict[str, Task] = {}
    one_of_each = {entry.sample: entry for entry in store.runs()}
    for entry in one_of_each.values():
        with store.run(*entry.key) as run:
            task = task_of(run.truth)
        if task is not None:
            tasks[task.name] = task
    names = dict.fromkeys(metric.name for task in tasks.values() for metric in task.metrics)
    return {name: partial(_outcome, name) for name in names}


def _outcome(name: str, run: Run) -> bool | float | None:
    truth = run.truth
    task = task_of(truth)
    metric = None if task is None else next((one for one in task.metrics if one.name == name), None)
    if task is None or metric is None:
        return None
    video = run.video
    if video is None:
        raise SelectionError(
            f'target "{name}": {run.path} holds no video; give the outcomes as labels.csv:{name}, a table '
            f"with the columns sample, seed and {name}"
        )
    value = task.score(video, truth)[name]
    return bool(value) if metric.kind == "share" else value
