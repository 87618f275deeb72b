"""Attributions of many pairs of runs and steps, as rows with the labels of patches.

A row is a patch that was not made: the donor's activation put into the recipient's run at one step. So a
result of rows can be screened for the patches to make, and compared with those that were made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from cosinterp.attribution.cells import ALL, Cell, Masks
from cosinterp.attribution.layers import Attributed, choose
from cosinterp.attribution.metrics import Metric
from cosinterp.attribution.passes import Passes, Side
from cosinterp.attribution.step import POINTS, attribute
from cosinterp.errors import InterventionError, SelectionError
from cosinterp.interventions.intervention import Intervention, Replace, RunRef
from cosinterp.models.model import Model
from cosinterp.patching.token_groups import TokenGroup
from cosinterp.replay.stored import StoredTrajectory, check_replayable, sample_of
from cosinterp.samples import Sample
from stores import Run, Store
from stores.selection import Selection, select
from stores.store import open_store

Row = dict[str, Any]
PATCH = "patch"
EFFECTS = ("attribution", "attribution_ig")
_SUFFICIENCY = "sufficiency"
_NO_CONTROL = "none"


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
    pairs: Mapping[str, tuple[RunRef, RunRef]],
    *,
    steps: Selection = 0,
    sites: str | Sequence[str] = ("resid",),
    layers: Selection = "all",
    branches: str | Sequence[str] = "all",
    tokens: Sequence[str] = (ALL,),
    metric: Metric | None = None,
    points: int = POINTS,
    samples: Sequence[Sample] = (),
) -> Iterator[Row]:
    """Attribute steps of pairs, one after another; a row for each (step, site, layer, branch, tokens).

    Where there are several branches, there is also a row of "all" of them, which to first order is the sum
    of their rows.

    Args:
        model: the model, or `Passes` of it.
        pairs: (donor, recipient), by name.
        steps: which steps; each is attributed by itself.
        sites, layers, branches: as in `attribute`.
        tokens: groups of tokens, see `cosinterp.patching.token_groups`.
        metric, points: as in `attribute`.
        samples: of the runs, where a store does not have all of them.

    Yields:
        Rows as those of patches: labels, ``interventions`` (JSON: what the patch would be), ``error``, and
        the effects ``attribution`` and, with points, ``attribution_ig``. What cannot be attributed for one
        pair and step alone (a metric that fails, texts of other lengths) is told in its rows as ``error``,
        with effects of NaN.

    Raises:
        UserError: a store, a run, a site, a layer or a step that is not there; a run that cannot be replayed.
    """
    passes = model if isinstance(model, Passes) else Passes(model)
    for name, (donor, recipient) in pairs.items():
        with ExitStack() as stack:
            to, source = (_open(stack, passes.model, ref, samples) for ref in (recipient, donor))
            chosen = choose(passes.model.anatomy, to.settings, sites, layers, branches)
            masks = _masks(passes.model, tokens, to, source)
            for step in select(steps, range(to.settings["num_steps"]), "steps", "this run"):
                found, error = None, ""
                try:
                    found = attribute(
                        passes,
                        to,
                        source,
                        step,
                        sites=sites,
                        layers=layers,
                        branches=branches,
                        tokens=masks,
                        metric=metric,
                        points=points,
                    )
                except InterventionError as failure:
                    error = str(failure)
                for cell, group in product(_cells(chosen), tokens):
                    labels = {"pair": name, **_labels(donor, recipient, step, *cell, group), "error": error}
                    yield labels | {
                        effect: _value(found, effect, *cell, group) for effect in EFFECTS[: 1 + bool(points)]
                    }


def attributions(rows: Iterable[Row]) -> xr.Dataset:
    """Rows of `attribution_rows` as a result with the dimension ``patch``.

    Raises:
        SelectionError: there is none.
    """
    made = list(rows)
    if not made:
        raise SelectionError("nothing was attributed")
    return xr.Dataset({name: (PATCH, np.array([row[name] for row in made])) for name in made[0]})


def _open(stack: ExitStack, model: Model, ref: RunRef, samples: Iterable[Sample]) -> Side:
    store = open_store(ref.store)
    run = stack.enter_context(store.run(ref.sample, ref.seed, ref.variant))
    return side_of(model, store, run, samples)


def _masks(model: Model, tokens: Sequence[str], recipient: Side, donor: Side) -> Masks:
    grid = model.anatomy.geometry.grid(model.size(recipient.settings))
    truths = recipient.sample.truth, donor.sample.truth
    return {text: TokenGroup.parse(text).mask(grid, *truths) for text in tokens}


def _cells(chosen: Attributed) -> Iterator[Cell]:
    yield from chosen.cells()
    if len(chosen.branches) > 1:
        for site, layers in chosen.layers.items():
            yield from ((site, layer, ALL) for layer in layers)


def _labels(
    donor: RunRef, recipient: RunRef, step: int, site: str, layer: int, branch: str, group: str
) -> Row:
    """The labels of the patch that a row stands for; see `cosinterp.patching.sweep`."""
    patch = Intervention(
        site=site,
        layers=(layer,),
        steps=(step,),
        branches=None if branch == ALL else (branch,),
        tokens=group,
        what=Replace(donor=donor),
    )
    return {
        "direction": _SUFFICIENCY,
        "control": _NO_CONTROL,
        "site": site,
        "layer": layer,
        "steps": str(step),
        "tokens": group,
        "branch": branch,
        "recipient_sample": recipient.sample,
        "recipient_seed": recipient.seed,
        "donor_sample": donor.sample,
        "donor_seed": donor.seed,
        "first_step": step,
        "last_step": step,
        "horizon": 0,
        "read_step": step,
        "interventions": f"[{patch.to_json()}]",
    }


def _value(found: xr.Dataset | None, effect: str, site: str, layer: int, branch: str, group: str) -> float:
    if found is None:
        return float("nan")
    values = found[effect].sel(site=site, layer=layer, tokens=group)
    return float(values.sum() if branch == ALL else values.sel(branch=branch))
