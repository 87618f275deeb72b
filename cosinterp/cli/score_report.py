"""What ``cosinterp score`` says: tables, remarks and JSON, each figure with its n, interval and seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cosinterp.cli.plain import table
from probes.statistics import Estimate, describe

if TYPE_CHECKING:
    from rich.table import Table

    from cosinterp.scorers import Metric
    from cosinterp.scoring import TaskScores
    from probes.convergence import Disagreement

MOST_RUNS = 32
"""More runs than this are not listed one by one."""


def tables(scores: TaskScores, apart: Disagreement | None, seed: int) -> list[Table]:
    """The tables to print: runs (unless they are many), total, and by step where there are steps."""
    found = [run_table(scores)] if len(scores.runs) <= MOST_RUNS else []
    found.append(total_table(scores, seed))
    if scores.steps is not None:
        found.append(step_table(scores, apart, seed))
    return found


def run_table(scores: TaskScores) -> Table:
    """The score of the final video of each run."""
    metrics = scores.task.metrics
    made = table(f"{scores.task.name}: each run", "sample", "seed", *(metric.head for metric in metrics))
    for row in scores.runs.to_dict("records"):
        cells = [_cell(row[metric.name], metric) for metric in metrics]
        made.add_row(str(row["sample"]), str(row["seed"]), *cells)
    return made


def total_table(scores: TaskScores, seed: int) -> Table:
    """Each metric over all runs."""
    total = scores.total(seed=seed)
    made = table(f"{scores.task.name}: all runs", "", "mean", _level(total))
    for metric in scores.task.metrics:
        estimate = total[metric.name]
        made.add_row(metric.label, f"{estimate.value:.2f}", estimate.interval_text)
    return made


def step_table(scores: TaskScores, apart: Disagreement | None, seed: int) -> Table:
    """Score of the clean estimate by step, and how far the seeds are apart."""
    by_step = scores.by_step(seed=seed)
    agreement, distance = scores.agreement(seed=seed), None if apart is None else apart.by_step(seed=seed)
    columns = {
        metric.head: by_step[metric.name]
        for metric in scores.task.metrics
        if metric.name in scores.task.headline
    }
    if distance:
        columns["seeds apart"] = distance
    if agreement:
        columns["same answer"] = agreement
    made = table(
        f"{scores.task.name}: clean estimate by step, mean and {_level(by_step)}", "step", "σ", *columns
    )
    for step, sigma in enumerate(scores.sigmas()):
        cells = [_both(curve[step]) for curve in columns.values()]
        made.add_row(str(step), "" if sigma is None else f"{sigma:.3f}", *cells)
    return made


def remarks(scores: TaskScores, apart: Disagreement | None, seed: int) -> list[str]:
    """What must stand under the tables: n, interval, seed and meaning of the figures, what was left out."""
    total = describe(list(scores.total(seed=seed).values()))
    lines = []
    if scores.steps is None:
        lines.append(f"Scores: {total}.")
    else:
        curves = scores.by_step(seed=seed)
        shown = describe([one for name in scores.task.headline for one in curves[name]])
        lines += (
            [f"Scores, also by step: {total}."]
            if total == shown
            else [f"Scores: {total}.", f"By step: {shown}."]
        )
        if apart is not None:
            lines.append(f"Seeds apart: {apart.meaning}; {describe(apart.by_step(seed=seed), 'sample')}.")
        agreement = scores.agreement(seed=seed)
        if agreement:
            lines.append(
                "Same answer: share of the pairs of a sample's seeds whose answers are equal; "
                f"{describe(agreement, 'sample')}."
            )
        commitment = scores.commitment(seed=seed)
        if commitment is not None:
            lines.append(
                f"Final answers are held from step {commitment.value:.1f} {commitment.interval_text} on: "
                f"mean over the runs that end with one; {describe([commitment])}."
            )
    if len(scores.runs) > MOST_RUNS:
        lines.append("Too many runs to list each: --csv FILE writes them.")
    if scores.unknown:
        lines.append(f"Not scored, for their truth names no known task: {', '.join(scores.unknown)}.")
    return lines


def as_data(scores: TaskScores, apart: Disagreement | None, seed: int) -> dict[str, Any]:
    """All figures as JSON-able data; each estimate names its n, samples, interval, method and seed."""
    names = [metric.name for metric in scores.task.metrics]
    data: dict[str, Any] = {
        "task": scores.task.name,
        "runs": scores.runs.to_dict("records"),
        "total": {name: one.as_dict() for name, one in scores.total(seed=seed).items()},
        "unknown_samples": list(scores.unknown),
    }
    if scores.steps is None:
        return data
    by_step, sigmas = scores.by_step(seed=seed), scores.sigmas()
    data["by_step"] = [
        {"step": step, "sigma": sigma, **{name: by_step[name][step].as_dict() for name in names}}
        for step, sigma in enumerate(sigmas)
    ]
    data["same_answer"] = [one.as_dict() for one in scores.agreement(seed=seed)]
    commitment = scores.commitment(seed=seed)
    data["commit_step"] = None if commitment is None else commitment.as_dict()
    data["seed_disagreement"] = None
    if apart is not None:
        data["seed_disagreement"] = {
            "normaliser": apart.normaliser,
            "meaning": apart.meaning,
            "samples": dict(zip(apart.samples, apart.values.tolist(), strict=True)),
            "by_step": [one.as_dict() for one in apart.by_step(seed=seed)],
        }
    return data


def _level(estimates: dict[str, Estimate] | dict[str, list[Estimate]]) -> str:
    first = next(iter(estimates.values()))
    level = first[0].level if isinstance(first, list) else first.level
    return f"{level:.0%} interval"


def _both(estimate: Estimate) -> str:
    """Mean and interval in 14 characters, so that four columns of it fit a terminal of 80."""
    if estimate.interval_text == "no interval":
        return f"{estimate.value:.2f} {'–':>9}"
    return f"{estimate.value:.2f} {estimate.low:.2f}–{estimate.high:.2f}"


def _cell(value: float, metric: Metric) -> str:
    if metric.kind == "share":
        return "yes" if value else "no"
    return f"{value:.2f}" if metric.bounds == (0, 1) else f"{value:g}"
