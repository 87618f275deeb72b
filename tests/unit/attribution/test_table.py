"""Pairs of stored runs, attributed as rows with the labels of patches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.stats import spearmanr

import cosinterp as ci
from cosinterp.attribution import (
    Passes,
    Side,
    attribute,
    attribution_rows,
    attributions,
    rank_correlation,
    side_of,
    strongest,
)
from cosinterp.errors import InterventionError, SelectionError
from cosinterp.interventions.intervention import RunRef
from cosinterp.models.model import Model
from cosinterp.patching.grid import Grid
from cosinterp.patching.pairs import Pair
from cosinterp.patching.sweep import Sweep, SweepOptions
from tests.families.row import FamilyRow

Tiny = Callable[[str], tuple[FamilyRow, Model]]
SEED = 3


@pytest.fixture(scope="module")
def stored(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, ci.Store]:
    """Two samples of a model with two experts and a multistep scheduler, which differ in the prompt."""
    row, model = tiny("Wan2.2 T2V A14B")
    sample = row.sample()
    samples = [
        replace(sample, name=name, prompt=prompt, truth={"spot": _spot(row)})
        for name, prompt in (("go", row.prompt), ("stay", "stay where you are"))
    ]
    settings = {**row.settings, **row.guided, "num_steps": row.num_steps}
    path = tmp_path_factory.mktemp("store")
    return model, ci.trace(model, samples, store=path / "s", seeds=str(SEED), layers="0", **settings)


def _spot(row: FamilyRow) -> np.ndarray:
    spot = np.zeros(row.grids["resid"], dtype=np.bool_)
    spot[:, 1, 2] = True
    return spot


def pairs(store: ci.Store) -> list[Pair]:
    go, stay = (RunRef(store=str(store.path), sample=name, seed=SEED) for name in ("go", "stay"))
    return [Pair("stay > go", stay, go), Pair("go > stay", go, stay)]


def test_rows_are_what_each_step_of_each_pair_is_attributed(stored: tuple[Model, ci.Store]) -> None:
    model, store = stored
    grid = Grid("1,3", "1-2", ["resid", "mlp"], ["all", "truth:spot"], ["all", "cond", "uncond"])
    made = list(attribution_rows(model, pairs(store), grid, points=2))
    result = attributions(made)
    assert result.sizes == {"patch": 2 * 2 * 2 * 2 * 2 * 3}
    assert set(result.error.values) == {""}
    with store.run("go", SEED) as go, store.run("stay", SEED) as stay:
        recipient, donor = (side_of(model, store, run) for run in (go, stay))
        spot = recipient.sample.truth["spot"]
        expected = attribute(
            model,
            recipient,
            donor,
            3,
            sites="resid,mlp",
            layers="1-2",
            tokens={"all": np.ones_like(spot), "truth:spot": spot},
            points=2,
        )
    compared = 0
    for _, row in made:
        if row["pair"] != "stay > go" or row["first_step"] != 3:
            continue
        place = {name: row[name] for name in ("site", "layer", "tokens")}
        for effect in ("attribution", "attribution_ig"):
            values = expected[effect].sel(place)
            value = values.sum() if row["branch"] == "all" else values.sel(branch=row["branch"])
            assert row[effect] == pytest.approx(float(value), rel=1e-6)
            assert row[effect] != 0
            compared += 1
        whole = expected.attrs["metric_inputs"] - expected.attrs["metric_recipient"]
        assert row["ig_share"] == pytest.approx(float(expected.input_attribution_ig.sum()) / whole)
        assert row["ig_share"] == pytest.approx(1, abs=0.2)
    assert compared == 2 * 2 * 2 * 3 * 2


def test_a_row_has_the_labels_of_the_patch_that_it_stands_for(stored: tuple[Model, ci.Store]) -> None:
    """Made by the sweep itself, with the clean estimate read at the same step."""
    model, store = stored
    grid = Grid("0,-1", "2", tokens=["frames:0"], branches=["all", "uncond"])
    for direction, both in (
        ("sufficiency", pairs(store)),
        ("necessity", [one.turned() for one in pairs(store)]),
    ):
        made = list(attribution_rows(model, both, grid, direction=direction, points=0))
        options = SweepOptions(horizon=0, videos=False)
        patched = [row for _, row in Sweep(model, [trial for trial, _ in made], options).rows()]
        assert len(patched) == len(made) == 2 * 2 * 2
        own = {row["interventions"] + row["recipient_sample"]: row for _, row in made}
        for row in patched:
            screened = own[row["interventions"] + row["recipient_sample"]]
            assert isinstance(screened.pop("attribution"), float)
            assert screened == {name: row[name] for name in screened}
            assert screened["direction"] == direction


def test_the_strongest_are_patches_to_make(stored: tuple[Model, ci.Store]) -> None:
    model, store = stored
    made = list(attribution_rows(model, pairs(store), Grid("0-3", "all", branches=["cond"]), points=1))
    for by in ("attribution", "attribution_ig"):
        sizes = {str(trial): abs(row[by]) for trial, row in made}
        chosen = [sizes[str(trial)] for trial in strongest(made, 5, by)]
        assert chosen == sorted(sizes.values(), reverse=True)[:5]
        assert chosen[-1] > 0
    unknown = [(trial, {**row, "attribution": float("nan")}) for trial, row in made[:2]]
    assert strongest([*unknown, made[2]], 3) == [made[2][0]]


def test_ranks_are_compared_with_those_of_the_patches(stored: tuple[Model, ci.Store]) -> None:
    model, store = stored
    grid = Grid("0,2", "all", ["resid", "mlp"])
    made = list(attribution_rows(model, pairs(store), grid, points=8))
    rows = [
        row
        for _, row in Sweep(model, [trial for trial, _ in made], SweepOptions(horizon=0, videos=False)).rows()
    ]
    patched = xr.Dataset({name: ("patch", [row[name] for row in rows]) for name in rows[0]})
    found = rank_correlation(attributions(made), patched)
    half = 2 * (2 * model.num_layers + 1)
    assert found.n.values.tolist() == [half] * 2
    assert found.recipient_sample.values.tolist() == ["go", "stay"]
    # Tiny random models are nearly linear.
    assert (found.attribution > 0.9).all()
    assert (found.attribution_ig > 0.9).all()
    by_hand = []
    for own in (made[:half], made[half:]):
        exact = {row["interventions"]: row["x0_along"] for row in rows}
        pairs_of = [(row["attribution"], exact[row["interventions"]]) for _, row in own]
        by_hand.append(spearmanr(*zip(*pairs_of, strict=True)).statistic)
    np.testing.assert_allclose(found.attribution, by_hand)
    controls = patched.assign(control=("patch", ["identity"] * len(rows)))
    with pytest.raises(SelectionError, match="no pair has 3 cells that were both attributed and patched"):
        rank_correlation(attributions(made), controls)
    with pytest.raises(SelectionError, match='"x1": a result that is compared has none of that name'):
        rank_correlation(attributions(made), patched, "x1")


def test_steps_before_need_not_be_computed(stored: tuple[Model, ci.Store]) -> None:
    """What the store says of them stands in for them; the result is the same, with fewer blocks run."""
    model, store = stored
    with store.run("go", SEED) as go, store.run("stay", SEED) as stay:
        known = [side_of(model, store, run) for run in (go, stay)]
        anew = [replace(side, known=None) for side in known]
        found, ran = [], []
        for recipient, donor in (known, anew):
            with _Counted(model) as counted:
                found.append(attribute(model, recipient, donor, 3, points=1))
            ran.append(counted.blocks)
    assert float(np.abs(found[0].attribution).min()) > 0
    for effect in ("attribution", "attribution_ig"):
        np.testing.assert_allclose(found[0][effect], found[1][effect], rtol=1e-4, atol=1e-7)
    # Three passes of a step of two branches, and once an earlier call, for the form of its output.
    blocks = model.num_layers
    assert ran == [3 * 2 * blocks + blocks, 3 * 4 * 2 * blocks]


def test_a_failure_of_one_pair_is_told_in_its_rows(stored: tuple[Model, ci.Store]) -> None:
    model, store = stored
    calls = []

    def fails_at_first(clean: torch.Tensor) -> torch.Tensor:
        calls.append(clean)
        if len(calls) == 1:
            raise ZeroDivisionError("no scale")
        return clean.square().mean()

    grid = Grid("0", "1", branches=["all", "cond", "uncond"])
    made = attribution_rows(model, pairs(store), grid, metric=fails_at_first, points=0)
    rows = [row for _, row in made]
    assert [row["pair"] for row in rows] == ["stay > go"] * 3 + ["go > stay"] * 3
    assert {row["error"] for row in rows[:3]} == {"the metric fails: ZeroDivisionError: no scale"}
    assert {row["error"] for row in rows[3:]} == {""}
    assert np.isnan([row["attribution"] for row in rows[:3]]).all()
    assert np.isfinite([row["attribution"] for row in rows[3:]]).all()


def test_what_is_wrong_with_all_rows_is_an_error(stored: tuple[Model, ci.Store], tiny: Tiny) -> None:
    model, store = stored

    def first(grid: Grid, of: Model = model) -> object:
        return next(attribution_rows(of, pairs(store), grid))

    with pytest.raises(SelectionError, match="4"):
        first(Grid("4"))
    with pytest.raises(SelectionError, match='unknown site "head"'):
        first(Grid(sites="head"))
    with pytest.raises(InterventionError, match="single steps and layers: leave the windows at 1"):
        first(Grid(window=2))
    with pytest.raises(InterventionError, match="go seed 3 of .* cannot be replayed: another model made it"):
        first(Grid(), tiny("Wan2.1 T2V")[1])
    with pytest.raises(SelectionError, match="nothing was attributed"):
        attributions([])


class _Counted:
    """Counts the blocks that run."""

    def __init__(self, model: Model) -> None:
        self.blocks = 0
        self._model = model

    def __enter__(self) -> _Counted:
        self._handles = [
            block.ffn.register_forward_hook(self._ran)
            for part in self._model.anatomy.experts
            for block in getattr(self._model.pipeline, part).blocks
        ]
        return self

    def _ran(self, *_: Any) -> None:
        self.blocks += 1

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()


def test_passes_of_one_model_can_be_used_again(stored: tuple[Model, ci.Store]) -> None:
    model, store = stored
    passes = Passes(model)
    made = [attributions(attribution_rows(passes, pairs(store), Grid("2", "1"), points=0)) for _ in range(2)]
    assert made[0].identical(made[1])


def test_a_side_says_which_run_it_is(stored: tuple[Model, ci.Store]) -> None:
    model, store = stored
    with store.run("go", SEED) as run:
        side: Side = side_of(model, store, run)
    assert str(side) == "go seed 3"
