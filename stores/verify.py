"""Verifying a store: every bit of every run, and the catalog against the files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stores import dtypes, layout
from stores.catalog import Catalog, entry_of, open_run, run_files
from stores.entries import RunEntry
from stores.errors import StoreError
from stores.leftovers import drafts, unclaimed_runs
from stores.reader import Run
from stores.settings import StoreSettings

if TYPE_CHECKING:
    from stores.store import Store


@dataclass(frozen=True)
class Problem:
    """Something wrong in a store.

    Attributes:
        file: where, relative to the store.
        kind: "damaged" (its bits are not those written), "not finite" (a NaN or infinity), "schedule" (it
            makes no sense), "settings" (not as store.json says), "leftover" (of a process that was killed),
            "foreign" (no part of a store), "catalog" (it does not say what the files say).
        message: what is wrong, in one line.
    """

    file: str
    kind: str
    message: str


def verify_store(store: Store, progress: Callable[[int, int, str], None] | None = None) -> list[Problem]:
    """As `Store.verify`."""
    files = sorted(run_files(store.path))
    problems: list[Problem] = []
    entries: dict[str, RunEntry] = {}
    for done, file in enumerate(files):
        if progress is not None:
            progress(done, len(files), file)
        try:
            with open_run(store.path, file) as run:
                entries[file] = entry_of(run, file)
                problems += [
                    Problem(file, kind, message) for kind, message in _check_run(run, store.settings)
                ]
        except StoreError as error:
            problems.append(Problem(file, "damaged", _without_path(error, store.path / file)))
    if progress is not None:
        progress(len(files), len(files), "")
    problems += _leftovers(store.path)
    problems += _catalog_problems(store.path, files, entries)
    return problems


def _check_run(run: Run, settings: StoreSettings) -> Iterator[tuple[str, str]]:
    """(kind, message) of everything that is wrong in a run that can be opened."""
    yield from (("schedule", message) for message in _schedule_problems(run))
    yield from (("settings", message) for message in _settings_problems(run, settings))
    for path, slabs in run.slabs():
        indices = list(np.ndindex(*slabs.index_shape))
        damaged: list[str] = []
        not_finite: list[str] = []
        for index in indices:
            try:
                slab = slabs.read(index, check_again=True)
            except (ValueError, OSError, RuntimeError) as error:
                damaged.append(f"{_place(run, path, index)} ({error})")
            else:
                if not dtypes.all_finite(slab, slabs.dtype):
                    not_finite.append(_place(run, path, index))
        if damaged:
            yield "damaged", f"{path}: {len(damaged)} of {len(indices)} slabs, first {damaged[0]}"
        if not_finite:
            yield "not finite", f"{path}: {len(not_finite)} of {len(indices)} slabs, first {not_finite[0]}"


def _schedule_problems(run: Run) -> Iterator[str]:
    timestep, sigma, _ = run.schedule
    if not (np.isfinite(timestep).all() and np.isfinite(sigma).all()):
        yield "a timestep or sigma is not finite"
        return
    rising = np.flatnonzero(np.diff(sigma) >= 0)
    if rising.size:
        step = int(rising[0])
        yield f"sigma does not decrease after step {step} ({sigma[step]:g} to {sigma[step + 1]:g})"
    if run.attrs.get("prediction_type") == "flow" and sigma[-1] != 0:
        yield f"the last sigma of a flow is {sigma[-1]:g}, not 0"
    for name, info in run.sites.items():
        if info.steps[-1] >= run.num_steps:
            yield f"site {name} has step {info.steps[-1]}, the schedule only {run.num_steps} steps"
    for path, slabs in run.slabs():
        expected = {layout.NOISY: run.num_steps + 1, layout.PREDICTION: run.num_steps}.get(path)
        if expected is not None and slabs.index_shape != (expected,):
            yield f"{path} has {slabs.index_shape[0]} latents, {run.num_steps} steps need {expected}"


def _settings_problems(run: Run, settings: StoreSettings) -> Iterator[str]:
    capture = settings.capture
    sites = capture.get("sites")
    for info in run.sites.values():
        if sites is not None and info.site not in sites:
            yield f"site {info.site} is not among the sites of {layout.STORE_FILE}: {', '.join(sites)}"
        reductions = capture.get("reductions", {}).get(info.site, [info.reduction])
        if info.reduction not in reductions:
            said = ", ".join(reductions)
            yield f"site {info.site} is stored as {info.reduction}, {layout.STORE_FILE} says {said}"
        dtype = capture.get("dtype", info.dtype)
        if info.dtype != dtype:
            yield f"site {info.key} is stored as {info.dtype}, {layout.STORE_FILE} says {dtype}"


def _place(run: Run, path: str, index: tuple[int, ...]) -> str:
    if len(index) == 3:
        info = run.sites[path.partition("/")[2]]
        return f"step {info.steps[index[0]]}, layer {info.layers[index[1]]}, {info.branches[index[2]]}"
    return f"step {index[0]}" if index else "all of it"


def _leftovers(store: Path) -> Iterator[Problem]:
    remove = "store rm --leftovers removes it"
    for path in unclaimed_runs(store):
        message = f"of a trace that was killed; --resume makes it anew, {remove}"
        yield Problem(path.relative_to(store).as_posix(), "leftover", message)
    for path in drafts(store):
        message = f"of a process that was killed; {remove}"
        yield Problem(path.relative_to(store).as_posix(), "leftover", message)
    for path in sorted((store / layout.RUNS).glob("*/*")):
        file = path.relative_to(store).as_posix()
        run = file.removesuffix(layout.PARTIAL + layout.CLAIM).removesuffix(layout.PARTIAL)
        if layout.parse_run_file(run) is None:
            yield Problem(file, "foreign", "no file of a store; delete it or move it away")


def _catalog_problems(store: Path, files: list[str], entries: dict[str, RunEntry]) -> Iterator[Problem]:
    catalog = Catalog(store)
    catalog.refresh()
    yield from (
        Problem(line.partition(":")[0], "catalog", line.partition(": ")[2]) for line in catalog.damaged
    )
    listed = {entry.file: entry for entry in catalog.entries()}
    for file in sorted(listed):
        if not (store / file).exists():
            yield Problem(file, "catalog", "the catalog names it, but it is gone; run store reindex")
    for file in files:
        if file not in listed:
            yield Problem(file, "catalog", "the catalog does not name it; run store reindex")
        elif file in entries and listed[file] != entries[file]:
            yield Problem(file, "catalog", "the catalog says otherwise than the file; run store reindex")


def _without_path(error: StoreError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")
