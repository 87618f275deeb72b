"""Attributions of the cells of a grid, pair by pair: patches that were not made, screened.

Each is told as the patch that it stands for and a row with the labels that the patch would have, so that the
strongest can be made, and attributions be compared with effects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from typing import Any

import numpy as np
import xarray as xr

from cosinterp.attribution.cells import Masks
from cosinterp.attribution.metrics import Metric
from cosinterp.attribution.passes import Passes, Side
from cosinterp.attribution.step import POINTS, attribute
from cosinterp.errors import InterventionError, SelectionError
from cosinterp.interventions.intervention import RunRef
from cosinterp.interventions.token_groups import TokenGroup
from cosinterp.models.model import Model
from cosinterp.patching.controls import SUFFICIENCY, patches_of
from cosinterp.patching.grid import ALL, Cell, Grid
from cosinterp.patching.pairs import Pair, check_pair
from cosinterp.patching.trial import Trial
from cosinterp.replaying.stored import StoredTrajectory, check_replayable, sample_of
from cosinterp.samples import Sample
from probes.patches import PATCH
from stores import Run, Store
from stores.store import open_store

Row = dict[str, Any]
ATTRIBUTION, ATTRIBUTION_IG, IG_SHARE = "attribution", "attribution_ig", "ig_share"
EFFECTS = (ATTRIBUTION, ATTRIBUTION_IG, IG_SHARE)
_HORIZON = 0


def side_of(model: Model, store: Store, run: Run, samples: Iterable[Sample] = ()) -> Side:
    """A stored run, as one side of a pair; ``run`` has to stay open as long as it is used.

    ``samples``: of the dataset, where the store does not have all of a sample.

    Raises:
        InterventionError: the run cannot be replayed.
    """
    check_replayable(model, store, run)
    known = StoredTrajectory(run) if model.anatomy.steps_pass_latents_only else None
    return Side(sample_of(run, samples), run.seed, dict(run.attrs["sampling"]), known)


def attribution_rows(
    model: Model | Passes,
    pairs: Iterable[Pair],
    grid: Grid,
    *,
    direction: str = SUFFICIENCY,
    metric: Metric | None = None,
    points: int = POINTS,
    samples: Sequence[Sample] = (),
) -> Iterator[tuple[Trial, Row]]:
    """Attribute the cells of a grid, pair after pair and step after step.

    Of a cell of all branches it is the sum over them, which to first order is what patching them together
    does.

    Args:
        model: the model, or `Passes` of it.
        pairs: the donors' activations are put into the recipients' runs; for necessity give
            `Pair.turned`, and that ``direction``.
        grid: of single steps and layers.
        direction: the label of the rows.
        metric, points: as in `attribute`.
        samples: of the runs, where a store does not have all of them.

    Yields:
        The patch that would be made, and its row: the labels of a patch whose clean estimate is read at its
        own step, and the effects ``attribution`` and, with points, ``attribution_ig`` and ``ig_share``: the
        share of the metric's difference, at the two runs' inputs, that the points account for. Far from 1
        there are too few of them. What cannot be attributed at one step of one pair (a metric that fails,
        texts of other lengths) is told in its rows as ``error``, with effects of NaN.

    Raises:
        UserError: runs or cells that are not there, runs that do not fit together or cannot be replayed.
    """
    passes = model if isinstance(model, Passes) else Passes(model)
    if (str(grid.window), grid.layer_window) != ("1", 1):
        raise InterventionError("attribution is of single steps and layers: leave the windows at 1")
    for pair in pairs:
        with ExitStack() as stack:
            runs = [_open(stack, ref) for ref in (pair.recipient, pair.donor)]
            check_pair(runs[1][1], runs[0][1])
            recipient, donor = (side_of(passes.model, store, run, samples) for store, run in runs)
            cells = grid.cells(passes.model.anatomy, recipient.settings)
            for step, own in groupby(sorted(cells, key=_step), key=_step):
                yield from _rows(passes, pair, (recipient, donor), step, list(own), direction, metric, points)


def attributions(rows: Iterable[tuple[Trial, Row]]) -> xr.Dataset:
    """Rows of `attribution_rows` as a result along ``patch``.

    Raises:
        SelectionError: there is none.
    """
    made = [row for _, row in rows]
    if not made:
        raise SelectionError("nothing was attributed")
    return xr.Dataset({name: (PATCH, np.array([row[name] for row in made])) for name in made[0]})


def strongest(rows: Iterable[tuple[Trial, Row]], count: int, by: str = ATTRIBUTION) -> list[Trial]:
    """The ``count`` patches of the largest attributions, whatever their sign, the largest first.

    Those that could not be attributed are not among them.
    """
    known = [(abs(row[by]), trial) for trial, row in rows if np.isfinite(row[by])]
    return [trial for _, trial in sorted(known, key=lambda one: -one[0])[:count]]


def _rows(
    passes: Passes,
    pair: Pair,
    sides: tuple[Side, Side],
    step: int,
    cells: list[Cell],
    direction: str,
    metric: Metric | None,
    points: int,
) -> Iterator[tuple[Trial, Row]]:
    recipient, donor = sides
    found, error = None, ""
    try:
        found = attribute(
            passes,
            recipient,
            donor,
            step,
            sites=list(dict.fromkeys(cell.site for cell in cells)),
            layers=[layer for cell in cells for layer in cell.layers],
            branches=_branches(cells),
            tokens=_masks(passes.model, cells, recipient, donor),
            metric=metric,
            points=points,
        )
    except InterventionError as failure:
        error = str(failure)
    for cell in cells:
        trial = patches_of(pair, cell, direction)
        effects: dict[str, float] = dict.fromkeys(EFFECTS if points else EFFECTS[:1], float("nan"))
        if found is not None:
            effects = _effects(found, cell)
        yield trial, {**_labels(trial), "error": error, **effects}


def _labels(trial: Trial) -> Mapping[str, Any]:
    return {
        **trial.labels,
        "recipient_sample": trial.run.sample,
        "recipient_seed": trial.run.seed,
        "donor_sample": trial.toward.sample,
        "donor_seed": trial.toward.seed,
        "first_step": trial.first_step,
        "last_step": trial.last_step,
        "horizon": _HORIZON,
        "read_step": trial.last_step,
        "interventions": f"[{', '.join(one.to_json() for one in trial.interventions)}]",
    }


def _effects(found: xr.Dataset, cell: Cell) -> dict[str, float]:
    own = found.sel(site=cell.site, layer=cell.layers[0], tokens=cell.tokens)
    own = own.sum("branch", skipna=False) if cell.branch == ALL else own.sel(branch=cell.branch)
    effects = {name: float(own[name]) for name in (ATTRIBUTION, ATTRIBUTION_IG) if name in own}
    if ATTRIBUTION_IG in effects:
        whole = found.attrs["metric_inputs"] - found.attrs["metric_recipient"]
        explained = float(found["input_attribution_ig"].sum())
        effects[IG_SHARE] = explained / whole if whole else float("nan")
    return effects


def _branches(cells: Iterable[Cell]) -> str | list[str]:
    names = list(dict.fromkeys(cell.branch for cell in cells))
    return ALL if ALL in names else names


def _masks(model: Model, cells: Iterable[Cell], recipient: Side, donor: Side) -> Masks:
    grid = model.anatomy.geometry.grid(model.size(recipient.settings))
    truths = recipient.sample.truth, donor.sample.truth
    texts = dict.fromkeys(cell.tokens for cell in cells)
    return {text: TokenGroup.parse(text).mask(grid, *truths) for text in texts}


def _open(stack: ExitStack, ref: RunRef) -> tuple[Store, Run]:
    store = open_store(ref.store)
    return store, stack.enter_context(store.run(ref.sample, ref.seed, ref.variant))


def _step(cell: Cell) -> int:
    return cell.steps[0]
