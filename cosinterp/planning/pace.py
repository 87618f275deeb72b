"""How fast runs were made: measured, by the times at which the runs of a store were finished."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import ceil
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from cosinterp.planning.takes import Estimate, duration_text
from stores.entries import RunEntry
from stores.errors import StoreError
from stores.layout import BASE, CATALOG, STORE_FILE
from stores.store import open_store

if TYPE_CHECKING:
    from cosinterp.models.model import Model

# Times in a catalog are whole seconds.
_LEAST_SECONDS = 5.0
_LEAST_RUNS = 3
# As many runs as are looked at, the newest ones.
_MOST_RUNS = 200
# A gap so much longer than most is one in which nothing was made.
_PAUSE = 3.0


def seconds_of(
    path: Path, model: Model, runs: Callable[[Pace], float], workers: int | None = 1
) -> Estimate[float]:
    """How long something takes that makes runs of a store, by how fast its base runs were made.

    Args:
        path: of the store.
        model: that makes them; may be a skeleton.
        runs: as many base runs take as long.
        workers: that share them; None: not known.
    """
    if workers is None:
        return Estimate(None, "how many work at once shows when they are asked for")
    found = pace_of(path, model)
    return found if isinstance(found, Estimate) else found.times(runs(found), workers=workers)


@dataclass(frozen=True)
class Pace:
    """What base runs of a store took, each from the end of the one before to its own end.

    All is in it: texts, denoising, capture, writing, and the decoding of the video.

    Attributes:
        seconds: of one run, the mean.
        runs: that were timed.
        num_steps: of each.
        device: that made them, as they say it.
    """

    seconds: float
    runs: int
    num_steps: int
    device: str

    def times(self, runs: float, *, workers: int = 1) -> Estimate[float]:
        """What as many runs take, or what takes as long as those, spread over so many workers."""
        rounds = ceil(runs / workers) if workers > 1 else runs
        each = f"{duration_text(self.seconds)} each on {self.device} (n={self.runs})"
        spread = f", spread over {workers}" if workers > 1 else ""
        return Estimate(rounds * self.seconds, f"base runs of this store took {each}{spread}")


def pace_of(path: Path, model: Model) -> Pace | Estimate[float]:
    """How fast base runs of a store were made on what a model is on; where that is not known, why."""
    if not (path / STORE_FILE).exists():
        return Estimate(None, "no runs of this store have been timed yet")
    store = open_store(path)
    timed = _timed(path)
    if timed is None:
        return Estimate(None, f"{path} has too few base runs, made too quickly, to tell by them")
    gaps, newest = timed
    try:
        with store.run(newest.sample, newest.seed, newest.variant) as run:
            attrs = dict(run.attrs)
    except StoreError as error:
        return Estimate(None, f"the newest run of {path} cannot be read: {error}")
    batch = max(1, len(attrs.get("batch_seeds") or ()))
    differing = _differing(attrs, model)
    if differing is not None:
        return Estimate(None, f"runs of this store were made {differing}")
    seconds = _mean_without_pauses(gaps, batch)
    return Pace(seconds, len(gaps), newest.num_steps, str(attrs.get("device")))


def _timed(path: Path) -> tuple[list[float], RunEntry] | None:
    """Seconds between the ends of the base runs that one process made, and the newest of these runs.

    Of the process that finished a run last, if it made enough. Each process writes into a file of its own.
    """
    of_writers = [entries for file in (path / CATALOG).glob("*.jsonl") if (entries := _base_runs(file))]
    for entries in sorted(of_writers, key=lambda found: found[-1].finished, reverse=True):
        ends = [_moment(entry) for entry in entries[-_MOST_RUNS:]]
        if len(ends) >= _LEAST_RUNS and ends[-1] - ends[0] >= _LEAST_SECONDS:
            return [later - earlier for earlier, later in pairwise(ends)], entries[-1]
    return None


def _base_runs(file: Path) -> list[RunEntry]:
    found: list[RunEntry] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        # A process that was killed may have left half a line, of which `cosinterp store verify` tells.
        with suppress(ValueError, KeyError, TypeError):
            entry = RunEntry.from_json(json.loads(line))
            if entry.variant == BASE:
                found.append(entry)
    return sorted(found, key=lambda entry: entry.finished)


def _moment(entry: RunEntry) -> float:
    return datetime.fromisoformat(entry.finished).timestamp()


def _mean_without_pauses(gaps: Sequence[float], batch: int) -> float:
    """The mean of a run, where ``batch`` runs end together."""
    whole = [sum(gaps[start : start + batch]) for start in range(0, len(gaps) - batch + 1, batch)] or gaps
    usual = median(whole)
    kept = [gap for gap in whole if gap <= _PAUSE * usual + 1]
    return sum(kept) / len(kept) / batch


def _differing(attrs: dict[str, Any], model: Model) -> str | None:
    """What is different now from when a run was made, so that its time tells nothing; None: nothing."""
    made = attrs.get("model") or {}
    device = device_text(model)
    if attrs.get("device") != device:
        return f"on {attrs.get('device')}, and not on {device}"
    dtype = str(model.dtype).removeprefix("torch.")
    if made.get("dtype") != dtype:
        return f"in {made.get('dtype')}, and not in {dtype}"
    for what, before, now in (
        ("quantisation", made.get("quantization"), model.quantization),
        ("offloading", attrs.get("offload"), model.offload),
    ):
        if before != now:
            return f"with another {what}: {before or 'none'}, and not {now or 'none'}"
    return None


def device_text(model: Model) -> str:
    """What a model is on, as its runs say it; a GPU is asked by its driver, which takes no memory of it."""
    from cosinterp.devices import DeviceError, visible_gpus
    from cosinterp.run_attrs import device_name

    device = model.device
    if device.type == "cuda":
        with suppress(DeviceError):
            gpu = visible_gpus().get(f"cuda:{device.index or 0}")
            if gpu is not None and gpu.name is not None:
                return gpu.name
    return device_name(device)
