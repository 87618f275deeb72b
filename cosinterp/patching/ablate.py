"""Ablation: take away what a run computes at a place, over a grid, with controls, and measure what follows.

What is taken away is replaced by zeros, by its mean over runs, by what another sample's run has there, or, of
a whole block, by what entered it. Zeros and means can take the model where it never is, and another run
brings what it has of its own; so effects of different kinds answer different questions. Sources: Chan et al.
2022, "Causal scrubbing", for resampling; Li and Janson 2024 (arXiv 2409.09951) for how the kinds differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from cosinterp.errors import InterventionError
from cosinterp.interventions.intervention import RandomLike, Replace
from cosinterp.patching.controls import (
    CONTROL_SEED,
    ELSEWHERE,
    IDENTITY,
    NECESSITY,
    NONE,
    RANDOM,
    Share,
    controlled,
    trial_of,
)
from cosinterp.patching.grid import ALL, Cell, Grid
from cosinterp.patching.own_measures import load_measure
from cosinterp.patching.pairs import Pair
from cosinterp.patching.removing import Kind, Per, Removal, Removing
from cosinterp.patching.running import Progress, Study, run_study
from cosinterp.patching.single_runs import listed, opened_store, runs_alone, settings_of
from cosinterp.patching.sweep import Donors, SweepOptions
from cosinterp.patching.trial import Trial
from stores.chosen_runs import SampleNames
from stores.filters import Seeds
from stores.selection import Selection, select

if TYPE_CHECKING:
    import xarray

    from cosinterp.models.model import Model
    from cosinterp.samples import Sample
    from stores import Store


def ablate(
    model: Model,
    store: Store | str | Path,
    *,
    kind: Kind,
    samples: SampleNames = None,
    seeds: Seeds = None,
    over: Store | str | Path | None = None,
    over_samples: SampleNames = None,
    per: Per = "token",
    draw: int = 0,
    steps: Selection = "all",
    layers: Selection = "all",
    sites: Sequence[str] | str = ("resid",),
    tokens: Sequence[str] | str = ("all",),
    branches: Sequence[str] | str = ("all",),
    window: int | str = 1,
    layer_window: int = 1,
    controls: Share = "some",
    horizon: int | None = None,
    measures: Sequence[str] | None = None,
    videos: bool = True,
    batch: int = 1,
    donors: Donors = "auto",
    dataset: Sequence[Sample] = (),
    name: str = "ablation",
    resume: bool = False,
    command: str | None = None,
    progress: Progress | None = None,
) -> xarray.Dataset:
    """Ablate runs of a store, cell by cell of a grid, and measure what follows.

    Args:
        model: the one that made the store.
        store: of the runs; the result is saved in it.
        kind: what is put there instead. "zero": zeros. "mean": the mean over the runs of ``over``.
            "resample": what the run of another sample of ``over`` has there, of the same seed; effects are
            then shares of the way to that run. "skip": what entered the block, which so does nothing, in all
            streams; for site resid and all tokens alone.
        samples: a sample, a pattern with one ``*``, or several of these; None: all.
        seeds: None: all.
        over: the store that means are taken over and resampled runs drawn from; default: the same.
        over_samples: which samples of it.
        per: means of each "token" by itself, or of each "channel" over all tokens.
        draw: the seed by which runs are drawn; the same run always draws the same.
        steps, layers, sites, tokens, branches, window, layer_window: see `Grid`.
        controls: of one run in eight ("some"), of "all", or "none": `identity`: the run's own activations;
            `random`: as far away as the ablation goes, a token at a time, in a random direction; `elsewhere`:
            as many other tokens, where not all are ablated.
        horizon, donors: see `SweepOptions`.
        measures: the user's own, each ``module:function``.
        videos: whether videos are decoded and measured.
        batch: ablations that go through the model side by side.
        dataset: samples of the runs, where a store does not have all of them.
        name: of the result.
        resume: go on with a sweep that stopped.
        command: what repeats it, for the result.
        progress: told how it goes.

    Returns:
        A Dataset along ``patch`` as of `patch`, of the direction "necessity", saved as ``results/NAME.nc``.

    Raises:
        UserError: anything asked for that cannot be; nothing is made then.
    """
    own = opened_store(store)
    study = ablation_study(
        model,
        own,
        runs_alone(own, samples, seeds),
        Grid(
            steps, layers, sites, listed(tokens), listed(branches), window=window, layer_window=layer_window
        ),
        kind=kind,
        over=own if over is None else opened_store(over),
        over_samples=over_samples,
        per=per,
        draw=draw,
        controls=controls,
    )
    options = SweepOptions(
        horizon=horizon,
        rows=batch,
        videos=videos,
        measures=[load_measure(text) for text in measures or ()],
        samples=dataset,
        donors=donors,
    )
    return run_study(
        model,
        study,
        options,
        store=own.path,
        name=name,
        resume=resume,
        command=command,
        progress=progress,
    )


def ablation_study(
    model: Model,
    store: Store,
    runs: Sequence[Pair],
    grid: Grid,
    *,
    kind: Kind,
    over: Store,
    over_samples: SampleNames = None,
    per: Per = "token",
    draw: int = 0,
    controls: Share = "some",
) -> Study:
    """The ablations of a grid, run by run, and their controls; arguments as of `ablate`.

    ``runs``: each as its own donor; see `runs_alone`.

    Raises:
        UserError: runs, cells or means that there are not.
    """
    if kind not in get_args(Kind):
        raise InterventionError(f"ablation {kind!r}: use {', '.join(get_args(Kind))}")
    if per not in get_args(Per):
        raise InterventionError(f"a mean per {per!r}: use {' or '.join(get_args(Per))}")
    if kind == "skip":
        grid = _of_blocks(model, grid)
    removing = Removing(kind, over, over_samples, per, draw)
    pairs = [removing.pair(run, store) for run in runs]
    asked_cells = [grid.cells(model.anatomy, settings_of(store, pair.recipient)) for pair in pairs]
    if kind == "mean":
        needs = [
            (settings_of(store, pair.recipient), cells)
            for pair, cells in zip(pairs, asked_cells, strict=True)
        ]
        removing.check_means(model, needs)
    chosen = set(controlled(pairs, controls))
    trials: list[Trial] = []
    for pair, cells in zip(pairs, asked_cells, strict=True):
        what = removing.what(pair)
        for cell in cells:
            trials.append(trial_of(pair, cell, NECESSITY, NONE, what))
            if pair in chosen:
                trials += _controls_of(pair, cell, what)
    asked = {
        "ablation": kind,
        "runs": [pair.recipient.model_dump() for pair in pairs],
        **removing.asked(pairs),
        "grid": asdict(grid),
        "controls": controls,
    }
    return Study("ablation", asked, trials)


def _of_blocks(model: Model, grid: Grid) -> Grid:
    """The grid as it is for blocks, which are skipped as a whole."""
    if listed(grid.sites) != ("resid",) or listed(grid.tokens) != (ALL,):
        raise InterventionError("skip: a block is skipped as a whole; use site resid and tokens all")
    if grid.layers == ALL:
        grid = replace(grid, layers=tuple(model.anatomy.layers[1:]))
    if 0 in select(grid.layers, model.anatomy.layers, "layers", "this model"):
        raise InterventionError(
            f"skip: layer 0 is what enters the first block; choose of layers 1-{model.num_layers}"
        )
    return grid


def _controls_of(pair: Pair, cell: Cell, what: Removal) -> Iterator[Trial]:
    yield trial_of(pair, cell, NECESSITY, IDENTITY, Replace(donor=pair.recipient))
    yield trial_of(pair, cell, NECESSITY, RANDOM, RandomLike(like=what, seed=CONTROL_SEED))
    if cell.tokens != ALL:
        yield trial_of(pair, cell, NECESSITY, ELSEWHERE, what, CONTROL_SEED)
