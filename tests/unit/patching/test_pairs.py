"""Which runs are paired, and which pairs do not fit."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from cosinterp.errors import InterventionError, SelectionError
from cosinterp.patching.pairs import Pair, check_pair, find_pairs, other_seeds
from stores import Store
from tests.unit.stores import making

RUNS = [
    *(
        (f"maze-{maze}-{color}", seed)
        for maze in (1, 2, 10)
        for color in ("red", "blue")
        for seed in (0, 1, 5)
    ),
    ("maze-3-blue", 0),
    ("alone", 0),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = making.make_store(tmp_path_factory.mktemp("pairs") / "store", RUNS)
    making.write_run(made, "maze-1-blue", 7, "noised")
    making.write_run(made, "maze-1-red", 7, "noised")
    return made


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return making.make_store(
        tmp_path_factory.mktemp("pairs") / "other", [("maze-1-red", 0), ("maze-1-blue", 0)]
    )


def names(pairs: list[Pair]) -> list[tuple[str, int, str, int]]:
    return [(one.donor.sample, one.donor.seed, one.recipient.sample, one.recipient.seed) for one in pairs]


def test_two_samples_are_paired_seed_by_seed(store: Store) -> None:
    pairs = find_pairs(store, store, recipient="maze-1-blue", donor="maze-1-red")
    assert names(pairs) == [("maze-1-red", seed, "maze-1-blue", seed) for seed in (0, 1, 5)]
    assert {one.name for one in pairs} == {"maze-1-red > maze-1-blue"}
    assert {one.donor.store for one in pairs} == {str(store.path)}


def test_a_star_stands_for_the_same_in_both_names(store: Store) -> None:
    """A run that has no donor is left out."""
    pairs = find_pairs(store, store, recipient="maze-*-blue", donor="maze-*-red", seeds="0,5")
    expected = [
        (f"maze-{maze}-red", seed, f"maze-{maze}-blue", seed) for maze in (1, 2, 10) for seed in (0, 5)
    ]
    assert sorted(names(pairs)) == sorted(expected)


@pytest.mark.parametrize("seeds", ["1", 1, [1], (1,)])
def test_seeds_are_those_of_recipients(store: Store, seeds: Any) -> None:
    pairs = find_pairs(store, store, recipient="maze-1-blue", donor="maze-1-red", seeds=seeds)
    assert names(pairs) == [("maze-1-red", 1, "maze-1-blue", 1)]


@pytest.mark.parametrize(
    ("given", "expected"), [("5", [5, 5, 5]), ([0, 0, 1], [0, 0, 1]), (0, [0, 0, 0])], ids=str
)
def test_donors_may_have_other_seeds(store: Store, given: Any, expected: list[int]) -> None:
    pairs = find_pairs(store, store, recipient="maze-1-blue", donor="maze-1-red", donor_seeds=given)
    assert [one.donor.seed for one in pairs] == expected
    assert [one.recipient.seed for one in pairs] == [0, 1, 5]


@pytest.mark.parametrize(
    ("seeds", "donor_seeds", "expected"),
    [
        ([5, 0], [1, 0], {5: 1, 0: 0}),
        ("0,5", "5,0", {0: 5, 5: 0}),
        ("0-1,5", "5,0-1", {0: 5, 1: 0, 5: 1}),
        # A seed that there is no run of takes its donor's with it.
        ("0,3,5", "1,1,0", {0: 1, 5: 0}),
    ],
)
def test_donors_follow_the_order_of_the_seeds(
    seeds: Any, donor_seeds: Any, expected: dict[int, int], store: Store
) -> None:
    asked: dict[str, Any] = {"recipient": "maze-1-blue", "donor": "maze-1-red"}
    pairs = find_pairs(store, store, **asked, seeds=seeds, donor_seeds=donor_seeds)
    assert {one.recipient.seed: one.donor.seed for one in pairs} == expected


def test_another_seed_of_the_same_sample_is_a_donor(store: Store) -> None:
    (pair,) = find_pairs(store, store, recipient="maze-1-red", donor="maze-1-red", seeds=0, donor_seeds=5)
    assert (pair.name, pair.donor.seed, pair.recipient.seed) == ("maze-1-red", 5, 0)
    with pytest.raises(SelectionError, match="maze-1-red seed 0 is both donor and recipient"):
        find_pairs(store, store, recipient="maze-1-red", donor="maze-1-red")


def test_the_same_run_of_another_store_is_another_run(store: Store, other: Store) -> None:
    (pair,) = find_pairs(store, other, recipient="maze-1-red", donor="maze-1-red")
    assert (pair.donor.store, pair.recipient.store) == (str(other.path), str(store.path))
    turned = pair.turned()
    assert (turned.name, turned.donor, turned.recipient) == (pair.name, pair.recipient, pair.donor)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"recipient": "green", "donor": "alone"}, "has no runs of green; it has .* and 5 more"),
        ({"recipient": "alone", "donor": "green"}, "has no runs of green"),
        ({"recipient": "maze-*-green", "donor": "maze-*-red"}, r"has no runs of maze-\*-green"),
        (
            {"recipient": "maze-*-blue", "donor": "maze-*-green"},
            r"no pair: .* its donor, maze-\*-green with the same",
        ),
        ({"recipient": "maze-3-blue", "donor": "maze-1-red", "donor_seeds": 9}, "no pair: .* with that seed"),
        ({"recipient": "maze-1-blue", "donor": "maze-1-red", "seeds": 7}, "no pair"),
        ({"recipient": "maze-*", "donor": "alone"}, r"two patterns with one \*"),
        ({"recipient": "*-*-blue", "donor": "*-*-red"}, r"two patterns with one \*"),
        ({"recipient": "alone", "donor": "maze-1-red", "seeds": slice(0, 2)}, "a slice has no meaning"),
        (
            {"recipient": "maze-1-blue", "donor": "maze-1-red", "donor_seeds": "0-1"},
            "2 donor seeds for 3 seeds",
        ),
    ],
)
def test_what_pairs_nothing(asked: dict[str, Any], said: str, store: Store) -> None:
    with pytest.raises(SelectionError, match=said):
        find_pairs(store, store, **asked)


def test_an_empty_store_has_no_runs(store: Store, tmp_path: Path) -> None:
    empty = making.make_store(tmp_path / "empty")
    with pytest.raises(SelectionError, match="empty has no runs of alone; it has no runs"):
        find_pairs(empty, store, recipient="alone", donor="alone")


@pytest.mark.parametrize(("seed", "others"), [(0, [1, 5]), (1, [5, 0]), (5, [0, 1])])
def test_other_seeds_follow_its_own(seed: int, others: list[int], store: Store) -> None:
    (pair,) = find_pairs(store, store, recipient="maze-1-blue", donor="maze-1-red", seeds=seed)
    assert other_seeds(store, pair.donor) == others


def run(**more: Any) -> Any:
    kept: dict[str, Any] = {"shape": (4, 3, 8, 12), "timesteps": [9.0, 5.0], "guidance": 3.0, "latents": True}
    kept |= more
    return SimpleNamespace(
        sample="red",
        seed=more.get("seed", 0),
        has_latents=kept["latents"],
        noisy=lambda index: np.zeros(kept["shape"], np.float32),
        num_steps=len(kept["timesteps"]),
        schedule=SimpleNamespace(timestep=np.array(kept["timesteps"])),
        attrs={"sampling": {"guidance_scale": kept["guidance"]}},
    )


def test_runs_that_fit_are_taken() -> None:
    check_pair(cast("Any", run()), cast("Any", run(seed=1)))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"latents": False}, "red seed 1 was stored without its latents"),
        ({"shape": (4, 3, 8, 8)}, r"different grids: latents of 3x8x12 and 3x8x8 \(frame x row x col\)"),
        ({"timesteps": [9.0]}, "have 2 and 1 steps"),
        ({"timesteps": [9.0, 4.0]}, "different timesteps"),
        ({"guidance": 5.0}, "guidance scales 3.0 and 5.0"),
    ],
)
def test_runs_that_do_not_fit_are_told_in_what(more: dict[str, Any], said: str) -> None:
    with pytest.raises(InterventionError, match=said):
        check_pair(cast("Any", run()), cast("Any", run(seed=1, **more)))
