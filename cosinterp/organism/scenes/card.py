"""The tables of scene-wan's model card, from raw outcomes of ``evaluate``.

``python -m cosinterp.organism.scenes.card docs/measured/scene-wan-cpu-*.npz`` prints them; with ``--write
README.md`` they replace what stands between the two marks of that file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from cosinterp.errors import UserError
from cosinterp.organism.markdown import INTERVAL, cells, table, write_between_marks
from cosinterp.organism.program import run_program
from cosinterp.scorers import Task, task_of
from probes.statistics import Estimate, describe, mean, proportion

# Title, truth, head of the column.
_BY = {
    "permanence": (
        ("By how long the ball is hidden", "hidden_frames", "frames hidden"),
        ("By bounces", "bounces", "bounces"),
    ),
    "grounding": (("By the number of blocks", "count", "blocks"),),
}


@dataclass(frozen=True)
class Outcomes:
    """A file of ``evaluate``.

    Attributes:
        computed: how, in words.
        settings: number of steps and guidance scale.
        metrics: by task and metric, (step, scene).
        about: by task and truth, (scene,).
    """

    computed: str
    settings: dict[str, float]
    metrics: dict[str, dict[str, np.ndarray]]
    about: dict[str, dict[str, np.ndarray]]


def read_outcomes(path: Path) -> Outcomes:
    """Read a file of ``evaluate``.

    Raises:
        UserError: it is none.
    """
    metrics: dict[str, dict[str, np.ndarray]] = {}
    about: dict[str, dict[str, np.ndarray]] = {}
    try:
        with np.load(path) as arrays:
            computed, settings = str(arrays["computed"]), json.loads(str(arrays["settings"]))
            for key in (key for key in arrays if "/" in key):
                task, _, name = key.partition("/")
                group, name = (about, name[6:]) if name.startswith("about/") else (metrics, name)
                group.setdefault(task, {})[name] = arrays[key]
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{path} holds no outcomes of cosinterp.organism.scenes.evaluate: {error}") from error
    return Outcomes(computed, settings, metrics, about)


def tables(files: Sequence[Outcomes]) -> str:
    """All tables as Markdown, a heading for each task of each file."""
    return "\n".join(part for outcomes in files for part in _of_file(outcomes))


def _of_file(outcomes: Outcomes) -> list[str]:
    steps, scale = outcomes.settings["num_steps"], outcomes.settings["guidance_scale"]
    computed = f"{outcomes.computed[0].upper()}{outcomes.computed[1:]}: {steps} steps, guidance {scale:g}.\n"
    parts: list[str] = []
    for name, metrics in outcomes.metrics.items():
        task = task_of({"task": name})
        if task is None:
            raise UserError(f"the outcomes are of a task {name!r}, which is not known")
        parts += [f"### {name}\n", computed, *_final(task, metrics)]
        for title, truth, head in _BY[name]:
            parts += _grouped(title, head, metrics["solved"][-1], outcomes.about[name][truth])
        if len(metrics["solved"]) > 1:
            parts += _by_step(task, metrics)
    return parts


def _final(task: Task, metrics: dict[str, np.ndarray]) -> Iterator[str]:
    scenes = range(metrics["solved"].shape[1])
    estimates = [_estimate(metric.kind, metrics[metric.name][-1], list(scenes)) for metric in task.metrics]
    yield "#### The final videos\n"
    yield table(
        ("", "share", INTERVAL, "scenes"),
        ((metric.label, *cells(estimate)) for metric, estimate in zip(task.metrics, estimates, strict=True)),
    )


def _grouped(title: str, head: str, solved: np.ndarray, truth: np.ndarray) -> Iterator[str]:
    yield f"#### {title}\n"
    groups = [(value, np.flatnonzero(truth == value)) for value in np.unique(truth)]
    yield table(
        (head, "solved", INTERVAL, "scenes"),
        ((str(value), *cells(_estimate("share", solved[rows], rows.tolist()))) for value, rows in groups),
    )


def _by_step(task: Task, metrics: dict[str, np.ndarray]) -> Iterator[str]:
    shown = [metric for metric in task.metrics if metric.name in task.headline]
    scenes = list(range(metrics["solved"].shape[1]))
    yield "#### The clean estimate by step\n"
    columns = [[_estimate(one.kind, step, scenes) for step in metrics[one.name]] for one in shown]
    yield table(
        ("step", *(text for one in shown for text in (one.label, INTERVAL))),
        (
            (str(step), *(text for estimate in row for text in cells(estimate)[:2]))
            for step, row in enumerate(zip(*columns, strict=True))
        ),
    )
    yield f"{describe([estimate for column in columns for estimate in column], 'sample')}.\n"


def _estimate(kind: str, values: np.ndarray, scenes: list[int]) -> Estimate:
    return proportion(values, scenes) if kind == "share" else mean(values, scenes, bounds=(0, 1))


def main(
    outcomes: Annotated[list[Path], typer.Argument(help="Files of cosinterp.organism.scenes.evaluate.")],
    write: Annotated[Path | None, typer.Option(help="Replace the tables in this file.")] = None,
) -> None:
    """Make the model card's tables."""
    made = tables([read_outcomes(path) for path in outcomes])
    if write is None:
        typer.echo(made)
    else:
        write_between_marks(write, made)


if __name__ == "__main__":
    run_program(main)
