"""What a sweep would make and what that costs, for ``--dry-run``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.cli.takes import print_lines, said
from stores.units import count_text

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from cosinterp.patching.cost import Cost
    from cosinterp.patching.sweep import SweepOptions
    from cosinterp.patching.trial import Trial
    from cosinterp.planning.takes import Estimate, Takes

PLAIN = "none"
_CELL = ("site", "layers", "steps", "tokens", "branch")


@dataclass(frozen=True)
class SweepOutlook:
    """The patches of a sweep, how many of them are there already, and what the others cost.

    ``takes``: what it takes, as every dry run says it.
    """

    trials: Sequence[Trial]
    made: int
    cost: Cost
    batch: int
    takes: Takes

    @property
    def cells(self) -> int:
        """Cells of the grid."""
        return counted_cells(self.trials)

    def counted(self, label: str, *, controls: bool) -> dict[str, int]:
        """How many patches, or controls, by a label."""
        chosen = [trial for trial in self.trials if (trial.labels["control"] != PLAIN) == controls]
        return dict(Counter(str(trial.labels[label]) for trial in chosen))

    def as_data(self) -> dict[str, Any]:
        """The plan as JSON takes it: costs in block evaluations."""
        return {
            "pairs": counted_pairs(self.trials),
            "cells": self.cells,
            "patches": self.counted("direction", controls=False),
            "controls": self.counted("control", controls=True),
            "rows": {"to_make": len(self.trials) - self.made, "made": self.made},
            "batch": self.batch,
            "blocks": {**asdict(self.cost), "total": self.cost.total},
            **said(self.takes, lines_of(self)),
        }


def counted_cells(trials: Sequence[Trial]) -> int:
    """Cells of the grid."""
    return len({tuple(trial.labels[name] for name in _CELL) for trial in trials})


def counted_pairs(trials: Sequence[Trial]) -> dict[str, int]:
    """Pairs of ``runs``, a donor and a recipient in one direction; pairs of ``samples``, or samples alone."""
    return {
        "runs": len({frozenset({trial.run, trial.toward}) for trial in trials}),
        "samples": len({trial.labels["pair"] for trial in trials}),
    }


def rows_there(store: Path, name: str) -> frozenset[str]:
    """The keys of the rows that a sweep made before it stopped."""
    from cosinterp.patching.running import LOG_SUFFIX
    from probes.results.files import result_path

    log = result_path(store, name).with_name(name + LOG_SUFFIX)
    if not log.exists():
        return frozenset()
    keys = set[str]()
    for line in log.read_text().splitlines():
        # A last line may be cut off.
        with suppress(json.JSONDecodeError):
            keys.add(json.loads(line).get("key", ""))
    return frozenset(keys - {""})


def takes_of(
    model: Model, store: Path, trial: Trial, rows: int, cost: Cost, made: SweepOptions, workers: int | None
) -> Takes:
    """What a sweep takes that makes so many rows of a store's result, of which ``trial`` is one.

    A base run of the store is taken to be as many block evaluations as its steps are passes of the denoiser.
    """
    from cosinterp.planning.pace import seconds_of
    from cosinterp.planning.takes import Estimate, Takes

    if cost.forward:
        seconds = seconds_of(store, model, lambda pace: cost.total / (cost.forward * pace.num_steps), workers)
    else:
        seconds = Estimate(0.0 if rows == 0 else None, "no pass of the denoiser is left to make")
    return Takes(
        what=count_text(rows, "row"),
        rows=rows,
        # Of a row there is a line of numbers.
        bytes=None,
        seconds=seconds,
        gpu_memory=memory_of(model, trial, made.rows),
        device=str(model.device),
    )


def memory_of(model: Model, trial: Trial, rows: int) -> Estimate[int]:
    """Bytes of GPU memory, at least, for so many rows like that of ``trial`` side by side."""
    from cosinterp.planning.gpu_memory import gpu_memory
    from stores import open_store

    ref = trial.run
    with open_store(ref.store).run(ref.sample, ref.seed, ref.variant) as run:
        grid = model.anatomy.geometry.grid(model.size(run.attrs["sampling"]))
    return gpu_memory(model, [grid], rows=rows)


def print_outlook(outlook: SweepOutlook) -> None:
    """Print what a sweep would make."""
    print_lines([*lines_of(outlook), *outlook.takes.lines()])


def lines_of(outlook: SweepOutlook) -> list[tuple[str, str]]:
    """What a sweep would make: names and texts."""
    patches = outlook.counted("direction", controls=False)
    controls = outlook.counted("control", controls=True)
    cost = outlook.cost
    pairs = counted_pairs(outlook.trials)
    to_make = len(outlook.trials) - outlook.made
    lines = {
        "pairs": f"{count_text(pairs['runs'], 'pair')} of runs, {pairs['samples']} of samples",
        "cells": f"{outlook.cells:,}",
        "patches": f"{sum(patches.values()):,} ({_named(patches)})",
        "controls": f"{sum(controls.values()):,} ({_named(controls)})" if controls else "none",
        "rows": f"{to_make:,} to make, {outlook.made:,} there already",
        "batch": f"{outlook.batch} side by side",
        "blocks": f"{cost.total:,} block evaluations: {cost.patches:,} of patches, {cost.unchanged:,} of "
        "what runs do unchanged",
        "from noise": f"{cost.naive:,} for as many whole runs: {cost.saved:.1f} times as many",
    }
    if cost.forward:
        lines["forward"] = (
            f"{cost.total / cost.forward:,.1f} passes of the denoiser would take as many "
            f"({cost.forward} blocks, all branches)"
        )
    return list(lines.items())


def _named(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
