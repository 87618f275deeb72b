"""What the app reads from disk. Everything here may block: call it from `tui.background` only."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.final_scores import final_scores
from stores import Run, Store, layout, open_store
from stores.errors import StoreError
from stores.reduction import FULL
from stores.schedule import Schedule
from stores.selection import compact
from stores.sites import SiteInfo
from stores.slabs.compression import NONE
from tui.browser.rows import Row

MAX_DEPTH = 3
LARGEST = 512
"""Pixels of a side of a picture that are kept: what a terminal shows of it beside other things."""


@dataclass(frozen=True)
class Detail:
    """What is shown of one run.

    Attributes:
        prompt: that it was generated from.
        facts: named, in the order they are shown.
        image: the first image, (row, col, rgb), made smaller; None: it has none.
        form: what a form of `cosinterp trace` is filled in with to make more of its kind.
    """

    prompt: str
    facts: tuple[tuple[str, str], ...]
    image: NDArray[np.uint8] | None = field(default=None, compare=False)
    form: Mapping[str, Any] = field(default_factory=dict, compare=False)


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
        detail, image = detail_of(opened, run), run.image
    form = form_of(opened, row, detail.prompt, has_image=image is not None)
    return replace(detail, image=None if image is None else smaller(image), form=form)


def smaller(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Within `LARGEST` pixels a side, by a whole factor: what was enlarged by one stays sharp."""
    from PIL import Image

    factor = -(-max(image.shape[:2]) // LARGEST)
    return image if factor == 1 else np.asarray(Image.fromarray(image).reduce(factor))


def form_of(store: Store, row: Row, prompt: str, *, has_image: bool) -> dict[str, Any]:
    """What `cosinterp trace` is to be asked for runs like one of a store, by the names of its parameters.

    A sample with an image comes from a dataset, which no store knows of: that is left to be filled in.
    """
    settings = store.settings
    sample = {"only": row.sample} if has_image else {"name": row.sample, "prompt": prompt or None}
    capture, sampling = settings.capture, settings.sampling
    asked: dict[str, Any] = {
        "model": settings.model.get("name"),
        "store": row.store,
        "seeds": row.seed,
        **sample,
        "layers": compact(capture["layers"]) if capture.get("layers") else None,
        "sites": ",".join(capture.get("sites") or ()) or None,
        "num_steps": sampling.get("num_steps"),
        "guidance_scale": sampling.get("guidance_scale"),
    }
    return {name: value for name, value in asked.items() if value is not None}


def read_scores(rows: Sequence[Row]) -> Iterator[list[Row] | StoreError]:
    """The runs of one store that have scores, with these; errors in the place of what cannot be read.

    Raises:
        StoreError: the store's results cannot be listed.
    """
    by_key = {(row.variant, row.sample, row.seed): row for row in rows}
    for found in final_scores(rows[0].store):
        if isinstance(found, StoreError):
            yield found
            continue
        scored = []
        for (sample, seed, finished, size), value in found.values.items():
            row = by_key.get((found.variant, sample, seed))
            # Another file of that name is another run.
            is_it = row is not None and row.size == size and row.finished == _seconds(finished, row.store)
            if row is not None and is_it and math.isfinite(value):
                scored.append(replace(row, score=value, is_share=found.is_share))
        yield scored


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
