"""Ensembles that are spread over workers are those of one process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import cosinterp as ci
from cosinterp.ensembles.ensemble import make_base_runs, make_ensemble
from cosinterp.ensembles.planned import PlannedEnsemble, plan_ensemble
from cosinterp.errors import UserError
from cosinterp.executors.ensembles import spread_base_runs, spread_ensemble
from cosinterp.executors.failures import TasksFailed
from tests.integration.executing import Counted, Inline, assert_equal
from tests.tiny import sample_for

KIND = "wan2.1-t2v"
NAMES = ("red", "blue", "green")


@pytest.fixture(scope="module")
def prepared(tiny_folder: Callable[[str], Path]) -> Any:
    torch.set_num_threads(1)
    return ci.prepare(tiny_folder(KIND), device="cpu", dtype="fp32")


def planned(prepared: Any, path: Path, **more: Any) -> PlannedEnsemble:
    samples = [replace(sample_for(KIND, prompt=f"go to the {name} goal"), name=name) for name in NAMES]
    asked = {"seeds": "0-2", "merge": "latent", "then": "all", "sampling": {"num_steps": 3}}
    return plan_ensemble(prepared.model, samples, store=path, **{**asked, **more})


def test_ensembles_are_those_of_one_process_also_where_workers_die(prepared: Any, tmp_path: Path) -> None:
    here, there = Counted(), Counted()
    one, many = planned(prepared, tmp_path / "one"), planned(prepared, tmp_path / "many")
    model = prepared.load()
    make_base_runs(model, one, progress=here)
    make_ensemble(model, one, progress=here)
    recipe = prepared.for_workers()
    spread_base_runs(Inline(), recipe, many, progress=there)
    executor = Inline(dies_after={"red": 5, "blue": 11})
    spread_ensemble(executor, recipe, many, progress=there)
    assert executor.opened == 3
    assert_equal(tmp_path / "one", tmp_path / "many")
    assert there.told == here.told


def test_a_sample_that_fails_stops_no_other_and_is_made_later(prepared: Any, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"base": False, "save_video": False}
    wrong = Inline(goes_wrong={"blue": UserError("no scorer")})
    recipe = prepared.for_workers()
    with pytest.raises(TasksFailed, match="1 of 3 ensembles was not made") as raised:
        spread_ensemble(wrong, recipe, planned(prepared, tmp_path / "store", **asked))
    assert str(raised.value).splitlines()[1:] == ["  blue: no scorer"]
    again = planned(prepared, tmp_path / "store", **asked, resume=True)
    assert [one.planned.sample.name for one in again.todo] == ["blue"]
    store = spread_ensemble(Inline(), recipe, again)
    assert {entry.sample for entry in store.runs(variant="ensemble")} == set(NAMES)
