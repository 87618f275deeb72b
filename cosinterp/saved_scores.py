"""Scores that a store holds already: found, added to, saved as they grow."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.errors import SelectionError, StoreError
from cosinterp.scorers import Task, known_tasks, readings_of
from probes import scores
from probes.results.files import FOLDER, result_path
from probes.results.provenance import provenance
from probes.results.result import Result
from probes.scores import Scored, ScoreTable
from stores.layout import BASE

if TYPE_CHECKING:
    from stores import RunEntry, Store

_SAVE_EVERY = 60.0
"""Seconds of scoring that a killed process loses at most."""


def default_name(task: str, variant: str) -> str:
    """What the scores of a task are called if nobody says: "scores-maze", "scores-maze-patched"."""
    return f"{scores.KIND}-{task}" if variant == BASE else f"{scores.KIND}-{task}-{variant}"


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Alone among the processes that save scores in this folder, where the file system has locks.

    Raises:
        StoreError: the folder cannot be made or opened.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(f"{folder}: scores cannot be saved: {error.strerror}") from error
    try:
        # Some network file systems have no locks, or none of folders. There two processes may still lose what
        # one of them adds in the instant in which the other one saves.
        with suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


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
        self._entries = {entry.key[:2]: entry for entry in store.runs(variant=variant)}
        self._rows: dict[str, dict[scores.RunKey, Scored]] = {}
        self._tasks: dict[str, Task] = {}
        self._changed: set[str] = set()
        self._replaced: set[Path] = set()
        names = [name] if name is not None else [default_name(task, variant) for task in known_tasks()]
        for one in names:
            path = result_path(store.path, one)
            if path.is_file():
                table = self._read(path, is_replaced=force)
                if force:
                    self._replaced.add(path)
                else:
                    self._rows[table.task] = {row.key: row for row in table.runs}

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
        """Write what was added, beside what other processes have added since it was read.

        Raises:
            SelectionError: another process has put other scores there in the meantime.
            StoreError: the disk refuses.
        """
        for task in sorted(self._changed):
            path = self.path(task)
            with _alone_in(path.parent):
                self._take_in(task, path)
                self._result(self._tasks[task]).save(self._store.path, path.stem, force=True)
            self._replaced.discard(path)
        self._changed.clear()
        self._last_save = time.monotonic()

    def _take_in(self, task: str, path: Path) -> None:
        """What others have added; of a run that was scored here too, what was found here stays."""
        if path in self._replaced or not path.is_file():
            return
        table, own = self._read(path), self._rows[task]
        # Runs may have been made since, and scored by others.
        self._entries = {entry.key[:2]: entry for entry in self._store.runs(variant=self._variant)}
        added = {row.key: row for row in table.runs}
        if table.task != task or {len(row.steps) for row in (*added.values(), *own.values())} != {
            table.num_steps
        }:
            raise SelectionError(
                f"{path}: another process has put other scores there in the meantime; choose another --name"
            )
        self._rows[task] = {**added, **own}

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

    def _read(self, path: Path, *, is_replaced: bool = False) -> ScoreTable:
        result = Result.open(path)
        if result.kind != scores.KIND:
            raise SelectionError(f"{path}: this is a result of the kind {result.kind}; choose another name")
        asked: dict[str, Any] = result.provenance["asked"]
        if asked["variant"] != self._variant:
            raise SelectionError(
                f"{path}: these are scores of variant {asked['variant']}, not {self._variant}; choose "
                "another name"
            )
        if not is_replaced and asked["decoder"] != self._decoder:
            decoder = asked["decoder"] or "the model that made the store"
            raise SelectionError(
                f"{path}: these scores were decoded by {decoder}; choose another --name, or score anew with "
                "--force"
            )
        return ScoreTable.from_dataset(result.dataset)
