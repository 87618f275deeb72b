"""What would be probed, said before it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cosinterp.planning.takes import Estimate, Takes, refusal_of
from stores.units import count_text, size_text

if TYPE_CHECKING:
    from probes.probing.study import Study


def plan_lines(study: Study, cells: int, name: str) -> list[str]:
    """What would be probed, and what it takes."""
    rows, chosen = study.rows, study.features.chosen
    grid = f"{count_text(len(chosen.steps), 'step')} x {count_text(len(chosen.layers), 'layer')}"
    labelled = int(rows.problem.labelled.sum())
    of = count_text(len(rows.names), "sample")
    if rows.unit != "run":
        of = f"{count_text(len(rows.entries), 'run')} of {of}"
    what = f"{study.asked.target} of {labelled:,} {rows.unit}{'' if labelled == 1 else 's'}"
    memory = f"{chosen.channels:,} channels, in about {size_text(study.memory)} of memory"
    baselines = _baselines(study)
    read = count_text(cells, "cell") + (" with baselines" if baselines else "")
    lines = [f"{what} ({of}) at {grid}: {read}, of {memory}"]
    if baselines:
        lines.append(f"baselines: {', '.join(baselines)}")
    lines.append(f"result: {name}")
    return lines + [f"note: {note}" for note in study.notes]


def as_data(study: Study, cells: int, name: str) -> dict[str, Any]:
    """What would be probed, as JSON takes it; ``memory`` is in bytes of host memory."""
    rows, chosen = study.rows, study.features.chosen
    return {
        "target": study.asked.target,
        "result": name,
        "cells": cells,
        "steps": [int(step) for step in chosen.steps],
        "layers": [int(layer) for layer in chosen.layers],
        "channels": chosen.channels,
        "unit": rows.unit,
        "labelled": int(rows.problem.labelled.sum()),
        "runs": len(rows.entries),
        "samples": len(rows.names),
        "baselines": _baselines(study),
        "memory": study.memory,
        "notes": list(study.notes),
    }


def takes_of(study: Study, cells: int, check: Callable[[], object]) -> Takes:
    """What probing takes, which ``check`` may refuse."""
    return Takes(
        what=count_text(cells, "cell"),
        rows=cells,
        seconds=Estimate(None, "it depends on how well probes converge, and shows once it runs"),
        gpu_memory=Estimate(0, "none, on cpu"),
        refused=refusal_of(check),
    )


def _baselines(study: Study) -> list[str]:
    return [one.name for one in study.baselines] + (["untrained"] * (study.untrained is not None))
