"""Pairs of stored runs, attributed as rows with the labels of patches."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import cosinterp as ci
from cosinterp.attribution import Passes, Side, attribute, attribution_rows, attributions, side_of
from cosinterp.errors import InterventionError, SelectionError
from cosinterp.interventions.intervention import Intervention, RunRef
from cosinterp.models.model import Model
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


def pairs(store: ci.Store) -> dict[str, tuple[RunRef, RunRef]]:
    go, stay = (RunRef(store=str(store.path), sample=name, seed=SEED) for name in ("go", "stay"))
    return {"stay into go": (stay, go), "go into stay": (go, stay)}


def test_rows_are_what_each_step_of_each_pair_is_attributed(stored: tuple[Model, ci.Store]) -> None:
    model, store = stored
    asked: dict[str, Any] = {"sites": ["resid", "mlp"], "layers": "1-2", "points": 2}
    tokens = ("all", "truth:spot")
    rows = list(attribution_rows(model, pairs(store), steps="1,3", tokens=tokens, **asked))
    result = attributions(rows)
    assert result.sizes == {"patch": 2 * 2 * 2 * 2 * 3 * 2}
    assert set(result.error.values) == {""}
    with store.run("go", SEED) as go, store.run("stay", SEED) as stay:
        recipient, donor = (side_of(model, store, run) for run in (go, stay))
        masks = {
            "all": np.ones_like(recipient.sample.truth["spot"]),
            "truth:spot": recipient.sample.truth["spot"],
        }
        expected = attribute(model, recipient, donor, 3, tokens=masks, **asked)
    compared = 0
    for row in rows:
        if row["pair"] != "stay into go" or row["first_step"] != 3:
            continue
        place = {name: row[name] for name in ("site", "layer", "tokens")}
        for effect in ("attribution", "attribution_ig"):
            values = expected[effect].sel(place)
            value = values.sum() if row["branch"] == "all" else values.sel(branch=row["branch"])
            assert row[effect] == pytest.approx(float(value), rel=1e-6)
            assert row[effect] != 0
            compared += 1
    assert compared == 2 * 2 * 2 * 3 * 2


def test_a_row_says_which_patch_it_stands_for(stored: tuple[Model, ci.Store]) -> None:
    model, store = stored
    rows = attribution_rows(model, pairs(store), steps="-1", layers="2", tokens=["frames:0"], points=0)
    first = next(row for row in rows if row["branch"] == "uncond")
    (patch,) = map(Intervention.of, map(json.dumps, json.loads(first.pop("interventions"))))
    assert patch.what.donor == pairs(store)["stay into go"][0]  # type: ignore[union-attr]
    assert (patch.site, patch.layers, patch.steps) == ("resid", (2,), (3,))
    assert (patch.branches, patch.tokens) == (("uncond",), "frames:0")
    assert isinstance(first.pop("attribution"), float)
    assert first == {
        "pair": "stay into go",
        "direction": "sufficiency",
        "control": "none",
        "site": "resid",
        "layer": 2,
        "steps": "3",
        "tokens": "frames:0",
        "branch": "uncond",
        "recipient_sample": "go",
        "recipient_seed": SEED,
        "donor_sample": "stay",
        "donor_seed": SEED,
        "first_step": 3,
        "last_step": 3,
        "horizon": 0,
        "read_step": 3,
        "error": "",
    }


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

    rows = list(attribution_rows(model, pairs(store), layers="1", metric=fails_at_first, points=0))
    assert [row["pair"] for row in rows] == ["stay into go"] * 3 + ["go into stay"] * 3
    assert {row["error"] for row in rows[:3]} == {"the metric fails: ZeroDivisionError: no scale"}
    assert {row["error"] for row in rows[3:]} == {""}
    assert np.isnan([row["attribution"] for row in rows[:3]]).all()
    assert np.isfinite([row["attribution"] for row in rows[3:]]).all()


def test_without_branches_to_add_up_there_is_no_row_of_all(stored: tuple[Model, ci.Store]) -> None:
    model, store = stored
    rows = attribution_rows(model, pairs(store), layers="1", branches="cond", points=0)
    assert {row["branch"] for row in rows} == {"cond"}


def test_what_is_wrong_with_all_rows_is_an_error(stored: tuple[Model, ci.Store], tiny: Tiny) -> None:
    model, store = stored
    with pytest.raises(SelectionError, match="step"):
        next(attribution_rows(model, pairs(store), steps="4"))
    with pytest.raises(SelectionError, match='unknown site "head"'):
        next(attribution_rows(model, pairs(store), sites="head"))
    with pytest.raises(InterventionError, match="go seed 3 of .* cannot be replayed: another model made it"):
        next(attribution_rows(tiny("Wan2.1 T2V")[1], pairs(store)))
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
    made = [
        attributions(attribution_rows(passes, pairs(store), steps=2, layers="1", points=0)) for _ in range(2)
    ]
    assert made[0].identical(made[1])


def test_a_side_says_which_run_it_is(stored: tuple[Model, ci.Store]) -> None:
    model, store = stored
    with store.run("go", SEED) as run:
        side: Side = side_of(model, store, run)
    assert str(side) == "go seed 3"
