"""What a sweep would make and what that costs, for ``--dry-run``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.cli.console import out
from stores.units import count_text

if TYPE_CHECKING:
    from cosinterp.patching.cost import Cost
    from cosinterp.patching.trial import Trial

PLAIN = "none"
_CELL = ("site", "layers", "steps", "tokens", "branch")


@dataclass(frozen=True)
class SweepOutlook:
    """The patches of a sweep, how many of them are there already, and what the others cost."""

    trials: Sequence[Trial]
    made: int
    cost: Cost
    batch: int

    @property
    def cells(self) -> int:
        """Cells of the grid."""
        return len({tuple(trial.labels[name] for name in _CELL) for trial in self.trials})

    @property
    def runs(self) -> int:
        """Pairs of a donor and a recipient, each one of them counted in one direction."""
        return len({frozenset({trial.run, trial.toward}) for trial in self.trials})

    @property
    def samples(self) -> int:
        """Pairs of samples, or samples alone."""
        return len({trial.labels["pair"] for trial in self.trials})

    def counted(self, label: str, *, controls: bool) -> dict[str, int]:
        """How many patches, or controls, by a label."""
        chosen = [trial for trial in self.trials if (trial.labels["control"] != PLAIN) == controls]
        return dict(Counter(str(trial.labels[label]) for trial in chosen))

    def as_data(self) -> dict[str, Any]:
        """The plan as JSON takes it: costs in block evaluations."""
        return {
            "pairs": {"runs": self.runs, "samples": self.samples},
            "cells": self.cells,
            "patches": self.counted("direction", controls=False),
            "controls": self.counted("control", controls=True),
            "rows": {"to_make": len(self.trials) - self.made, "made": self.made},
            "batch": self.batch,
            "blocks": {**asdict(self.cost), "total": self.cost.total},
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


def print_outlook(outlook: SweepOutlook) -> None:
    """Print what a sweep would make."""
    patches = outlook.counted("direction", controls=False)
    controls = outlook.counted("control", controls=True)
    cost = outlook.cost
    to_make = len(outlook.trials) - outlook.made
    lines = {
        "pairs": f"{count_text(outlook.runs, 'pair')} of runs, {outlook.samples} of samples",
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
    for name, value in lines.items():
        out().print(f"{name:<11} {value}", markup=False, soft_wrap=True)


def _named(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
