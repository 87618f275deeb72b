"""Patches are exact: those that change nothing, and those that change everything."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cosinterp.patching.sweep import Sweep, SweepOptions
from cosinterp.patching.trial import Trial
from stores import open_store
from tests.integration.sweeping import (
    DOUBLED,
    JOINED,
    NUM_STEPS,
    SEEDS,
    TWO_EXPERTS,
    WAN,
    Bench,
    cells,
    check_nothing_happened,
    swept,
)


@pytest.mark.parametrize(
    ("rows", "horizon"), [(1, None), (3, None), (1, 0), (3, 1)], ids=lambda value: f"{value}"
)
@pytest.mark.parametrize("name", [WAN, DOUBLED, JOINED])
def test_a_runs_own_activations_change_nothing_at_any_site(
    name: str, rows: int, horizon: int | None, bench_named: Callable[[str], Bench]
) -> None:
    """Exactly nothing, at all sites and layers, of all branches or of one."""
    own = bench_named(name)
    branches = ("all", "cond", "uncond") if rows == 1 and horizon == 0 else ("all", "uncond")
    steps = "1" if horizon is None else "0-2"
    layers = "all" if rows == 1 else "0,2"
    trials = cells(own, sites="all", steps=steps, layers=layers, branches=branches)
    found = swept(own, trials, rows=rows, horizon=horizon)
    assert {row["site"] for row in found.rows} == set(own.model.anatomy.sites)
    check_nothing_happened(found.rows, horizon)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(
    "tokens", ["frames:0", "box:0-1,0-1", "~frames:0 & box:1,1-2"], ids=lambda value: value
)
def test_nor_do_they_at_some_tokens(tokens: str, rows: int, bench_named: Callable[[str], Bench]) -> None:
    own = bench_named(WAN)
    trials = cells(own, sites=("resid", "mlp"), steps="0,2", layers="1-2", tokens=(tokens,), window=1)
    check_nothing_happened(swept(own, trials, rows=rows).rows, None)


def test_runs_of_one_name_in_two_stores_share_no_batch(bench_named: Callable[[str], Bench]) -> None:
    """What goes side by side is of one of them, and fills its batches as far as there are patches."""
    own = bench_named(WAN)
    here, there = own.ref("blue"), own.ref("blue").model_copy(update={"store": "elsewhere"})
    trials = [
        Trial(run, toward, (own.replacing("red", layers=(layer,)),), {"pair": "blue"})
        for layer in (1, 2, 3)
        for run, toward in ((here, there), (there, here))
    ]
    batches = list(Sweep(own.model, trials, SweepOptions(rows=3)).batches())
    assert sorted(len(batch.trials) for batch in batches) == [3, 3]
    assert all(len({trial.run for trial in batch.trials}) == 1 for batch in batches)


def test_nor_do_they_over_several_steps_and_layers(bench_named: Callable[[str], Bench]) -> None:
    own = bench_named(WAN)
    trials = cells(own, sites=("resid", "self_attn"), window=2, layer_window=2)
    trials += cells(own, window="cumulative")
    check_nothing_happened(swept(own, trials).rows, None)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", [WAN, DOUBLED, JOINED, TWO_EXPERTS])
def test_all_of_the_donors_last_layers_give_the_donors_predictions(
    name: str, rows: int, bench_named: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first step on, so that both runs have one noise: the donor's run, bit for bit.

    Where a run is played in several rows, the donor is too.
    """
    own = bench_named(name)
    patch = own.replacing("red", layers=(own.num_layers,), steps=tuple(range(NUM_STEPS)))
    found = swept(own, [own.trial(patch)], monkeypatch, rows=rows)
    (row,), (outcome,) = found.rows, found.outcomes
    assert row["x0_recovered"] == row["final_recovered"] == 1
    assert row["x0_along"] == pytest.approx(1, abs=1e-12)
    donor = own.store.run("red", SEEDS[0])
    if rows == 1:
        assert outcome.final is not None
        assert np.array_equal(outcome.final, donor.noisy(NUM_STEPS))
        assert np.array_equal(outcome.clean, donor.clean_estimate(NUM_STEPS - 1))


@pytest.mark.parametrize("name", [JOINED])
def test_a_stream_that_nothing_reads_any_more_does_nothing(
    name: str, bench_named: Callable[[str], Bench]
) -> None:
    """Text that leaves the last block; one block earlier it does something."""
    own = bench_named(name)
    last = own.num_layers
    trials = [
        own.trial(own.replacing("red", site="text", layers=(layer,), steps=(1,)))
        for layer in (last, last - 1)
    ]
    nothing, something = swept(own, trials).rows
    check_nothing_happened([{"site": "", "layer": 0, "steps": "", "branch": "", **nothing}], None)
    assert something["x0_moved"] > 0
    assert something["final_moved"] > 0


def test_tokens_of_the_last_layer_change_their_own_latent_cells_alone(
    bench_named: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = bench_named(WAN)
    token = "frames:1 & box:2,3"
    patch = own.replacing("red", layers=(own.num_layers,), steps=(1,), tokens=token)
    (outcome,) = swept(own, [own.trial(patch)], monkeypatch, horizon=0).outcomes
    before = own.store.run("blue", SEEDS[0]).clean_estimate(1)
    changed = (outcome.clean != before).any(axis=0)
    # A token is a patch of 2 x 2 latent cells.
    expected = np.zeros_like(changed)
    expected[1, 4:6, 6:8] = True
    assert np.array_equal(changed, expected)


def test_tokens_elsewhere_are_as_many_others(
    bench_named: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = bench_named(WAN)
    where = {"layers": (own.num_layers,), "steps": (1,), "tokens": "frames:1 & box:2,1-3"}
    trials = [own.trial(own.replacing("red", **where, elsewhere=seed)) for seed in (None, 0, 1)]
    before = own.store.run("blue", SEEDS[0]).clean_estimate(1)
    outcomes = swept(own, trials, monkeypatch, horizon=0).outcomes
    changed = [(one.clean != before).any(axis=0) for one in outcomes]
    assert [int(cells.sum()) for cells in changed] == [12, 12, 12]
    assert not (changed[0] & (changed[1] | changed[2])).any()
    assert not np.array_equal(changed[1], changed[2])


def test_shared_passes_give_what_patches_give_by_themselves(
    bench_named: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of different steps, windows, sites and branches, whatever is made beside them."""
    own = bench_named(WAN)
    trials = [
        own.trial(own.replacing("red", site=site, layers=(2,), steps=steps, branches=branches))
        for site, steps, branches in itertools.product(("resid", "mlp"), ((1,), (1, 2)), (None, ("uncond",)))
    ]
    together = swept(own, trials, monkeypatch).outcomes
    for trial, one in zip(trials, together, strict=True):
        (alone,) = swept(own, [trial], monkeypatch).outcomes
        assert np.array_equal(alone.clean, one.clean)
        assert np.array_equal(alone.final, one.final)  # type: ignore[arg-type]


def test_seeds_are_what_a_move_is_measured_by(bench_named: Callable[[str], Bench]) -> None:
    own = bench_named(WAN)
    (row,) = swept(own, [own.trial(own.replacing("red", layers=(2,), steps=(1,)))]).rows
    store = open_store(own.store.path)
    run, donor, other = (store.run(*who) for who in (("blue", 3), ("red", 3), ("blue", 4)))

    def apart(first: np.ndarray, second: np.ndarray) -> float:
        return float(np.linalg.norm((first.astype(np.float64) - second).ravel()))

    way = apart(run.clean_estimate(1), donor.clean_estimate(1))
    spread = apart(run.clean_estimate(1), other.clean_estimate(1))
    assert row["x0_moved_seeds"] * spread == pytest.approx(row["x0_moved"] * way)


def test_a_patch_with_videos_measures_pixels(bench_named: Callable[[str], Bench]) -> None:
    own = bench_named(WAN)
    last = own.replacing("red", layers=(own.num_layers,), steps=tuple(range(NUM_STEPS)))
    same = replace(own.trial(last), interventions=(own.replacing("blue", layers=(1,), steps=(2,)),))
    whole, nothing = swept(own, [own.trial(last), same], videos=True).rows
    assert (nothing["pixels_moved"], nothing["pixels_recovered"]) == (0, 0)
    assert whole["pixels_moved"] > 0
    assert whole["pixels_recovered"] == 1
