"""What all commands on sweeps do once it is known what is to be changed: plan, make, report."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cosinterp.cli import options
from cosinterp.cli.command_line import command_line, resume_command
from cosinterp.cli.spread_flags import failures_told
from cosinterp.errors import SelectionError, UserError
from stores.units import count_text

if TYPE_CHECKING:
    import xarray

    from cosinterp.cli.sweep_flags import SweepFlags
    from cosinterp.executors.executor import Executor
    from cosinterp.models.loading import Prepared
    from cosinterp.patching.running import Study
    from cosinterp.patching.sweep import SweepOptions
    from probes.effects import Bootstrap

PLOTS = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Asked:
    """What the flags say of a sweep, whatever it changes.

    ``store``: the folder that takes the result.
    """

    store: Path
    name: str
    resume: bool
    dry_run: bool
    as_json: bool
    effect: str | None
    plot: Path | None
    bootstrap_seed: int

    @classmethod
    def of(cls, store: Path, name: str, sweep: SweepFlags) -> Asked:
        """What is asked of a sweep, if it can be done.

        Raises:
            UserError: the name is taken, or the plot cannot be written.
        """
        asked = cls(
            store,
            name,
            sweep.resume,
            sweep.dry_run,
            sweep.as_json,
            sweep.effect,
            sweep.plot,
            sweep.bootstrap_seed,
        )
        asked.check()
        return asked

    def check(self) -> None:
        """Refuse what can be refused before a model is found.

        Raises:
            UserError: the name is taken, or the plot cannot be written.
        """
        from cosinterp.patching.running import check_name

        check_name(self.store, self.name, self.resume)
        check_plot(self.plot)


def check_plot(plot: Path | None) -> None:
    """Raises UserError: a picture cannot be called so."""
    if plot is None:
        return
    if plot.suffix not in PLOTS:
        raise UserError(f"--plot {plot}: the name has to end in .png, .svg or .pdf.")
    if plot.is_dir():
        raise UserError(f"--plot {plot}: this is a folder; name a file.")


def carry_out(
    prepared: Prepared, study: Study, made: SweepOptions, asked: Asked, executor: Executor | None = None
) -> None:
    """Plan a study, make it unless only the plan was asked for, and report what it showed.

    ``executor``: has the patches made; None: this process makes them.

    Raises:
        UserError: a patch that cannot be made; nothing is computed then.
        Exit: with code 1, if every patch failed; or some could not be tried.
    """
    from cosinterp.cli.console import err
    from cosinterp.cli.sweep_progress import SweepProgress
    from cosinterp.executors.sweeps import rows_spread
    from cosinterp.patching.running import rows_here, run_study
    from cosinterp.patching.sweep import Sweep

    prepared.model.check_batch(made.rows)
    sweep = Sweep(prepared.model, study.trials, made)
    sweep.check()
    # What a measure of the user's own returns is not known before.
    if asked.effect is not None and not made.measures:
        known = sweep.metrics(study.trials)
        if asked.effect not in known:
            raise SelectionError(f"--effect {asked.effect}: what is measured here is {', '.join(known)}")
    if asked.dry_run:
        _show(prepared, study, made, asked, executor)
        return
    if executor is None:
        model, make_rows = options.load_weights(prepared), rows_here
    else:
        model, make_rows = prepared.model, partial(rows_spread, executor, prepared.for_workers())
    progress = SweepProgress()
    try:
        with failures_told(), progress:
            result = run_study(
                model,
                study,
                made,
                store=asked.store,
                name=asked.name,
                resume=asked.resume,
                command=command_line(sys.argv),
                progress=progress,
                make_rows=make_rows,
            )
    except KeyboardInterrupt:
        err().print(f"interrupted; {count_text(progress.made, 'new row')} kept. To go on:")
        err().print(f"  {resume_command(sys.argv)}", markup=False, soft_wrap=True)
        raise
    for note in study.notes:
        err().print(note, markup=False, soft_wrap=True)
    report(result, asked)


def report(result: xarray.Dataset, asked: Asked) -> None:
    """Print what a result shows, and draw it.

    Raises:
        Exit: with code 1, if nothing is known because every patch failed.
    """
    from cosinterp.cli.console import out, print_error, print_json
    from cosinterp.cli.sweep_report import SweepReport, outcome
    from probes.effects import Bootstrap
    from probes.sweeps import effect_of

    where = str(result.attrs["result"])
    effect = effect_of(result, asked.effect)
    if effect is None:
        told = outcome(result, where)
        if asked.as_json:
            print_json(told)
        reason = next(iter(told["errors"]), "the effect is known of none of them")
        print_error(f"none of {count_text(told['rows'], 'row')} is known: {reason}; the rows: {where}")
        raise typer.Exit(1)
    bootstrap = Bootstrap(seed=asked.bootstrap_seed)
    if asked.plot is not None:
        draw(result, effect, asked.plot, bootstrap)
    shown = SweepReport(result, effect, where, bootstrap, width=out().width)
    if asked.as_json:
        print_json(shown.as_data())
        return
    for one in shown.tables():
        out().print(one)
    for line in shown.remarks():
        out().print(line, markup=False)
    out().print(f"result: {where}", markup=False, soft_wrap=True)


def draw(result: xarray.Dataset, effect: str, path: Path, bootstrap: Bootstrap) -> None:
    """All figures of an effect that fit the sweep's grid; the first is called as asked."""
    from probes.figures.drawing import save_figure
    from probes.kinds.patches import effect_figures

    for number, make in enumerate(effect_figures(result, effect, bootstrap).values()):
        target = path if number == 0 else path.with_stem(f"{path.stem}-{number + 1}")
        save_figure(make(), target)


def _show(
    prepared: Prepared, study: Study, made: SweepOptions, asked: Asked, executor: Executor | None
) -> None:
    from cosinterp.cli.console import print_json
    from cosinterp.cli.spread_flags import workers_of
    from cosinterp.cli.sweep_plan import SweepOutlook, print_outlook, rows_there, takes_of
    from cosinterp.patching.cost import cost_of
    from cosinterp.patching.running import key_of

    there = rows_there(asked.store, asked.name)
    cost = cost_of(prepared.model, study.trials, made, lambda trial: key_of(trial) in there)
    number = sum(key_of(trial) in there for trial in study.trials)
    left = len(study.trials) - number
    takes = takes_of(prepared.model, asked.store, study.trials[0], left, cost, made, workers_of(executor))
    outlook = SweepOutlook(study.trials, number, cost, made.rows, takes)
    if asked.as_json:
        print_json(outlook.as_data())
    else:
        print_outlook(outlook)
