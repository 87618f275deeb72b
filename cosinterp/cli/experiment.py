"""``cosinterp experiment``: one of the paper's experiments, by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosinterp.cli import analysis_options, options
from cosinterp.cli.experiment_options import DryRun, PresetName
from cosinterp.cli.options import one_of
from cosinterp.experiments import NAMES

if TYPE_CHECKING:
    from cosinterp.cli.experiment_plan import ExperimentOutlook
    from cosinterp.experiments.settings import Settings
    from probes.results.result import Result


def experiment(
    which: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help=f"{', '.join(NAMES)}.", show_default=False, autocompletion=one_of(*NAMES)
        ),
    ],
    model: options.ModelName,
    dataset: Annotated[
        Path,
        typer.Option(help="Samples: a folder in VBVR-Bench layout, or a .jsonl or .csv.", show_default=False),
    ],
    store: Annotated[
        Path,
        typer.Option(
            help="Folder of the base runs; made if it does not exist. Other stores stand beside it.",
            show_default=False,
        ),
    ],
    preset: PresetName = "small",
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting that differs from the preset, such as count=24; give it again for more.",
            show_default=False,
        ),
    ] = None,
    device: options.Device = None,
    name: analysis_options.Name = None,
    force: analysis_options.Force = False,
    plot: analysis_options.Plot = None,
    dry_run: DryRun = False,
    measure: options.Measure = True,
    as_json: analysis_options.AsJson = False,
) -> None:
    """Run one of the paper's experiments.

    Each is about claims of Wang et al. 2026 (arXiv 2603.16870): what was measured of them here, with its n
    and interval, and a verdict by a stated rule. The settings are printed first, and kept with the result.
    Runs and results that the store holds are used; broken off, the same command goes on where it stopped.
    """
    import sys
    from functools import partial

    from cosinterp.cli.command_line import command_line, same_command
    from cosinterp.cli.console import err
    from cosinterp.cli.experiment_plan import ExperimentOutlook
    from cosinterp.cli.experiment_progress import ExperimentBar, minutes_text
    from cosinterp.cli.settings import parse_settings
    from cosinterp.experiments import experiment_of
    from cosinterp.experiments.costs import measure_rates
    from cosinterp.experiments.models import bundled, once
    from cosinterp.experiments.running import default_name, settings_of
    from cosinterp.experiments.running import experiment as run
    from cosinterp.models.loading import load, prepare
    from cosinterp.planning.takes import refusal_of
    from cosinterp.samples import load_dataset

    asked = experiment_of(which)
    settings = settings_of(which, preset, parse_settings(given))
    saved_as = name or default_name(which)
    free = partial(analysis_options.check_result, store, saved_as, force, plot)
    refused = refusal_of(free) if dry_run else None
    if not dry_run:
        free()
    samples = settings.choose(load_dataset(dataset))
    for line in settings_lines(settings):
        err().print(line, markup=False, soft_wrap=True, style="dim")
    if dry_run and not measure:
        with err().status(f"reading the configs of {model}"):
            described = prepare(model, device=device).model
        _say(ExperimentOutlook.of(asked, settings, described, samples, store, None, refused), as_json)
        return
    give = once(bundled if device is None else lambda name: load(name, device=device))
    with err().status(f"loading {model}"):
        loaded = give(model)
    rates = measure_rates(loaded, samples[0])
    seconds = rates.seconds(asked.cost(settings, loaded.num_layers))
    err().print(f"about {minutes_text(seconds)} on this machine, less what the store has", highlight=False)
    if dry_run:
        _say(ExperimentOutlook.of(asked, settings, loaded, samples, store, rates, refused), as_json)
        return
    try:
        with ExperimentBar(rates) as bar:
            bar.planned(seconds)
            bar.began(which, seconds)
            result = run(
                which,
                model=loaded,
                samples=samples,
                store=store,
                settings=settings,
                result_name=saved_as,
                force=force,
                command=command_line(sys.argv),
                work=bar,
            )
    except KeyboardInterrupt:
        err().print(f"interrupted; to go on: {same_command(sys.argv)}", markup=False, soft_wrap=True)
        raise
    _show(result, plot, as_json)


def _say(outlook: ExperimentOutlook, as_json: bool) -> None:
    """Print what would be done."""
    from cosinterp.cli.takes import show

    show(outlook.takes, outlook.lines(), outlook.as_data(), as_json)


def settings_lines(settings: Settings) -> list[str]:
    """Settings as they are printed: `count = 12`."""
    return [f"{name} = {value}" for name, value in settings.model_dump(mode="json").items()]


def _show(result: Result, plot: Path | None, as_json: bool) -> None:
    from cosinterp.cli.console import out, print_json, print_sentence

    if plot is not None:
        result.plot(plot)
    if as_json:
        print_json(analysis_options.as_data(result))
        return
    for line in result.summary():
        print_sentence(out(), line, indent=0)
    out().print(f"result: {result.path}", markup=False, soft_wrap=True)
