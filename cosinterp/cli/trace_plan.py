"""What a trace would make, how much that is, and how long the disk takes for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.table import Table

from cosinterp.cli.console import out
from cosinterp.cli.plain import table
from cosinterp.cli.takes import print_lines, said
from cosinterp.planning.disk_speed import MOST_BYTES, measure_write_speed
from cosinterp.planning.estimate import run_parts, slab_layout
from cosinterp.planning.fitting import Runs, ways_that_fit
from cosinterp.planning.plan import TracePlan
from cosinterp.planning.takes import Takes, duration_text
from stores.files import free_space
from stores.selection import compact
from stores.units import count_text, size_text

SMALL = 64 * 10**6
"""Bytes that any disk takes so soon that measuring its speed would take longer."""


@dataclass(frozen=True)
class DiskTime:
    """How long a disk takes for what is to be written; ``speed`` is in bytes a second, None if unknown."""

    size: int
    threads: int
    speed: float | None = None
    unknown: str = ""

    @classmethod
    def measured(cls, folder: Path, size: int, free: int, threads: int, *, measure: bool = True) -> DiskTime:
        """Measure it in ``folder``, which takes about a second; unknown if that is not worth it, or not to be
        done.
        """
        if not measure:
            return cls(size, threads, unknown="not measured: --no-measure")
        if size > free:
            return cls(size, threads, unknown="not measured: it does not fit")
        if size < SMALL:
            unknown = f"not measured: less than {SMALL // 10**6} MB are to be written"
            return cls(size, threads, unknown=unknown)
        try:
            return cls(size, threads, measure_write_speed(folder, threads, most_bytes=min(MOST_BYTES, size)))
        except OSError as error:
            return cls(size, threads, unknown=f"not measured: {folder}: {error.strerror or error}")

    @property
    def seconds(self) -> float | None:
        """How long it takes."""
        return None if self.speed is None else self.size / self.speed

    def __str__(self) -> str:
        if self.speed is None:
            return self.unknown
        threads = count_text(self.threads, "thread")
        return (
            f"{duration_text(self.size / self.speed)} at {size_text(int(self.speed))}/s ({threads}, measured)"
        )


@dataclass(frozen=True)
class Outlook:
    """A plan, the (sample name, seed) runs of it that are to be made, and the disk that takes them.

    ``takes``: what a dry run says beside that.
    """

    plan: TracePlan
    todo: Runs
    store: Path
    folder: Path
    free: int
    disk: DiskTime
    takes: Takes | None = None

    @classmethod
    def of(
        cls,
        plan: TracePlan,
        todo: Runs,
        store: Path,
        threads: int,
        *,
        takes: Takes | None = None,
        measure: bool = True,
    ) -> Outlook:
        """Look at the disk; with ``measure`` that takes about a second if there is much to write."""
        folder, free = free_space(store)
        disk = DiskTime.measured(folder, plan.bytes_of(todo), free, threads, measure=measure)
        return cls(plan, todo, store, folder, free, disk, takes)

    @property
    def needed(self) -> int:
        """Bytes of all runs to be made; compressed, at most."""
        return self.disk.size

    @property
    def fits(self) -> bool:
        """Whether so much is free."""
        return self.needed <= self.free

    @cached_property
    def parts(self) -> dict[str, int]:
        """Bytes of all runs to be made, by what they are spent on."""
        total = dict.fromkeys(run_parts(self.plan, self.plan.samples[0].shape), 0)
        for shape, count in self.plan.shapes(self.todo).items():
            for part, size in run_parts(self.plan, shape).items():
                total[part] += count * size
        return total

    def as_data(self) -> dict[str, Any]:
        """The plan as JSON takes it: sizes in bytes, times in seconds."""
        plan = self.plan
        return {
            "store": str(self.store),
            "runs": {"to_make": len(self.todo), "made": plan.num_runs - len(self.todo)},
            "samples": [
                {
                    "name": planned.sample.name,
                    "token_grid": list(planned.grid),
                    "run_bytes": run_parts(plan, planned.shape),
                }
                for planned in plan.samples
            ],
            "seeds": list(plan.seeds),
            "channels": plan.samples[0].shape.channels,
            "num_steps": plan.num_steps,
            "layers": {site: list(layers) for site, layers in plan.layers.items()},
            "steps": list(plan.steps),
            "branches": list(plan.branches),
            "reductions": {site: list(texts) for site, texts in plan.reductions.items()},
            "reduce_seed": plan.reduce_seed,
            "dtype": plan.dtype,
            "compression": plan.compression,
            "batch": plan.batch,
            "bytes": {**self.parts, "all": self.needed},
            "at_most": self.at_most,
            "folder": str(self.folder),
            "free_bytes": self.free,
            "writing": {
                "threads": self.disk.threads,
                "bytes_per_second": self.disk.speed and round(self.disk.speed),
                "seconds": self.disk.seconds and round(self.disk.seconds, 3),
            },
            "fits": self.fits,
            "would_fit": []
            if self.fits
            else [
                {"flags": way.flags, "bytes": way.size}
                for way in ways_that_fit(self.store, plan, self.todo, self.free)
            ],
            **({} if self.takes is None else said(self.takes, [*choices(self), *ending(self)])),
        }

    @property
    def at_most(self) -> bool:
        """Whether the sizes are upper bounds."""
        return self.plan.compression != "none"


def print_plan(outlook: Outlook) -> None:
    """Print what a trace would make."""
    print_lines(choices(outlook))
    out().print(_sizes(outlook))
    print_lines(ending(outlook))
    if outlook.takes is not None:
        print_lines(outlook.takes.lines())


def ending(outlook: Outlook) -> list[tuple[str, str]]:
    """What a trace takes of its disk: names and texts."""
    most = "at most " if outlook.at_most and outlook.needed else ""
    return [
        ("needs", f"{most}{size_text(outlook.needed)}; {size_text(outlook.free)} are free"),
        ("writing", str(outlook.disk)),
    ]


def choices(outlook: Outlook) -> list[tuple[str, str]]:
    """What a trace would make: names and texts."""
    plan = outlook.plan
    runs = f"{len(outlook.todo)} to make, {plan.num_runs - len(outlook.todo)} there already"
    selected = {compact(layers) for layers in plan.layers.values()}
    layers = [f"{site} {compact(layers)}" for site, layers in plan.layers.items()]
    compression = "uncompressed" if plan.compression == "none" else f"compressed with {plan.compression}"
    grids = Counter(planned.grid for planned in plan.samples)
    several = len(grids) > 1
    return [
        ("store", str(outlook.store)),
        ("runs", f"{runs}: {count_text(len(plan.samples), 'sample')}, {_numbers('seed', plan.seeds)}"),
        ("layers", selected.pop() if len(selected) == 1 else ", ".join(layers)),
        ("steps", f"{compact(plan.steps)} of {plan.num_steps}"),
        ("branches", ", ".join(plan.branches)),
        ("stored as", f"{plan.dtype}, {compression}"),
        *(
            (
                "token grid",
                f"{'x'.join(map(str, grid))} (frame, row, col), {plan.samples[0].shape.channels} channels"
                + (f"; {count_text(count, 'sample')}" if several else ""),
            )
            for grid, count in sorted(grids.items())
        ),
    ]


def _sizes(outlook: Outlook) -> Table:
    """What a run takes (the largest one, if they differ), and what all take."""
    plan = outlook.plan
    shapes = {planned.shape: plan.run_bytes(planned) for planned in plan.samples}
    largest = max(shapes, key=lambda shape: shapes[shape])
    differ = len({size_text(size) for size in shapes.values()}) > 1
    run = run_parts(plan, largest)
    sizes = table("", "", "a slab", "slabs", "largest run" if differ else "a run", "all runs")
    for part, size in outlook.parts.items():
        slab, count = "", ""
        if part in plan.keys:
            site, reduction = plan.keys[part]
            slab = size_text(slab_layout(site, reduction, largest, plan).slab_bytes)
            count = str(plan.slabs(site))
        sizes.add_row(part, slab, count, size_text(run[part]), size_text(size))
    sizes.add_row("in all", "", "", size_text(sum(run.values())), size_text(outlook.needed))
    return sizes


def _numbers(what: str, numbers: Sequence[int]) -> str:
    return f"{what}{'' if len(numbers) == 1 else 's'} {compact(numbers)}"
