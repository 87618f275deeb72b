"""``cosinterp steer`` and ``steering-vectors``: directions of a store, made and added to runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cosinterp.cli import sweep_options as flags
from cosinterp.cli.flag_groups import with_groups
from cosinterp.cli.spread_flags import SpreadFlags
from cosinterp.cli.store_model import StoreModelFlags
from cosinterp.cli.store_options import AsJson, StorePath
from cosinterp.cli.sweep_flags import SweepFlags, WindowFlags, names_of
from cosinterp.errors import InterventionError

_GROUPS = "Which runs"


@with_groups
def steer(
    store: StorePath,
    *,
    vectors: Annotated[
        Path,
        typer.Option(
            help="What is added: a file that `cosinterp steering-vectors` wrote.",
            rich_help_panel=flags.WHERE,
            show_default=False,
        ),
    ],
    sample: Annotated[
        str | None,
        typer.Option(
            help="A sample, or a pattern such as 'maze-7x7-blue-*'.",
            rich_help_panel=flags.RUNS,
            show_default="all",
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Such as 0-7.", rich_help_panel=flags.RUNS, show_default="all")
    ] = None,
    toward: Annotated[
        str | None,
        typer.Option(
            help="What effects are shares of the way to: a sample, or a pattern beside that of --sample.",
            rich_help_panel=flags.RUNS,
            show_default=False,
        ),
    ] = None,
    scales: Annotated[
        str,
        typer.Option(
            help="How often it is added: 1 moves the mean of the negative group to that of the positive one.",
            rich_help_panel=flags.WHERE,
        ),
    ] = "-1,1",
    steps: Annotated[
        str | None,
        typer.Option(help="As of --layers.", rich_help_panel=flags.WHERE, show_default="the file's"),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(help='"0-40", "0,3,7-9", "-1".', rich_help_panel=flags.WHERE, show_default="the file's"),
    ] = None,
    tokens: flags.Tokens = None,
    branches: flags.Branches = "all",
    windows: WindowFlags,
    sweep: SweepFlags,
    name: flags.Name = "steering",
    model: StoreModelFlags,
    spreading: SpreadFlags,
) -> None:
    """Add a direction to what runs compute, at several scales, with controls.

    Runs are made again from the step on at which they are changed; what follows is measured, and written to
    STORE/results as it is done. With --resume an interrupted sweep goes on; --dry-run reads no weights.
    """
    from cosinterp.cli.sweep_command import Asked, carry_out
    from cosinterp.interventions.vectors import read_vectors
    from cosinterp.patching.steer import grid_of, steered_runs, steering_study
    from stores import open_store

    opened = open_store(store)
    asked = Asked.of(opened.path, name, sweep)
    found = read_vectors(vectors)
    numbers = _scales(scales)
    made = sweep.options()
    pairs = steered_runs(opened, sample, seeds, toward)
    spread = spreading.over(model.device, [opened.path])
    prepared = replace(model, device=spread.device).prepare(opened)
    grid = grid_of(
        found,
        steps,
        layers,
        tokens or ["all"],
        names_of(branches),
        window=windows.window,
        layer_window=windows.layer_window,
    )
    study = steering_study(
        prepared.model,
        opened,
        pairs,
        grid,
        vectors=vectors,
        scales=numbers,
        controls=sweep.controls.value,
    )
    carry_out(prepared, study, made, asked, spread.executor)


def steering_vectors(
    store: StorePath,
    positive: Annotated[
        list[str],
        typer.Option(
            help="Samples of one group, by name or pattern; give it again for more.",
            rich_help_panel=_GROUPS,
            show_default=False,
        ),
    ],
    negative: Annotated[
        list[str],
        typer.Option(help="Those of the other group.", rich_help_panel=_GROUPS, show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="The file, such as goal.npz.", show_default=False)],
    seeds: Annotated[
        str | None, typer.Option(help="Of both groups.", rich_help_panel=_GROUPS, show_default="all")
    ] = None,
    site: Annotated[str, typer.Option(help="Which the store has.", rich_help_panel=flags.WHERE)] = "resid",
    layers: flags.Layers = "all",
    steps: flags.Steps = "all",
    branch: Annotated[
        str | None,
        typer.Option(
            help="cond or uncond.", rich_help_panel=flags.WHERE, show_default="cond, if it is stored"
        ),
    ] = None,
    tokens: Annotated[
        str, typer.Option(metavar="GROUP", help="The mean is over these.", rich_help_panel=flags.WHERE)
    ] = "all",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make directions of a store: the mean of one group of runs less that of another.

    One for each step and layer of a site, from the stored activations alone; no model is loaded.
    [bold]cosinterp steer[/bold] adds them to runs.
    """
    from cosinterp.cli.console import err, print_json
    from cosinterp.cli.console import out as results
    from cosinterp.cli.plain import table
    from cosinterp.interventions.vectors import steering_vectors as make
    from stores import open_store
    from stores.errors import StoreError
    from stores.selection import compact

    if out.exists() and not force:
        raise StoreError(f"{out} is there; replace it with --force")
    opened = open_store(store)
    with err().status("reading activations"):
        found = make(
            opened,
            positive=positive,
            negative=negative,
            site=site,
            layers=layers,
            steps=steps,
            branch=branch,
            tokens=tokens,
            seeds=seeds,
        )
    written = found.save(out, force=force)
    if as_json:
        print_json(
            {
                "file": str(written),
                "site": found.site,
                "steps": list(found.steps),
                "layers": list(found.layers),
                "norms": found.norms.tolist(),
                "positive_norms": found.positive_norms.tolist(),
                "negative_norms": found.negative_norms.tolist(),
                "about": found.about,
            }
        )
        return
    shown = table("", "layer", "norm", "of the means", "share")
    for index, layer in enumerate(found.layers):
        norm = float(found.norms[:, index].mean())
        means = float((found.positive_norms[:, index] + found.negative_norms[:, index]).mean()) / 2
        shown.add_row(str(layer), f"{norm:.3g}", f"{means:.3g}", f"{norm / means:.3f}" if means else "–")
    results().print(shown)
    groups = ", ".join(f"{side} {found.about[side]['runs']} runs" for side in ("positive", "negative"))
    results().print(f"{found.site}, steps {compact(found.steps)}, means over them; {groups}", markup=False)
    results().print(str(written), markup=False, soft_wrap=True)


def _scales(text: str) -> list[float]:
    """Numbers separated by commas. Raises InterventionError: they are none."""
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise InterventionError(
            f"--scales {text}: give numbers separated by commas, such as --scales=-1,1"
        ) from None
