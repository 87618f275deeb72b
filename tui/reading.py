"""What the app reads from disk. Everything here may block: call it from `tui.background` only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from stores import Run, Store, layout, open_store
from stores.errors import StoreError
from stores.reduction import FULL
from stores.schedule import Schedule
from stores.selection import compact
from stores.sites import SiteInfo
from stores.slabs.compression import NONE
from tui.rows import Row

MAX_DEPTH = 3


@dataclass(frozen=True)
class Detail:
    """What is shown of one run: its prompt, and named facts in the order they are shown."""

    prompt: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Problem:
    """A store or a folder that cannot be read, and why."""

    message: str


def find_stores(folder: Path, depth: int = MAX_DEPTH) -> Iterator[Path | Problem]:
    """The stores at ``folder`` or below it, by name; hidden folders and what lies in stores are passed over.

    A folder that cannot be listed gives a `Problem` and the search goes on.
    """
    if (folder / layout.STORE_FILE).is_file():
        yield folder
        return
    try:
        with os.scandir(folder) as entries:
            inner = sorted(
                entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")
            )
    except OSError as error:
        yield Problem(f"{folder}: {error.strerror}")
        return
    if depth > 0:
        for name in inner:
            yield from find_stores(folder / name, depth - 1)


def read_rows(store: Path, root: Path) -> list[Row]:
    """The runs of one store; ``root`` is where the search began, which stores are named from.

    Raises:
        UserError: the store cannot be read.
    """
    opened = open_store(store)
    layers = tuple(opened.settings.capture.get("layers") or ())
    name = store.name if store == root else store.relative_to(root).as_posix()
    return [
        Row(
            store=store,
            store_name=name,
            sample=entry.sample,
            seed=entry.seed,
            variant=entry.variant,
            steps=entry.num_steps,
            layers=layers,
            size=entry.size,
            finished=_seconds(entry.finished, store),
        )
        for entry in opened.runs()
    ]


def read_detail(row: Row) -> Detail:
    """What there is to say about one run.

    Raises:
        UserError: its file cannot be read.
    """
    opened = open_store(row.store)
    with opened.run(row.sample, row.seed, row.variant) as run:
        return detail_of(opened, run)


def detail_of(store: Store, run: Run) -> Detail:
    """What there is to say about an open run. Raises UserError: its file is damaged."""
    facts = [("run", f"{run.sample}, seed {run.seed}, {run.variant}")]
    if name := store.settings.model.get("name"):
        facts.append(("model", str(name)))
    facts.append(("schedule", _schedule_text(run.schedule)))
    facts += [(f"site {name}", _site_text(info)) for name, info in run.sites.items()]
    facts.append(("truth", ", ".join(run.truth) or "none"))
    facts.append(("file", str(run.path)))
    return Detail(run.prompt, tuple(facts))


def _schedule_text(schedule: Schedule) -> str:
    timestep, sigma = schedule.timestep, schedule.sigma
    if not len(timestep):
        return "no steps"
    ends = f"timestep {timestep[0]:.4g} to {timestep[-1]:.4g}, sigma {sigma[0]:.3g} to {sigma[-1]:.3g}"
    experts = sorted(set(schedule.expert.tolist()))
    shared = ""
    if len(experts) > 1:
        served = (f"expert {expert}: {int((schedule.expert == expert).sum())}" for expert in experts)
        shared = f" ({', '.join(served)})"
    return f"{len(timestep)} steps{shared}, {ends}"


def _site_text(info: SiteInfo) -> str:
    shape = "x".join(map(str, info.shape))
    kept = f"{shape} ({', '.join(info.axes)})"
    if info.reduction == FULL:
        kept = f"grid {'x'.join(map(str, info.grid))}, {info.channels} channels"
    packed = "" if info.compression == NONE else f", {info.compression}"
    branches = ",".join(info.branches)
    return (
        f"layers {compact(info.layers)}, steps {compact(info.steps)}, {branches}, "
        f"{kept}, {info.dtype}{packed}"
    )


def _seconds(finished: str, store: Path) -> float:
    try:
        return datetime.fromisoformat(finished).timestamp()
    except ValueError:
        raise StoreError(f"{store}: the catalog holds the time {finished!r}, which is none") from None
