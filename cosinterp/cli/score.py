"""``cosinterp score``: how good the runs of a store are, and their clean estimates at each step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosinterp.cli import options
from cosinterp.cli.analysis_options import FORMATS

if TYPE_CHECKING:
    from cosinterp.scoring import TaskScores
    from probes.convergence import Disagreement
    from stores import Store


def score(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder.", show_default=False)],
    sample: Annotated[
        list[str] | None, typer.Option(help="Only this sample; give it again for more.", show_default=False)
    ] = None,
    variant: Annotated[str, typer.Option(help="Runs of this variant.")] = "base",
    by_step: Annotated[bool, typer.Option(help="Also score the clean estimate of each step.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    csv: Annotated[
        Path | None,
        typer.Option(
            help="Write a row for each run (for each run and step, if by step).", show_default=False
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the curves by step (png, svg or pdf).", show_default=False)
    ] = None,
    bootstrap_seed: Annotated[int, typer.Option(help="Seed of the intervals.", min=0)] = 0,
    save: Annotated[
        bool,
        typer.Option(
            "--save/--no-save", help="Keep the scores by step in the store, and read those that are kept."
        ),
    ] = True,
    name: Annotated[
        str | None, typer.Option(help="What they are called there.", show_default="scores-TASK")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Score anew, and replace what is kept.")] = False,
    model: options.Decoder = None,
    device: options.Device = None,
) -> None:
    """Score runs whose sample has a known truth, by step too.

    A run's score is that of its final video; by step it is that of its clean estimate. Each figure comes
    with its n and its interval over samples (not over runs: the runs of a sample are alike).

    What was scored by step is kept in STORE/results: the next time it is read, and only runs that are new are
    decoded. [bold]cosinterp convergence[/bold] asks more of it.
    """
    import sys

    from cosinterp.cli.command_line import command_line
    from cosinterp.cli.console import err, out, print_json
    from cosinterp.cli.counting import counting
    from cosinterp.cli.decode import choose_runs
    from cosinterp.cli.score_report import as_data, remarks, tables
    from cosinterp.decoding import model_of
    from cosinterp.errors import UserError
    from cosinterp.scoring import score_store
    from stores import open_store

    if not save and (name is not None or force):
        raise UserError("--no-save keeps nothing; leave out --name and --force, or --no-save.")
    if plot is not None and not by_step:
        raise UserError("--plot draws the curves by step; leave out --no-by-step.")
    if plot is not None and plot.suffix not in FORMATS:
        raise UserError(f"--plot {plot}: the name has to end in .png, .svg or .pdf.")
    for flag, path in (("--plot", plot), ("--csv", csv)):
        if path is not None and path.is_dir():
            raise UserError(f"{flag} {path}: this is a folder; name a file.")
    opened = open_store(store)
    entries = choose_runs(opened, samples=sample, seeds="all", every=not sample, variant=variant)
    placed: dict[str, Any] = {} if device is None else {"device": device}
    with counting("scoring", len(entries)) as count:
        scores = score_store(
            opened,
            lambda: model_of(opened, model, **placed),
            by_step=by_step,
            variant=variant,
            samples=sample,
            save=save,
            name=name,
            force=force,
            decoder=model,
            command=command_line(sys.argv),
            progress=count,
        )
    for one in scores:
        if one.path is not None:
            err().print(f"kept in {one.path}", markup=False, soft_wrap=True)
    apart = [seed_distances(opened, one) if by_step else None for one in scores]
    if csv is not None:
        write_csv(scores, csv)
    if plot is not None:
        for one in scores:
            draw(
                one,
                plot if len(scores) == 1 else plot.with_stem(f"{plot.stem}-{one.task.name}"),
                bootstrap_seed,
            )
    if as_json:
        print_json([as_data(one, far, bootstrap_seed) for one, far in zip(scores, apart, strict=True)])
        return
    for one, far in zip(scores, apart, strict=True):
        for table in tables(one, far, bootstrap_seed):
            out().print(table)
        for line in remarks(one, far, bootstrap_seed):
            out().print(line, markup=False)


def seed_distances(store: Store, scores: TaskScores) -> Disagreement | None:
    """How far the seeds of the scored runs are apart by step; None if no sample has two seeds."""
    from probes.convergence import seed_disagreement

    runs = scores.runs
    if int(runs["sample"].value_counts().iloc[0]) < 2:
        return None
    return seed_disagreement(store, samples=runs["sample"], variant=str(runs["variant"].iloc[0]))


def write_csv(scores: list[TaskScores], path: Path) -> None:
    """One CSV of all tasks: a row a run and step if there are steps, else a row a run."""
    import pandas as pd

    parts = []
    for one in scores:
        part = one.runs if one.steps is None else one.steps
        parts.append(part.assign(task=one.task.name))
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.concat(parts).to_csv(path, index=False)


def draw(scores: TaskScores, path: Path, seed: int) -> None:
    """The headline metrics by step as curves with bands."""
    from probes.figures.drawing import save_figure
    from probes.kinds.scores import by_step_figure

    by_step = scores.by_step(seed=seed)
    shown = [metric for metric in scores.task.metrics if metric.name in scores.task.headline]
    save_figure(by_step_figure({metric: by_step[metric.name] for metric in shown}), path)
