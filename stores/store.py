"""A store: a folder of runs."""

from __future__ import annotations

import os
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from stores import layout, selection
from stores.catalog import Catalog, index_anew
from stores.entries import RunEntry
from stores.errors import StoreError
from stores.filters import Samples, Seeds, seed_filter
from stores.reader import Run
from stores.settings import StoreSettings, read_settings, write_settings
from stores.sites import select_branches
from stores.token_selection import TokenChoice, Tokens
from stores.writer import RunWriter

if TYPE_CHECKING:
    import pandas
    import xarray

    from stores.verify import Problem

Array = npt.NDArray[Any]
Progress = Callable[[int, int, str], None]

_KEPT_OPEN = 8
_stores: weakref.WeakSet[Store] = weakref.WeakSet()


def open_store(path: str | os.PathLike[str]) -> Store:
    """The store in the folder ``path``; nothing is written, so it may be on a read-only disk.

    Raises:
        StoreError: there is no store, or it is damaged or of another format version.
    """
    folder = Path(path)
    return Store(folder, read_settings(folder))


def create_store(path: str | os.PathLike[str], settings: StoreSettings, exist_ok: bool = False) -> Store:
    """A new store in the folder ``path``, which is made.

    Args:
        exist_ok: take a store that is there already, if its settings are these.

    Raises:
        StoreError: the folder cannot be made, holds something else, or is a store (with ``exist_ok``: with
            other settings; each difference is named).
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / layout.STORE_FILE).exists():
            found = {item.name for item in folder.iterdir() if item.name[0] != "."}
            # With a store.json that was not there a moment ago: another process is making this store.
            if found and layout.STORE_FILE not in found:
                raise StoreError(f"{folder}: this folder is not empty and not a store; choose another")
            if write_settings(folder, settings):
                (folder / layout.RUNS).mkdir(exist_ok=True)
                return Store(folder, settings)
    except FileExistsError:
        raise StoreError(f"{folder}: this is a file; a store is a folder") from None
    except OSError as error:
        raise StoreError(f"{folder}: a store cannot be made here: {error.strerror or error}") from error
    store = open_store(folder)
    differences = store.settings.differences(settings)
    if differences:
        raise StoreError(
            f"{folder}: this store exists with other settings; choose another --store, or use its own\n"
            + "\n".join(f"  {line}" for line in differences)
        )
    if not exist_ok:
        raise StoreError(
            f"{folder}: this store exists; go on with it with --resume, or choose another --store"
        )
    return store


class Store:
    """A store in a folder; made by `open_store` and `create_store`.

    It may be used from several threads, and pickled (it is opened anew on the other side). Runs that other
    processes finish in the meantime appear by themselves.

    Attributes:
        path: the folder.
        settings: what all its runs share.
    """

    def __init__(self, path: Path, settings: StoreSettings) -> None:
        self.path = path
        self.settings = settings
        self._lock = Lock()
        self._catalog = Catalog(path)
        self._by_sample: dict[str, list[RunEntry]] | None = None
        self._open_runs: OrderedDict[str, tuple[object, Run]] = OrderedDict()
        _stores.add(self)

    def runs(self, sample: Samples = None, seed: Seeds = None, variant: str | None = None) -> list[RunEntry]:
        """The finished runs, by sample, seed and variant; None leaves a filter out.

        Args:
            sample: a name, or several.
            seed: a seed, several, a half-open slice, or text as in "0-7".
            variant: a variant's name.
        """
        by_sample = self._index()
        names = by_sample if sample is None else [sample] if isinstance(sample, str) else sorted(set(sample))
        wanted = seed_filter(seed)
        return [
            entry
            for name in names
            for entry in by_sample.get(name, ())
            if wanted(entry.seed) and (variant is None or entry.variant == variant)
        ]

    def has(self, sample: str, seed: int, variant: str = layout.BASE) -> bool:
        """Whether this run is finished."""
        return (self.path / layout.run_file(sample, seed, variant)).is_file()

    def run(self, sample: str, seed: int, variant: str = layout.BASE) -> Run:
        """Opens one run; a context manager.

        Raises:
            StoreError: there is no such run, or its file is damaged.
        """
        return Run(self._find(sample, seed, variant))

    def read(
        self,
        site: str,
        step: int,
        layer: int,
        sample: str,
        seed: int,
        branch: str | None = None,
        variant: str = layout.BASE,
        *,
        reduction: str | None = None,
        raw: bool = False,
        frames: selection.Selection | None = None,
        rows: selection.Selection | None = None,
        cols: selection.Selection | None = None,
        tokens: Tokens | None = None,
    ) -> Array:
        """The activations of one run at one (step, layer): (frame, row, col, channel), float32.

        As `Run.read`; the files used last are kept open.

        Raises:
            StoreError: there is no such run or site, or the file is damaged.
            SelectionError: there is no such step, layer or token.
        """
        return self.shared_run(sample, seed, variant).read(
            site,
            step,
            layer,
            branch,
            reduction=reduction,
            raw=raw,
            frames=frames,
            rows=rows,
            cols=cols,
            tokens=tokens,
        )

    def shared_run(self, sample: str, seed: int, variant: str = layout.BASE) -> Run:
        """One run, for a moment: the same open file for all who ask, so it is not to be closed.

        For the package's own use.

        Raises:
            StoreError: as `run`.
        """
        return self._opened(self._find(sample, seed, variant))

    def iter(
        self,
        site: str,
        steps: selection.Selection = "all",
        layers: selection.Selection = "all",
        samples: Samples = None,
        seeds: Seeds = None,
        branches: str | Iterable[str] | None = None,
        variant: str | None = layout.BASE,
        *,
        reduction: str | None = None,
        frames: selection.Selection | None = None,
        rows: selection.Selection | None = None,
        cols: selection.Selection | None = None,
        tokens: Tokens | None = None,
    ) -> Iterator[tuple[RunEntry, int, int, str, Array]]:
        """Activations one by one, in the order in which they lie in the files; one is in memory at a time.

        Args:
            steps, layers: selections, as "0-9" or [0, 20].
            samples, seeds, variant: which runs, as in `runs`.
            branches: None for all that are stored.
            reduction, frames, rows, cols, tokens: as in `Run.read`.

        Yields:
            (run, step, layer, branch, array), the array (frame, row, col, channel) in float32.
        """
        for entry in self.runs(samples, seeds, variant):
            with Run(self.path / entry.file) as run:
                info = run.site(site, reduction)
                chosen = select_branches(branches, info.branches, run.path)
                chosen_tokens = TokenChoice(frames, rows, cols, tokens).of(info)
                chosen_layers = selection.select(layers, info.layers, "layers", "this store")
                for step in selection.select(steps, info.steps, "steps", "this store"):
                    for layer in chosen_layers:
                        for branch in chosen:
                            array = run.read_selected(info.key, step, layer, branch, chosen_tokens)
                            yield entry, step, layer, branch, array

    def array(
        self,
        site: str,
        steps: selection.Selection = "all",
        layers: selection.Selection = "all",
        samples: Samples = None,
        seeds: Seeds = None,
        branches: str | Iterable[str] | None = None,
        variant: str = layout.BASE,
        max_bytes: int = 4 * 2**30,
        *,
        reduction: str | None = None,
        frames: selection.Selection | None = None,
        rows: selection.Selection | None = None,
        cols: selection.Selection | None = None,
        tokens: Tokens | None = None,
    ) -> xarray.DataArray:
        """Activations as one labelled array: (sample, seed, step, layer, branch, frame, row, col, channel).

        Args:
            steps, layers, samples, seeds, branches, variant: as in `iter`.
            max_bytes: what is larger is not read yet: the array can be indexed further, and reads what is
                left of it when its values are asked for (``.load()``, ``.values``).
            reduction, frames, rows, cols, tokens: as in `Run.read`; the axes after ``branch`` are those of
                what is read. Frames, rows, columns and tokens are coordinates.

        Raises:
            StoreError: some sample lacks a seed that another has, or samples differ in their token grids or
                in which tokens they keep; of an array that is not read yet, the latter when it is.
        """
        from stores.labelled import labelled_array

        return labelled_array(
            self,
            site,
            reduction,
            steps,
            layers,
            samples,
            seeds,
            branches,
            variant,
            max_bytes,
            TokenChoice(frames, rows, cols, tokens),
        )

    def table(self) -> pandas.DataFrame:
        """The finished runs as a table, with the fields of `RunEntry` as columns."""
        from stores.labelled import runs_table

        return runs_table(self.runs())

    def writer(self, sample: str, seed: int, variant: str = layout.BASE) -> RunWriter:
        """Begins a run; a context manager.

        Raises:
            StoreError: the run exists, another process is making it, or the store cannot be written.
        """
        self._index()
        dtype = self.settings.capture.get("dtype", "bf16")
        compression = self.settings.capture.get("compression", "none")
        return RunWriter(self.path, sample, seed, variant, dtype, compression, self._record)

    def verify(self, progress: Progress | None = None) -> list[Problem]:
        """Checks everything in the store, down to the last bit; what is wrong, or nothing.

        Args:
            progress: called with (bytes done, bytes in all, file) for each slab.
        """
        from stores.verify import verify_store

        return verify_store(self, progress)

    def reindex(self, progress: Progress | None = None) -> list[StoreError]:
        """Rebuilds the catalog from the run files; the files that could not be read, and were left out.

        Raises:
            StoreError: the catalog cannot be written.
        """
        with _writing_catalog(self.path):
            failures = index_anew(self.path, progress)
        with self._lock:
            self._by_sample = None
        return failures

    def complete_catalog(self) -> None:
        """Adds the runs to the catalog whose processes were killed before they could.

        Raises:
            StoreError: the catalog cannot be written.
        """
        self._index()
        with _writing_catalog(self.path):
            self._catalog.complete()

    def __reduce__(self) -> tuple[Callable[[Path], Store], tuple[Path]]:
        return open_store, (self.path,)

    def __repr__(self) -> str:
        return f"<Store {self.path}, {len(self.runs())} runs>"

    def _record(self, entry: RunEntry) -> None:
        # Several threads may finish runs at once.
        with self._lock:
            self._catalog.append(entry)

    def _index(self) -> dict[str, list[RunEntry]]:
        with self._lock:
            changed = self._catalog.refresh()
            if self._by_sample is None:
                self._catalog.reconcile()
            if changed or self._by_sample is None:
                by_sample: dict[str, list[RunEntry]] = {}
                for entry in self._catalog.entries():
                    by_sample.setdefault(entry.sample, []).append(entry)
                self._by_sample = by_sample
            return self._by_sample

    def _find(self, sample: str, seed: int, variant: str) -> Path:
        path = self.path / layout.run_file(sample, seed, variant)
        if path.is_file():
            return path
        of_sample = self._index().get(sample)
        if not of_sample:
            known = list(self._index())
            raise StoreError(f"sample {sample!r}: {self.path} has {_listed(known) or 'no runs'}")
        seeds = selection.compact(entry.seed for entry in of_sample if entry.variant == variant)
        what = "seeds" if variant == layout.BASE else f"{variant} seeds"
        raise StoreError(f"seed {seed}: sample {sample} in {self.path} has {what} {seeds or 'none'}")

    def _opened(self, path: Path) -> Run:
        status = path.stat()
        identity = (status.st_ino, status.st_size, status.st_mtime_ns)
        key = str(path)
        with self._lock:
            found = self._open_runs.get(key)
            if found is None or found[0] != identity:
                found = (identity, Run(path))
                self._open_runs[key] = found
            self._open_runs.move_to_end(key)
            while len(self._open_runs) > _KEPT_OPEN:
                # Not closed here: another thread may be reading from it. It closes with its last user.
                self._open_runs.popitem(last=False)
            return found[1]

    def _begin_anew_in_child(self) -> None:
        # HDF5 files must not be shared across a fork.
        self._open_runs = OrderedDict()
        if self._lock.locked():
            # By a thread that is not in the child, perhaps in the middle of reading the catalog.
            self._lock = Lock()
            self._catalog = Catalog(self.path)
            self._by_sample = None


@contextmanager
def _writing_catalog(store: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{store / layout.CATALOG}: cannot be written: {error.strerror or error}") from error


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:8])
    return (
        f"the samples {shown}, and {len(names) - 8} more"
        if len(names) > 8
        else shown and f"the samples {shown}"
    )


def _begin_all_anew_in_child() -> None:
    for store in list(_stores):
        store._begin_anew_in_child()


os.register_at_fork(after_in_child=_begin_all_anew_in_child)
