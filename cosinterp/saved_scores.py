"""Scores that a store holds already: found, added to, saved as they grow."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.errors import SelectionError, StoreError
from cosinterp.scorers import Task, known_tasks, readings_of
from probes import scores
from probes.provenance import provenance
from probes.result import Result
from probes.results import FOLDER, result_path
from probes.scores import Scored, ScoreTable
from stores.layout import BASE

if TYPE_CHECKING:
    from stores import RunEntry, Store

_SAVE_EVERY = 60.0
"""Seconds of scoring that a killed process loses at most."""


def default_name(task: str, variant: str) -> str:
    """What the scores of a task are called if nobody says: "scores-maze", "scores-maze-patched"."""
    return f"{scores.KIND}-{task}" if variant == BASE else f"{scores.KIND}-{task}-{variant}"


class SavedScores:
    """The scores of one store and variant in its results, a result for each task.

    Args:
        store, variant: whose.
        name: of the result; None is `default_name`, which is the only way for several tasks at once.
        decoder: the model that decodes, if it is not the one that made the store.
        force: what is there already is not read, and replaced.
        command: the command line that makes them again.

    Raises:
        SelectionError: a result of this name is there that these scores cannot be added to.
        StoreError: it cannot be read.
    """

    def __init__(
        self,
        store: Store,
        variant: str,
        *,
        name: str | None = None,
        decoder: str | None = None,
        force: bool = False,
        command: str | None = None,
    ) -> None:
        self._store, self._variant, self._name = store, variant, name
        self._decoder, self._command = decoder, command
        self._last_save = time.monotonic()
        self._entries = {(entry.sample, entry.seed): entry for entry in store.runs(variant=variant)}
        self._rows: dict[str, dict[scores.RunKey, Scored]] = {}
        self._tasks: dict[str, Task] = {}
        self._changed: set[str] = set()
        names = [name] if name is not None else [default_name(task, variant) for task in known_tasks()]
        for one in names:
            path = result_path(store.path, one)
            if path.is_file():
                self._read(path, force)

    def task_name(self, entry: RunEntry) -> str | None:
        """The task that a run was scored for already; None if it was not."""
        for task, rows in self._rows.items():
            row = rows.get((entry.sample, entry.seed))
            if row is not None and row.is_of(entry):
                return task
        return None

    def row(self, task: Task, entry: RunEntry) -> Scored | None:
        """What a run was given; None if it has to be scored."""
        row = self._rows.get(task.name, {}).get((entry.sample, entry.seed))
        wanted = {metric.name for metric in task.metrics}
        is_whole = row is not None and row.is_of(entry) and wanted == set(row.final)
        return row if is_whole else None

    def steps_of(self, task: str) -> set[int]:
        """The numbers of steps of the runs that were scored for a task."""
        return {len(row.steps) for row in self._rows.get(task, {}).values()}

    def path(self, task: str) -> Path:
        """Where the scores of a task lie."""
        return result_path(self._store.path, self._name or default_name(task, self._variant))

    def check(self, tasks: Sequence[str]) -> None:
        """That scores of these tasks can be saved, before any are made.

        Raises:
            SelectionError: one name for several tasks.
            StoreError: nothing can be written into the store.
        """
        if self._name is not None and len(tasks) > 1:
            raise SelectionError(
                f"{self._name!r} names one result, but these runs have the tasks {', '.join(tasks)}; choose "
                "samples of one, or give no name"
            )
        folder = self._store.path / FOLDER
        while not folder.exists():
            folder = folder.parent
        if not os.access(folder, os.W_OK):
            raise StoreError(f"{folder}: scores cannot be saved here; --no-save scores without")

    def add(self, task: Task, row: Scored) -> None:
        """Scores of one run more, saved now or a minute later at most."""
        self._rows.setdefault(task.name, {})[row.key] = row
        self._tasks[task.name] = task
        self._changed.add(task.name)
        if time.monotonic() - self._last_save > _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write what was added.

        Raises:
            StoreError: the disk refuses.
        """
        for task in sorted(self._changed):
            self._result(self._tasks[task]).save(self._store.path, self.path(task).stem, force=True)
        self._changed.clear()
        self._last_save = time.monotonic()

    def _result(self, task: Task) -> Result:
        rows = self._rows[task.name]
        # In the store's order, and none of a run that is there no more.
        kept = [rows[key] for key, entry in self._entries.items() if key in rows and rows[key].is_of(entry)]
        names = {metric.name for metric in task.metrics}
        table = ScoreTable(
            task.name,
            self._variant,
            task.metrics,
            task.headline,
            readings_of(task),
            tuple(row for row in kept if set(row.final) == names),
        )
        asked = {"task": task.name, "variant": self._variant, "decoder": self._decoder}
        told = provenance(scores.KIND, self._store, asked, command=self._command)
        return Result(table.to_dataset(), told)

    def _read(self, path: Path, force: bool) -> None:
        result = Result.open(path)
        if result.kind != scores.KIND:
            raise SelectionError(f"{path}: this is a result of the kind {result.kind}; choose another name")
        asked: dict[str, Any] = result.provenance["asked"]
        if asked["variant"] != self._variant:
            raise SelectionError(
                f"{path}: these are scores of variant {asked['variant']}, not {self._variant}; choose "
                "another name"
            )
        if force:
            return
        if asked["decoder"] != self._decoder:
            decoder = asked["decoder"] or "the model that made the store"
            raise SelectionError(
                f"{path}: these scores were decoded by {decoder}; choose another --name, or score anew with "
                "--force"
            )
        table = ScoreTable.from_dataset(result.dataset)
        self._rows[table.task] = {row.key: row for row in table.runs}
