"""Activation patching: put one run's activations into another, over a grid, both ways, with controls.

Sources: Vig et al. 2020 (arXiv 2004.12265) and Meng et al. 2022 (arXiv 2202.05262) for patching; Heimersheim
and Nanda 2024 (arXiv 2404.15255) for what an effect of it means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cosinterp.errors import InterventionError
from cosinterp.patching.controls import (
    IDENTITY,
    NECESSITY,
    SUFFICIENCY,
    WRONG_SEED,
    Share,
    controlled,
    controls_of,
    patches_of,
)
from cosinterp.patching.grid import Grid
from cosinterp.patching.own_measures import load_measure
from cosinterp.patching.pairs import Pair, check_pair, find_pairs
from cosinterp.patching.running import Progress, Study, run_study
from cosinterp.patching.single_runs import listed, opened_store, run_of, settings_of
from cosinterp.patching.sweep import Donors, SweepOptions
from cosinterp.patching.trial import Trial
from stores.selection import Selection
from stores.units import count_text

if TYPE_CHECKING:
    import xarray

    from cosinterp.models.model import Model
    from cosinterp.samples import Sample
    from stores import Store

Directions = Literal["both", "sufficiency", "necessity"]


def patch(
    model: Model,
    store: Store | str | Path,
    *,
    donor: str,
    recipient: str,
    donor_store: Store | str | Path | None = None,
    seeds: Selection | None = None,
    donor_seeds: Selection | None = None,
    steps: Selection = "all",
    layers: Selection = "all",
    sites: Sequence[str] | str = ("resid",),
    tokens: Sequence[str] | str = ("all",),
    branches: Sequence[str] | str = ("all",),
    window: int | str = 1,
    layer_window: int = 1,
    directions: Directions = "both",
    controls: Share = "some",
    horizon: int | None = None,
    measures: Sequence[str] | None = None,
    videos: bool = True,
    batch: int = 1,
    donors: Donors = "auto",
    samples: Sequence[Sample] = (),
    name: str = "patch",
    resume: bool = False,
    command: str | None = None,
    progress: Progress | None = None,
) -> xarray.Dataset:
    """Patch a donor's activations into a recipient, cell by cell of a grid, and measure what follows.

    Args:
        model: the one that made the store.
        store: of the recipients; the result is saved in it.
        donor, recipient: a sample each, or a pattern each with one ``*``; see `find_pairs`.
        donor_store: of the donors; default: the same.
        seeds, donor_seeds: see `find_pairs`.
        steps, layers, sites, tokens, branches, window, layer_window: see `Grid`. Tokens are groups in the
            language of `cosinterp.interventions.token_groups`.
        directions: "sufficiency": the donor's activations in the recipient's run; "necessity": the
            recipient's in the donor's run; or both.
        controls: of one pair in eight ("some"), of "all", or "none"; see `controls_of`.
        horizon: see `SweepOptions`; None: each replay goes on to its end.
        measures: the user's own, each ``module:function``.
        videos: whether videos are decoded and measured.
        batch: patches that go through the model side by side.
        donors: see `SweepOptions`.
        samples: of the runs, where a store does not have all of them.
        name: of the result.
        resume: go on with a sweep that stopped.
        command: what repeats it, for the result.
        progress: told how it goes.

    Returns:
        A Dataset along ``patch``, saved as ``results/NAME.nc``; `probes.effects` makes means with intervals
        of it.

    Raises:
        UserError: anything asked for that cannot be; nothing is made then.
    """
    recipients = opened_store(store)
    givers = recipients if donor_store is None else opened_store(donor_store)
    grid = Grid(
        steps, layers, sites, listed(tokens), listed(branches), window=window, layer_window=layer_window
    )
    pairs = find_pairs(
        recipients, givers, recipient=recipient, donor=donor, seeds=seeds, donor_seeds=donor_seeds
    )
    study = patch_study(model, recipients, givers, pairs, grid, directions=directions, controls=controls)
    options = SweepOptions(
        horizon=horizon,
        rows=batch,
        videos=videos,
        measures=[load_measure(text) for text in measures or ()],
        samples=samples,
        donors=donors,
    )
    return run_study(
        model,
        study,
        options,
        store=recipients.path,
        name=name,
        resume=resume,
        command=command,
        progress=progress,
    )


def patch_study(
    model: Model,
    recipients: Store,
    givers: Store,
    pairs: Sequence[Pair],
    grid: Grid,
    *,
    directions: Directions = "both",
    controls: Share = "some",
) -> Study:
    """The patches of a grid, pair by pair, and their controls.

    Raises:
        UserError: a pair whose runs do not fit together, or a cell that there is not.
    """
    if directions not in ("both", SUFFICIENCY, NECESSITY):
        raise InterventionError(f"directions {directions!r}: use both, {SUFFICIENCY} or {NECESSITY}")
    stores = {str(recipients.path): recipients, str(givers.path): givers}
    trials: list[Trial] = []
    chosen = set(controlled(pairs, controls))
    for pair in pairs:
        settings = _check(stores, pair)
        cells = grid.cells(model.anatomy, settings)
        for direction, one in _directed(pair, directions):
            for cell in cells:
                trials.append(patches_of(one, cell, direction))
                if pair in chosen:
                    trials += controls_of(one, cell, direction, stores[one.donor.store])
    asked = {
        "pairs": [
            {"donor": pair.donor.model_dump(), "recipient": pair.recipient.model_dump()} for pair in pairs
        ],
        "grid": asdict(grid),
        "directions": directions,
        "controls": controls,
    }
    return Study("patch", asked, trials, _notes(trials))


def _directed(pair: Pair, directions: Directions) -> list[tuple[str, Pair]]:
    both = [(SUFFICIENCY, pair), (NECESSITY, pair.turned())]
    return [one for one in both if directions in ("both", one[0])]


def _notes(trials: Sequence[Trial]) -> list[str]:
    """Of which runs the control of the wrong seed could not be made, though they have others."""
    by_control = {
        control: {(trial.run, trial.toward) for trial in trials if trial.labels["control"] == control}
        for control in (IDENTITY, WRONG_SEED)
    }
    lacking = len(by_control[IDENTITY] - by_control[WRONG_SEED])
    of = f"{lacking} of {count_text(len(by_control[IDENTITY]), 'controlled run')}"
    note = f"no {WRONG_SEED} control of {of}: the donor's store has no other seed of its sample"
    return [note] if lacking else []


def _check(stores: dict[str, Store], pair: Pair) -> dict[str, Any]:
    """Check that a pair fits together; the recipient's sampling settings."""
    donor, recipient = pair.donor, pair.recipient
    check_pair(run_of(stores[donor.store], donor), run_of(stores[recipient.store], recipient))
    return settings_of(stores[recipient.store], recipient)
