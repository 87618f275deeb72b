"""Comparisons of ensembles on stores whose answers are planted, against what was worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from probes.ensembles import (
    GAIN,
    NO_GAIN,
    NOT_TOLD,
    RULES,
    SeedOutcomes,
    VariantOutcomes,
    compare,
    comparison,
)
from probes.estimated import estimate_at
from probes.groups import ALL, Group
from probes.results.result import Result
from probes.scores import Metric
from stores import SelectionError, StoreError
from tests.unit.probes.ensembles.planted import RIGHT, SOLVED, plant

NO = None
BASE = {
    "a": {0: RIGHT, 1: RIGHT, 2: "x"},
    "b": {0: "x", 1: "x", 2: RIGHT},
    "c": {0: RIGHT, 1: "x", 2: "y"},
    "d": {0: NO, 1: NO, 2: RIGHT},
}
MERGED = {"a": {0: RIGHT}, "b": {0: RIGHT}, "c": {0: "x"}, "d": {0: RIGHT}}
TRUTHS = {
    name: {"path_length": length} for name, length in zip("abcd", (10.0, 10.0, 20.0, 20.0), strict=True)
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("ensembles") / "store"
    return plant(folder, BASE, {"ensemble": (MERGED, (0, 1, 2), 14)}, truths=TRUTHS)


def value(result: Result, name: str, **place: object) -> float:
    return estimate_at(result.dataset, name, **place).value


def by_approach(result: Result, name: str, group: str = ALL) -> dict[str, float]:
    values = result.dataset[name].sel(group=group)
    return dict(zip(result.dataset["approach"].values.tolist(), values.values.tolist(), strict=True))


def test_every_approach_gives_what_its_name_says(store) -> None:
    result = compare(store)
    assert by_approach(result, "value") == pytest.approx(
        {
            "single seed": (2 + 1 + 1 + 1) / 3 / 4,
            "ensemble": 3 / 4,
            # b: two agree on what is wrong; c: three ways alike; d: the only one that answers.
            "best of 3": (1 + 0 + 1 / 3 + 1) / 4,
            # d: most answer nothing, which is wrong.
            "majority of 3": (1 + 0 + 1 / 3 + 0) / 4,
            "any of 3": 1.0,
            "all of 3": 0.0,
        }
    )
    cost = dict(zip(result.dataset["approach"].values.tolist(), result.dataset["cost"].values, strict=True))
    assert cost == {"single seed": 12, "ensemble": 14} | {f"{rule} of 3": 36 for rule in RULES}
    assert value(result, "difference", group=ALL, approach="ensemble") == pytest.approx(3 / 4 - 5 / 12)


def test_a_mean_takes_the_greatest_and_the_least(store) -> None:
    found = by_approach(compare(store, metric="iou"), "value")
    assert found["any of 3"] == 1.0
    assert found["all of 3"] == pytest.approx((0.5 + 0.5 + 0.5 + 0.2) / 4)
    # A majority for no answer has no answer of its own: what its seeds drew counts.
    assert found["majority of 3"] == pytest.approx((1 + 0.5 + 2 / 3 + 0.2) / 4)
    assert "turned" not in compare(store, metric="iou").dataset


def test_what_turned_right_and_wrong_is_counted_by_pairs(store) -> None:
    result = compare(store)
    right = value(result, "turned", variant="ensemble", turn="wrong_to_right")
    wrong = value(result, "turned", variant="ensemble", turn="right_to_wrong")
    assert right == pytest.approx((1 / 3 + 2 / 3 + 0 + 2 / 3) / 4)
    assert wrong == pytest.approx((1 / 3) / 4)
    assert right - wrong == pytest.approx(value(result, "difference", group=ALL, approach="ensemble"))


def test_the_best_can_be_chosen_by_a_metric_or_by_the_least_of_it(tmp_path: Path) -> None:
    base = {"a": {0: RIGHT, 1: "x"}, "b": {0: "x", 1: RIGHT}}
    tidy = {("a", 0): 0.9, ("a", 1): 0.1, ("b", 0): 0.2, ("b", 1): 0.3}
    store = plant(
        tmp_path / "store", base, {"ensemble": ({"a": {0: "x"}, "b": {0: "x"}}, (0, 1), 24)}, tidy=tidy
    )
    assert by_approach(compare(store, choose="tidy"), "value")["best of 2"] == 1.0
    assert by_approach(compare(store, choose="-tidy"), "value")["best of 2"] == 0.0
    assert by_approach(compare(store), "value")["best of 2"] == 0.5


@pytest.mark.parametrize(("cost", "paid"), [(12, 1), (15, 1.25), (24, 2), (30, 2.5), (36, 3), (500, 3)])
def test_equal_cost_is_as_many_seeds_as_it_pays_for(tmp_path: Path, cost: int, paid: float) -> None:
    store = plant(tmp_path / "store", BASE, {"ensemble": (MERGED, (0, 1, 2), cost)})
    result = compare(store)
    assert result.dataset["paid"].values.tolist() == [paid]
    # By hand: two of three seeds are a pair, each pair as often as the others.
    any_of = [5 / 12, (1 + 2 / 3 + 2 / 3 + 2 / 3) / 4, 1.0]
    assert result.dataset["curve"].sel(rule="any").values == pytest.approx(any_of)
    for rule in ("best", "majority", "any"):
        held = value(result, "equal", group=ALL, variant="ensemble", against=rule)
        curve = result.dataset["curve"].sel(rule=rule).values
        assert held == pytest.approx(3 / 4 - np.interp(paid, [1, 2, 3], curve))


def many(number: int, share: float, seeds: int, rng: np.random.Generator) -> np.ndarray:
    return (rng.random((number, seeds)) < share).astype(float)


def compared(base: np.ndarray, variant: np.ndarray, cost: float, metric: Metric = SOLVED):
    """Of right answers that are all the same, and wrong ones that all differ."""
    answers = tuple(
        tuple("true" if right else f"wrong {seed}" for seed, right in enumerate(row)) for row in base
    )
    names = tuple(f"sample-{number:03d}" for number in range(len(base)))
    outcomes = SeedOutcomes(names, tuple(range(base.shape[1])), base, base, answers)
    made = VariantOutcomes("ensemble", variant, (0,), base.shape[1], cost)
    return comparison(outcomes, [made], metric, [Group(ALL, frozenset(names))], cost=12, draws=1000)


def test_the_verdict_follows_what_was_planted() -> None:
    rng = np.random.default_rng(1)
    base = many(200, 0.3, 4, rng)
    better, same, worse = (many(200, share, 1, rng) for share in (0.6, 0.3, 0.05))
    assert compared(base, better, 14)["verdict"].values.tolist() == [GAIN]
    assert compared(base, same, 14)["verdict"].values.tolist() == [NOT_TOLD]
    assert compared(base, worse, 14)["verdict"].values.tolist() == [NO_GAIN]
    # Two right answers among four seeds are a majority: what costs as much has to beat that.
    strong = many(200, 0.6, 4, rng)
    merged = many(200, 0.72, 1, rng)
    assert compared(strong, merged, 14)["verdict"].values.tolist() == [GAIN]
    assert compared(strong, merged, 48)["verdict"].values.tolist() != [GAIN]


def test_the_intervals_of_paired_differences_cover() -> None:
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(120):
        # Easy and hard samples: without pairing, the difference would have a far wider interval.
        ease = rng.beta(0.5, 0.5, 40)[:, None]
        base = (rng.random((40, 3)) < ease * 0.8).astype(float)
        variant = (rng.random((40, 1)) < ease * 0.8 + 0.1).astype(float)
        one = estimate_at(compared(base, variant, 12), "difference", group=ALL, approach="ensemble")
        covered.append(one.low <= 0.1 <= one.high)
    assert 0.89 < np.mean(covered) <= 1.0


def test_samples_are_grouped_by_their_truth(store) -> None:
    result = compare(store, by="path_length")
    assert result.dataset["group"].values.tolist() == [ALL, "path_length 10", "path_length 20"]
    assert by_approach(result, "value", "path_length 10")["ensemble"] == 1.0
    assert by_approach(result, "value", "path_length 20")["ensemble"] == 0.5
    assert estimate_at(result.dataset, "value", group="path_length 20", approach="ensemble").n == 2


def test_several_variants_are_held_against_the_same_seeds(tmp_path: Path) -> None:
    few = {name: {0: RIGHT} for name in "abcd"}
    all_on = {name: {0: RIGHT, 1: "x", 2: RIGHT} for name in "abcd"}
    store = plant(tmp_path / "store", BASE, {"few": (few, (0, 1), 13), "all-on": (all_on, (0, 1, 2), 36)})
    result = compare(store, variants=["few", "all-on"])
    found = by_approach(result, "value")
    assert (found["few"], found["all-on"]) == pytest.approx((1.0, 2 / 3))
    assert result.dataset["merged"].values.tolist() == [2, 3]
    assert result.dataset["base_seed"].values.tolist() == [0, 1, 2]
    assert compare(store, variants="few").dataset["base_seed"].values.tolist() == [0, 1]
    assert compare(store, variants="few", seeds="0-2").dataset["base_seed"].values.tolist() == [0, 1, 2]


def test_samples_that_lack_a_run_are_left_out_and_named(tmp_path: Path) -> None:
    merged = {name: MERGED[name] for name in "abc"}
    base = {**BASE, "b": {0: "x", 1: "x"}}
    store = plant(tmp_path / "store", base, {"ensemble": (merged, (0, 1, 2), 14)})
    result = compare(store)
    assert result.dataset["sample"].values.tolist() == ["a", "c"]
    [note] = json.loads(result.dataset.attrs["notes"])
    assert note == "left out: 2 samples, such as b: no scored runs of base"


def test_one_seed_alone_has_no_best_of_several(tmp_path: Path) -> None:
    base = {name: {0: of[0]} for name, of in BASE.items()}
    store = plant(tmp_path / "store", base, {"ensemble": (MERGED, (0,), 12)})
    assert compare(store).dataset["approach"].values.tolist() == ["single seed", "ensemble"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"variants": "merged"}, "has no runs of the variant merged; it has base, ensemble"),
        ({"variants": ()}, "name at least one"),
        ({"variants": ("ensemble", "ensemble")}, "each once"),
        ({"variants": "base"}, "leave it out"),
        ({"metric": "speed"}, "task maze has solved, tidy, iou"),
        ({"choose": "luck"}, "no such metric; choose by agreement or tidy"),
        ({"choose": "solved"}, "needs no right answer"),
        ({"metric": "iou", "choose": "solved"}, "needs no right answer"),
        ({"choose": "-iou"}, "needs no right answer, and else it is what any of K is; choose by agreement"),
        ({"by": "colour"}, "there is path_length"),
        ({"scores": "scores-maze-ensemble"}, "of variant ensemble, not base"),
        ({"samples": "z"}, "has no runs of z"),
        ({"seeds": "7"}, "no runs of these seeds"),
    ],
)
def test_what_cannot_be_compared_is_refused(store, asked: dict[str, object], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        compare(store, **asked)  # type: ignore[arg-type]


def test_variants_that_are_not_scored_name_the_command_that_scores_them(tmp_path: Path) -> None:
    store = plant(tmp_path / "store", BASE, {"ensemble": (MERGED, (0, 1, 2), 14)})
    (store.path / "results" / "scores-maze-ensemble.nc").unlink()
    with pytest.raises(SelectionError, match=r"cosinterp score .*store --variant ensemble does that"):
        compare(store)


def test_a_variant_that_no_ensemble_made_is_refused(tmp_path: Path) -> None:
    store = plant(tmp_path / "store", BASE, {})
    with store.writer("a", 0, "patched") as writer:
        writer.set_schedule([500.0], [0.5, 0.0])
        writer.set_condition("Go to the red goal.")
        writer.finish()
    with pytest.raises(StoreError, match="was made by no ensemble"):
        compare(store, variants="patched")
