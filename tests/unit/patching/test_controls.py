"""The controls of a patch, written out."""

from __future__ import annotations

from typing import Any

import pytest

from cosinterp.interventions.intervention import RandomLike, Replace
from cosinterp.patching.controls import controlled, controls_of, patches_of
from cosinterp.patching.grid import Cell
from cosinterp.patching.pairs import Pair, find_pairs
from cosinterp.patching.trial import Trial
from stores import Store
from tests.unit.stores import making

CELL = Cell("resid", (1, 2), (0, 1), "all", "cond")
SOME = Cell("resid", (1,), (0,), "frames:0", "all")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    runs = [("red", 0), ("red", 1), ("blue", 0), ("blue", 1), ("green", 0)]
    return making.make_store(tmp_path_factory.mktemp("controls") / "store", runs)


def pair_of(store: Store, donor: str, recipient: str, **seeds: Any) -> Pair:
    return find_pairs(store, store, donor=donor, recipient=recipient, seeds=0, **seeds)[0]


def by_control(trials: list[Trial]) -> dict[str, Trial]:
    found = {trial.labels["control"]: trial for trial in trials}
    assert len(found) == len(trials)
    return found


def test_a_patch_puts_the_donor_into_the_recipient(store: Store) -> None:
    pair = pair_of(store, "red", "blue")
    trial = patches_of(pair, CELL, "sufficiency")
    (one,) = trial.interventions
    assert (trial.run, trial.toward, one.what) == (pair.recipient, pair.donor, Replace(donor=pair.donor))
    assert trial.labels == {
        "pair": "red > blue",
        "direction": "sufficiency",
        **CELL.labels,
        "control": "none",
    }
    assert (one.layers, one.steps, one.branches) == ((1, 2), (0, 1), ("cond",))
    assert (trial.first_step, trial.last_step) == (0, 1)


def test_the_controls_of_all_tokens(store: Store) -> None:
    pair = pair_of(store, "red", "blue")
    found = by_control(list(controls_of(pair, CELL, "necessity", store)))
    whats = {name: trial.interventions[0].what for name, trial in found.items()}
    wrong = pair.donor.model_copy(update={"seed": 1})
    assert whats == {
        "identity": Replace(donor=pair.recipient),
        "random": RandomLike(like=Replace(donor=pair.donor), seed=0),
        "wrong-seed": Replace(donor=wrong),
    }
    for trial in found.values():
        assert (trial.run, trial.toward) == (pair.recipient, pair.donor)
        assert {**trial.labels, "control": ""} == {
            "pair": "red > blue",
            "direction": "necessity",
            **CELL.labels,
            "control": "",
        }


def test_some_tokens_are_compared_with_as_many_others(store: Store) -> None:
    found = by_control(list(controls_of(pair_of(store, "red", "blue"), SOME, "sufficiency", store)))
    assert set(found) == {"identity", "random", "wrong-seed", "elsewhere"}
    elsewhere = {name: trial.interventions[0].elsewhere for name, trial in found.items()}
    assert elsewhere == {"identity": None, "random": None, "wrong-seed": None, "elsewhere": 0}
    assert found["elsewhere"].interventions[0].what == Replace(donor=pair_of(store, "red", "blue").donor)


def test_there_is_no_wrong_seed_where_there_is_no_other(store: Store) -> None:
    found = by_control(list(controls_of(pair_of(store, "green", "blue"), CELL, "sufficiency", store)))
    assert set(found) == {"identity", "random"}


def test_the_recipient_itself_is_no_wrong_seed(store: Store) -> None:
    """Of a pair of two seeds of one sample."""
    pair = pair_of(store, "red", "red", donor_seeds=1)
    assert "wrong-seed" not in by_control(list(controls_of(pair, CELL, "sufficiency", store)))


@pytest.mark.parametrize(("count", "some"), [(1, [0]), (8, [0]), (9, [0, 8]), (64, list(range(0, 64, 8)))])
def test_one_pair_in_eight_is_controlled(count: int, some: list[int], store: Store) -> None:
    one = pair_of(store, "red", "blue")
    pairs = [Pair(str(index), one.donor, one.recipient) for index in range(count)]
    assert [int(pair.name) for pair in controlled(pairs, "some")] == some
    assert controlled(pairs, "all") == pairs
    assert controlled(pairs, "none") == []
