"""``cosinterp attribute``: screen a grid by gradients, and confirm the strongest cells by patching them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosinterp.cli import options
from cosinterp.cli import sweep_options as flags
from cosinterp.cli.flag_groups import with_groups
from cosinterp.cli.patch import Direction
from cosinterp.cli.store_model import StoreModelFlags
from cosinterp.cli.store_options import AsJson, StorePath
from cosinterp.cli.sweep_flags import PairFlags, PlaceFlags, dataset_samples

if TYPE_CHECKING:
    import xarray

    from cosinterp.attribution.table import Row
    from cosinterp.models.model import Model
    from cosinterp.patching.pairs import Pair
    from cosinterp.patching.running import Study
    from cosinterp.patching.sweep import SweepOptions
    from cosinterp.patching.trial import Trial
    from stores import Store

CONFIRMED = "-confirmed"
"""What is put behind the name of the result, for that of the patches that confirm it."""


@with_groups
def attribute(
    store: StorePath,
    *,
    pairs: PairFlags,
    dataset: flags.Dataset = None,
    places: PlaceFlags,
    direction: Annotated[
        Direction,
        typer.Option(
            help="sufficiency: the donor's activations in the recipient's run; necessity: the reverse.",
            rich_help_panel=flags.WHERE,
        ),
    ] = Direction.sufficiency,
    points: Annotated[
        int,
        typer.Option(
            help="For integrated gradients: passes on the way from run to run. 0: plain gradients alone.",
            min=0,
            rich_help_panel=flags.MEASURED,
        ),
    ] = 8,
    confirm: Annotated[
        int,
        typer.Option(
            metavar="K",
            help="Patch the K cells of the largest attributions, and show both.",
            min=0,
            rich_help_panel=flags.MEASURED,
        ),
    ] = 0,
    name: flags.Name = "attribution",
    bootstrap_seed: flags.BootstrapSeed = 0,
    model: StoreModelFlags,
    dry_run: flags.DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Screen a grid by gradients: what patches would change, to first order.

    A few passes for each step of each pair tell it of all sites, layers and tokens at once. It is a screen:
    what it finds has to be confirmed by patching, which --confirm does for the strongest cells.
    """
    from cosinterp.attribution import attribution_rows, attributions
    from cosinterp.cli.attribute_plan import AttributionOutlook
    from cosinterp.cli.counting import counting
    from cosinterp.cli.takes import show
    from cosinterp.patching.patch import patch_study
    from cosinterp.patching.running import Study, check_name
    from cosinterp.patching.sweep import Sweep, SweepOptions
    from stores import open_store

    recipients = open_store(store)
    givers = pairs.givers(recipients)
    for taken in (name, name + CONFIRMED):
        check_name(recipients.path, taken, resume=False)
    samples = dataset_samples(dataset)
    found = pairs.find(recipients, givers)
    prepared = model.prepare(recipients)
    grid = places.grid()
    # The patches that it stands for: they have to be possible.
    study = patch_study(
        prepared.model, recipients, givers, found, grid, directions=direction.value, controls="none"
    )
    confirming = SweepOptions(horizon=0, videos=False, samples=samples)
    Sweep(prepared.model, study.trials, confirming).check()
    if dry_run:
        plan = AttributionOutlook(study.trials, points, confirm, prepared.model)
        show(plan.takes(), plan.lines(), plan.as_data(), as_json)
        return
    loaded = options.load_weights(prepared)
    rows: list[tuple[Trial, Row]] = []
    with counting("attributing", len(study.trials)) as count:
        for way, of in _ways(found, direction):
            for row in attribution_rows(loaded, of, grid, direction=way, points=points, samples=samples):
                rows.append(row)
                count()
    attributed = _described(attributions(rows))
    where = _save(loaded, recipients, name, attributed, {**study.asked, "points": points, "confirm": confirm})
    patched = None
    # None, where nothing could be attributed.
    if chosen := strongest_trials(rows, confirm):
        confirmed = Study("patch", {**study.asked, "of": name}, chosen)
        patched = _patched(loaded, recipients, name + CONFIRMED, confirmed, confirming)
    _report(attributed, patched, where, bootstrap_seed, as_json)


def strongest_trials(rows: list[tuple[Trial, Row]], count: int) -> list[Trial]:
    """The patches of the ``count`` cells whose attributions are largest in the mean over pairs, of all pairs.

    Cells are chosen, not patches, so that what is confirmed has an interval over samples.
    """
    import numpy as np

    sizes: dict[Any, list[float]] = {}
    for trial, row in rows:
        sizes.setdefault(_cell_of(trial), []).append(abs(row["attribution"]))
    mean = {cell: float(np.nanmean(own)) for cell, own in sizes.items() if np.isfinite(own).any()}
    chosen = set(sorted(mean, key=lambda cell: -mean[cell])[:count])
    return [trial for trial, _ in rows if _cell_of(trial) in chosen]


def _cell_of(trial: Trial) -> tuple[Any, ...]:
    return tuple(trial.labels[name] for name in ("direction", "site", "layers", "steps", "tokens", "branch"))


def _ways(pairs: list[Pair], direction: Direction) -> list[tuple[str, list[Pair]]]:
    both = [("sufficiency", pairs), ("necessity", [pair.turned() for pair in pairs])]
    return [one for one in both if direction.value in ("both", one[0])]


def _described(attributed: xarray.Dataset) -> xarray.Dataset:
    """With what the effects are, in words."""
    words = {
        "attribution": "change of x0_along, by the gradient",
        "attribution_ig": "change of x0_along, by integrated gradients",
    }
    for name, text in words.items():
        if name in attributed:
            attributed[name].attrs.update(long_name=text, kind="mean")
    return attributed


def _save(model: Model, store: Store, name: str, dataset: xarray.Dataset, asked: dict[str, Any]) -> Path:
    from cosinterp.cli.command_line import command_line
    from cosinterp.planning.plan import model_settings
    from cosinterp.run_attrs import device_name, versions
    from probes.results.files import save_result

    provenance = {
        "kind": "attribution",
        "asked": asked,
        "model": model_settings(model),
        "device": device_name(model.device),
        "versions": versions(),
        "command": command_line(sys.argv),
    }
    return save_result(store.path, name, dataset, provenance)


def _patched(model: Model, store: Store, name: str, study: Study, made: SweepOptions) -> xarray.Dataset:
    """The chosen patches, made; read where attributions are, at the patched step."""
    from cosinterp.cli.command_line import command_line
    from cosinterp.cli.sweep_progress import SweepProgress
    from cosinterp.patching.running import run_study

    with SweepProgress() as progress:
        return run_study(
            model,
            study,
            made,
            store=store.path,
            name=name,
            command=command_line(sys.argv),
            progress=progress,
        )


def _report(
    attributed: xarray.Dataset, patched: xarray.Dataset | None, where: Path, seed: int, as_json: bool
) -> None:
    from cosinterp.cli.attribute_report import AttributionReport
    from cosinterp.cli.console import out, print_error, print_json
    from probes.effects import Bootstrap

    shown = AttributionReport(attributed, patched, str(where), Bootstrap(seed=seed), out().width)
    if shown.is_empty:
        print_error(f"nothing could be attributed: {shown.first_error}; the rows: {where}")
        raise typer.Exit(1)
    if as_json:
        print_json(shown.as_data())
        return
    for one in shown.tables():
        out().print(one)
    for line in shown.remarks():
        out().print(line, markup=False)
    for line in shown.files():
        out().print(line, markup=False, soft_wrap=True)
