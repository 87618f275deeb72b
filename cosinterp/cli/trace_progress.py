"""How a trace goes, drawn on standard error; and what it would do, on standard output."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from cosinterp.capture.plan import TracePlan, free_space
from cosinterp.cli.console import err, out
from stores.selection import compact
from stores.units import count_text, size_text


class RichProgress:
    """A bar over the steps of all runs, with an estimate of the time left; a line for each finished run."""

    def __init__(self, store: Path) -> None:
        self.made = 0
        self._store = store
        self._total = 0
        self._started = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=err(),
            # Over a slow line each frame of the bar costs.
            refresh_per_second=2,
            transient=True,
            disable=not err().is_terminal,
        )
        self._task = self._bar.add_task("tracing", total=None)

    def planned(self, plan: TracePlan, todo: Sequence[tuple[str, int]]) -> None:
        """Say how many runs are to be made and their size."""
        self._total = len(todo)
        self._bar.update(self._task, total=len(todo) * plan.num_steps)
        skipped = plan.num_runs - len(todo)
        err().print(
            f"{count_text(len(todo), 'run')} into {self._store}, {size_text(plan.bytes_of(todo))}"
            + (f"; {skipped} there already" if skipped else ""),
            markup=False,
            soft_wrap=True,
        )

    def step(self, sample: str, seeds: tuple[int, ...], step: int, num_steps: int) -> None:
        """Move the bar."""
        label = f"{sample} seed {compact(seeds)}"
        self._bar.update(self._task, advance=len(seeds), description=label)

    def finished(self, sample: str, seed: int) -> None:
        """Say which run is complete."""
        self.made += 1
        err().print(
            f"{self.made}/{self._total} {sample} seed {seed}", markup=False, style="dim", soft_wrap=True
        )

    def __enter__(self) -> RichProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()
        if kind is None:
            seconds = time.monotonic() - self._started
            err().print(
                f"done: {count_text(self.made, 'run')} in {seconds:.0f} s, {self._store}",
                markup=False,
                soft_wrap=True,
            )


def print_plan(plan: TracePlan, todo: Sequence[tuple[str, int]], store: Path) -> None:
    """Print what a trace would make."""
    _, free = free_space(store)
    needed = plan.bytes_of(todo)
    lines = {
        "store": str(store),
        "samples": f"{len(plan.samples)}",
        "seeds": compact(plan.seeds),
        "runs": f"{len(todo)} to make, {plan.num_runs - len(todo)} there already",
        "sites": ", ".join(
            f"{site} at layer{'' if len(plan.layers[site]) == 1 else 's'} {compact(plan.layers[site])}"
            for site in plan.sites
        ),
        "steps": f"{compact(plan.steps)} of {plan.num_steps}",
        "branches": ", ".join(plan.branches),
        "dtype": plan.dtype,
        "token grid": "; ".join(
            sorted({"x".join(map(str, planned.grid)) + " (frame, row, col)" for planned in plan.samples})
        ),
        "a run": "; ".join(sorted({size_text(plan.run_bytes(planned)) for planned in plan.samples})),
        "needs": f"{size_text(needed)} ({needed:,} bytes)",
        "free": size_text(free),
    }
    for name, value in lines.items():
        out().print(f"{name:<11} {value}", markup=False, soft_wrap=True)
