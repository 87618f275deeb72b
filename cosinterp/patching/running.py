"""Making a sweep into a result: rows as they are done, an xarray Dataset in the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cosinterp.errors import InterventionError
from cosinterp.patching.measures import effect_attrs
from cosinterp.patching.row_log import RowLog, unfinished
from cosinterp.patching.sweep import Row, Sweep, SweepOptions
from cosinterp.patching.trial import Trial
from cosinterp.planning.plan import model_settings
from cosinterp.run_attrs import device_name, versions
from probes.results.files import result_path, save_result
from stores.interrupts import interrupts_deferred

if TYPE_CHECKING:
    import xarray

    from cosinterp.models.model import Model
    from cosinterp.scorers import Metric

LOG_SUFFIX = ".rows.jsonl"
_OF_ANCHORS = "blocks_of_anchors"

IsMade = Callable[[Trial], bool]
MakeRows = Callable[[Sweep, IsMade], Generator[tuple[Trial, Row, int], None, None]]
"""Makes the patches of a sweep that are not made yet: each with its row, and the block evaluations that were
made besides since the one before (`Sweep.blocks_of_anchors`)."""


class Progress(Protocol):
    """Told how a sweep goes. All calls come from the thread that makes it."""

    def planned(self, total: int, done: int) -> None:
        """So many patches are to be made; so many of them are there from before."""

    def row(self, row: Row) -> None:
        """A patch is done, and its row is on the disk."""


@dataclass(frozen=True)
class Study:
    """A sweep and what it is called.

    Attributes:
        kind: "patch", "ablation", "steering".
        asked: all that was asked for, JSON-able; with it the same sweep can be made again.
        trials: its patches.
        notes: what the user should know, such as controls that could not be made.
    """

    kind: str
    asked: Mapping[str, Any]
    trials: Sequence[Trial]
    notes: Sequence[str] = ()


def rows_here(sweep: Sweep, is_made: IsMade) -> Generator[tuple[Trial, Row, int], None, None]:
    """See `MakeRows`: by this process."""
    told = sweep.blocks_of_anchors
    for trial, row in sweep.rows(is_made):
        told, before = sweep.blocks_of_anchors, told
        yield trial, row, told - before


def run_study(
    model: Model,
    study: Study,
    options: SweepOptions,
    *,
    store: Path,
    name: str,
    resume: bool = False,
    command: str | None = None,
    progress: Progress | None = None,
    make_rows: MakeRows = rows_here,
) -> xarray.Dataset:
    """Make all patches of a study that are not made yet, and save the result in a store.

    Each row goes to ``results/NAME.rows.jsonl`` of the store as it is done; the result is
    ``results/NAME.nc``, and the log is removed when that is there. Where ``make_rows`` has others make them,
    ``model`` needs no weights.

    Raises:
        InterventionError: there is a result of that name, an unfinished sweep and ``resume`` is off, or it
            was another sweep.
        UserError: a patch that cannot be made; nothing is made then.
    """
    target = check_name(store, name, resume)
    log_path = target.with_name(name + LOG_SUFFIX)
    asked = {**study.asked, **_asked(options)}
    identity = {"kind": study.kind, **asked, "model": model_settings(model)}
    sweep = Sweep(model, study.trials, options)
    sweep.check()
    with RowLog(log_path, identity, resume) as log:
        made = frozenset(log.rows)
        if progress is not None:
            progress.planned(len(study.trials), sum(key_of(trial) in made for trial in study.trials))
        with closing(make_rows(sweep, lambda trial: key_of(trial) in made)) as rows_made:
            for trial, row, of_anchors in rows_made:
                with interrupts_deferred():
                    log.add(key_of(trial), {**row, _OF_ANCHORS: of_anchors})
                if progress is not None:
                    progress.row(row)
        rows = [dict(log.rows[key_of(trial)]) for trial in study.trials]
        metrics = sweep.metrics(study.trials)
    # In all, however often the sweep was stopped.
    blocks_of_anchors = sum(row.pop(_OF_ANCHORS) for row in rows)
    dataset = dataset_of(rows, metrics, {name for trial in study.trials for name in trial.labels})
    dataset.attrs[_OF_ANCHORS] = blocks_of_anchors
    provenance = {
        "kind": study.kind,
        "asked": asked,
        "model": model_settings(model),
        "device": device_name(model.device),
        "versions": versions(),
        "notes": list(study.notes),
        "command": command,
    }
    save_result(store, name, dataset, provenance)
    log_path.unlink(missing_ok=True)
    return dataset.assign_attrs(result=str(target))


def check_name(store: Path, name: str, resume: bool) -> Path:
    """Where the result ``name`` of a store will lie.

    Raises:
        StoreError: ``name`` cannot name a result.
        InterventionError: there is such a result, or an unfinished sweep and ``resume`` is off.
    """
    target = result_path(store, name)
    if target.exists():
        raise InterventionError(f"{target} is there; give this sweep another --name")
    log_path = target.with_name(name + LOG_SUFFIX)
    if log_path.exists() and not resume:
        raise unfinished(log_path)
    return target


def _asked(options: SweepOptions) -> dict[str, Any]:
    """What of the options changes the numbers."""
    return {
        "horizon": options.horizon,
        "batch": options.rows,
        "videos": options.videos,
        "measures": [measure.name for measure in options.measures],
        "donors": options.donors,
    }


def key_of(trial: Trial) -> str:
    """What tells a patch from all others of any sweep: a hash of its labels and of what is done."""
    described = {
        "labels": dict(trial.labels),
        "run": trial.run.model_dump(),
        "toward": trial.toward.model_dump(),
        "interventions": [one.model_dump() for one in trial.interventions],
    }
    return blake2b(json.dumps(described, sort_keys=True).encode(), digest_size=12).hexdigest()


def dataset_of(
    rows: Sequence[Row], metrics: Mapping[str, Metric], labels: Collection[str] = ()
) -> xarray.Dataset:
    """Rows as a Dataset along ``patch``: a variable a column; effects and labels say so in their attrs."""
    import xarray

    columns = dict.fromkeys(column for row in rows for column in row)
    variables: dict[str, Any] = {}
    for column in columns:
        values = [row.get(column) for row in rows]
        attrs = effect_attrs(metrics[column]) if column in metrics else {}
        if column in labels:
            attrs = {"kind": "label"}
        variables[column] = ("patch", _array(values), attrs)
    return xarray.Dataset(variables)


def _array(values: Sequence[Any]) -> np.ndarray:
    known = [value for value in values if value is not None]
    if all(isinstance(value, str) for value in known):
        return np.asarray(["" if value is None else value for value in values], dtype=np.str_)
    if len(known) == len(values) and all(isinstance(value, int) for value in known):
        return np.asarray(values, dtype=np.int64)
    return np.asarray([np.nan if value is None else value for value in values], dtype=np.float64)
