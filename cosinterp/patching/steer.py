"""Steering: add a vector to what runs compute, at several scales, and measure what follows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from cosinterp.errors import InterventionError
from cosinterp.interventions.edits import Place
from cosinterp.interventions.intervention import Add
from cosinterp.interventions.vectors import SteeringVectors, digest_of, read_vectors, steering_vectors
from cosinterp.patching.controls import (
    CONTROL_SEED,
    ELSEWHERE,
    IDENTITY,
    NONE,
    RANDOM,
    SUFFICIENCY,
    Share,
    controlled,
    trial_of,
)
from cosinterp.patching.grid import ALL, Cell, Grid
from cosinterp.patching.own_measures import load_measure
from cosinterp.patching.pairs import Pair, check_pair, find_pairs
from cosinterp.patching.running import Progress, Study, run_study
from cosinterp.patching.single_runs import listed, opened_store, run_of, runs_alone, settings_of
from cosinterp.patching.sweep import SweepOptions
from cosinterp.patching.trial import Trial
from stores.chosen_runs import SampleNames
from stores.selection import Selection

if TYPE_CHECKING:
    import xarray

    from cosinterp.models.model import Model
    from cosinterp.samples import Sample
    from stores import Store

__all__ = ["steer", "steering_study", "steering_vectors"]


def steer(
    model: Model,
    store: Store | str | Path,
    *,
    vectors: str | Path,
    samples: SampleNames = None,
    seeds: Selection | None = None,
    toward: str | None = None,
    scales: Sequence[float] | float = (-1.0, 1.0),
    steps: Selection | None = None,
    layers: Selection | None = None,
    tokens: Sequence[str] | str = ("all",),
    branches: Sequence[str] | str = ("all",),
    window: int | str = 1,
    layer_window: int = 1,
    controls: Share = "some",
    horizon: int | None = None,
    measures: Sequence[str] | None = None,
    videos: bool = True,
    batch: int = 1,
    dataset: Sequence[Sample] = (),
    name: str = "steering",
    resume: bool = False,
    command: str | None = None,
    progress: Progress | None = None,
) -> xarray.Dataset:
    """Add steering vectors to runs of a store, cell by cell of a grid and scale by scale.

    Args:
        model: the one that made the store.
        store: of the runs; the result is saved in it.
        vectors: a file of `SteeringVectors.save`; its site is the one that is changed.
        samples: a sample, a pattern with one ``*``, or several of these; None: all.
        seeds: None: all.
        toward: what effects are shares of the way to: a sample of the same store, or a pattern beside that of
            ``samples``, as donors in `find_pairs`; None: nothing, and such effects are not known.
        scales: the vector is added so many times: 1 moves the mean of the negative group to that of the
            positive one.
        steps: None: those of the vectors, or all if the vectors are of one step, which then serves all.
        layers: None: those of the vectors.
        tokens, branches, window, layer_window: see `Grid`.
        controls: of one run in eight ("some"), of "all", or "none": `identity`: scale 0; `random`: at each
            scale a random vector of the same norm; `elsewhere`: at as many other tokens, where not all are
            steered.
        horizon: see `SweepOptions`.
        measures: the user's own, each ``module:function``.
        videos: whether videos are decoded and measured.
        batch: steered runs that go through the model side by side.
        dataset: samples of the runs, where a store does not have all of them.
        name: of the result.
        resume: go on with a sweep that stopped.
        command: what repeats it, for the result.
        progress: told how it goes.

    Returns:
        A Dataset along ``patch`` as of `patch`, of the direction "sufficiency" and with the label ``scale``,
        saved as ``results/NAME.nc``.

    Raises:
        UserError: anything asked for that cannot be; nothing is made then.
    """
    own = opened_store(store)
    found = read_vectors(vectors)
    grid = grid_of(found, steps, layers, tokens, branches, window=window, layer_window=layer_window)
    study = steering_study(
        model,
        own,
        steered_runs(own, samples, seeds, toward),
        grid,
        vectors=vectors,
        scales=scales,
        controls=controls,
    )
    options = SweepOptions(
        horizon=horizon,
        rows=batch,
        videos=videos,
        measures=[load_measure(text) for text in measures or ()],
        samples=dataset,
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


def steering_study(
    model: Model,
    store: Store,
    pairs: Sequence[Pair],
    grid: Grid,
    *,
    vectors: str | Path,
    scales: Sequence[float] | float = (-1.0, 1.0),
    controls: Share = "some",
) -> Study:
    """The steered runs of a grid, run by run, and their controls; arguments as of `steer`.

    ``pairs``: recipients, and what effects are shares of the way to; see `runs_alone`.

    Raises:
        UserError: runs, cells or vectors that there are not, or that do not fit.
    """
    found = read_vectors(vectors)
    if model.anatomy.is_stream(found.site):
        channels, given = model.anatomy.stream(found.site).channels, found.vectors.shape[-1]
        if given != channels:
            raise InterventionError(
                f"{vectors}: vectors of {given} channels, and {found.site} of this model has {channels}"
            )
    numbers = _checked(scales)
    chosen = set(controlled(pairs, controls))
    trials: list[Trial] = []
    for pair in pairs:
        if pair.donor != pair.recipient:
            check_pair(run_of(store, pair.donor), run_of(store, pair.recipient))
        for cell in grid.cells(model.anatomy, settings_of(store, pair.recipient)):
            _check_vectors(found, cell)
            trials += _steered(pair, cell, str(vectors), numbers, pair in chosen)
    asked = {
        "vectors": str(vectors),
        "vectors_digest": digest_of(vectors),
        "vectors_about": found.about,
        "runs": [pair.recipient.model_dump() for pair in pairs],
        "toward": [pair.donor.model_dump() for pair in pairs],
        "scales": list(numbers),
        "grid": asdict(grid),
        "controls": controls,
    }
    return Study("steering", asked, trials)


def steered_runs(
    store: Store, samples: SampleNames, seeds: Selection | None, toward: str | None
) -> list[Pair]:
    """The runs that are steered, each with what its effects are shares of the way to; as of `steer`.

    Raises:
        SelectionError: there are no such runs.
        InterventionError: there is no telling which of several patterns ``toward`` stands beside.
    """
    if toward is None:
        return runs_alone(store, samples, seeds)
    if not isinstance(samples, str):
        raise InterventionError(
            f'toward "{toward}": give samples as one name, or as one pattern such as maze-7x7-blue-*'
        )
    return find_pairs(store, store, recipient=samples, donor=toward, seeds=seeds)


def grid_of(
    vectors: SteeringVectors,
    steps: Selection | None,
    layers: Selection | None,
    tokens: Sequence[str] | str,
    branches: Sequence[str] | str,
    *,
    window: int | str,
    layer_window: int,
) -> Grid:
    """The grid of steering vectors: as of `steer`, their own steps and layers where none are given."""
    own_steps = vectors.steps if len(vectors.steps) > 1 else ALL
    return Grid(
        own_steps if steps is None else steps,
        vectors.layers if layers is None else layers,
        (vectors.site,),
        listed(tokens),
        listed(branches),
        window=window,
        layer_window=layer_window,
    )


def _steered(
    pair: Pair, cell: Cell, file: str, scales: Sequence[float], with_controls: bool
) -> Iterator[Trial]:
    for scale in scales:
        what = Add(file=file, scale=scale)
        yield trial_of(pair, cell, SUFFICIENCY, NONE, what, scale=scale)
        if with_controls:
            aside = Add(file=file, scale=scale, random=CONTROL_SEED)
            yield trial_of(pair, cell, SUFFICIENCY, RANDOM, aside, scale=scale)
            if cell.tokens != ALL:
                yield trial_of(pair, cell, SUFFICIENCY, ELSEWHERE, what, CONTROL_SEED, scale=scale)
    if with_controls:
        yield trial_of(pair, cell, SUFFICIENCY, IDENTITY, Add(file=file, scale=0.0), scale=0.0)


def _check_vectors(vectors: SteeringVectors, cell: Cell) -> None:
    for step in cell.steps:
        for layer in cell.layers:
            vectors.at(Place(cell.site, step, layer, cell.branch))


def _checked(scales: Sequence[float] | float) -> tuple[float, ...]:
    given = (scales,) if isinstance(scales, int | float) else scales
    numbers = tuple(dict.fromkeys(float(scale) for scale in given))
    if not numbers or not all(map(math.isfinite, numbers)):
        raise InterventionError("scales: give one number or several, such as -1 and 1")
    return numbers
