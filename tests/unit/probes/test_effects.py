"""Effects are averaged by cell and drawn by sample; what failed is left out and counted."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr

from probes import statistics
from probes.effects import Bootstrap, cells, grid, over_control, strongest
from probes.patches import choose, effects_of, independent_samples
from stores import SelectionError
from tests.unit.probes.patched import full_grid, pair, result

QUICK = Bootstrap(draws=400)
SHARE = {"kind": "share", "long_name": "reaches the donor's goal"}


def noise(*key: int) -> float:
    return float(np.random.default_rng(key).normal())


def moved() -> xr.Dataset:
    """A grid whose effect grows with the layer and is nothing under the control."""
    return full_grid(
        "x0_moved",
        lambda n, step, layer, way, control: (
            (layer - step if control == "none" else 0) + 0.1 * noise(n, step, layer, len(way), len(control))
        ),
    )


def only(found: xr.Dataset) -> dict:
    assert found.sizes["cell"] == 1
    return {name: found[name].values[0].item() for name in found.variables}


def test_each_cell_is_the_mean_of_its_patches_with_their_bootstrap():
    dataset = moved()
    found = cells(dataset, "x0_moved", bootstrap=Bootstrap(seed=5, draws=700, level=0.9))
    assert found.sizes["cell"] == 2 * 2 * 3 * 4
    for index in range(found.sizes["cell"]):
        one = found.isel(cell=index)
        rows = np.ones(dataset.sizes["patch"], dtype=bool)
        for name in ("direction", "control", "first_step", "layer"):
            rows &= dataset[name].values == one[name].item()
        values = dataset.x0_moved.values[rows]
        expected = statistics.mean(values, dataset.pair.values[rows].tolist(), seed=5, draws=700, level=0.9)
        assert one.value.item() == pytest.approx(values.mean())
        assert (one.low.item(), one.high.item()) == pytest.approx((expected.low, expected.high))
        assert (one.n.item(), one.samples.item(), one.failed.item()) == (12, 12, 0)
        assert one.method.item() == expected.method
    assert found.attrs["level"] == 0.9
    assert found.attrs["seed"] == 5


def test_labels_that_are_not_asked_for_are_averaged_over():
    dataset = moved()
    found = cells(dataset, "x0_moved", ("control", "layer"), QUICK)
    assert found.sizes["cell"] == 8
    assert set(found.n.values.tolist()) == {12 * 2 * 3}
    assert set(found.samples.values.tolist()) == {12}
    whole = only(cells(dataset, "x0_moved", (), QUICK))
    assert whole["value"] == pytest.approx(dataset.x0_moved.values.mean())


def test_the_interval_of_a_share_is_that_of_a_proportion():
    for outcomes in ([1, 0] * 7, [1] * 14, [1, 0, 0]):
        rows = [pair(n) | {"goal_donor": float(outcome)} for n, outcome in enumerate(outcomes)]
        found = only(cells(result(rows, {"goal_donor": SHARE}), "goal_donor"))
        expected = statistics.proportion(outcomes, range(len(outcomes)))
        assert (found["value"], found["low"], found["high"]) == (
            expected.value,
            pytest.approx(expected.low),
            pytest.approx(expected.high),
        )
        assert found["method"] == expected.method


def test_few_samples_have_an_interval_within_the_bounds_of_the_effect():
    rows = [pair(n) | {"iou": value} for n, value in enumerate((0.9, 1.0, 1.0))]
    bounded = only(cells(result(rows, {"iou": {"valid_min": 0.0, "valid_max": 1.0}}), "iou"))
    free = only(cells(result(rows), "iou"))
    assert bounded["method"] == statistics.WILSON
    assert bounded["high"] <= 1 < free["high"]
    assert free["method"] == "Student t over samples"


def test_seeds_of_a_sample_are_drawn_together():
    rows = [pair(n, seed) | {"x": noise(n) + 0.01 * seed} for n in range(12) for seed in range(5)]
    found = only(cells(result(rows), "x"))
    assert (found["n"], found["samples"]) == (60, 12)
    expected = statistics.mean([row["x"] for row in rows], [row["recipient_sample"] for row in rows])
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("pairs", "count"),
    [
        ([("p", "a", "b"), ("q", "c", "d")], 2),
        ([("p", "a", "b"), ("p", "c", "d")], 1),
        ([("p", "a", "b"), ("q", "c", "b")], 1),
        ([("p", "a", "b"), ("q", "b", "a")], 1),
        ([("p", "a", "b"), ("q", "a", "c"), ("r", "a", "d")], 3),
        ([("p", "a", "b"), ("q", "c", "b"), ("r", "b", "c"), ("s", "x", "y")], 2),
    ],
)
def test_pairs_that_share_a_recipient_or_both_samples_are_not_independent(pairs, count):
    found = independent_samples(*zip(*pairs, strict=True))
    assert sorted(set(found.tolist())) == list(range(count))


def test_the_order_of_patches_changes_nothing():
    dataset = moved()
    shuffled = dataset.isel(patch=np.random.default_rng(0).permutation(dataset.sizes["patch"]))
    xr.testing.assert_identical(cells(dataset, "x0_moved"), cells(shuffled, "x0_moved"))
    xr.testing.assert_identical(over_control(dataset, "x0_moved"), over_control(shuffled, "x0_moved"))


def test_another_seed_draws_other_intervals_of_the_same_values():
    first, second = (cells(moved(), "x0_moved", bootstrap=Bootstrap(seed=seed)) for seed in (0, 1))
    assert (first.value == second.value).all()
    assert (first.low != second.low).any()


def test_what_failed_or_is_not_known_is_left_out_and_counted():
    rows = [pair(n) | {"x": float(n)} for n in range(12)]
    rows[3] |= {"error": "measure maze: too small"}
    rows[5] |= {"x": math.nan}
    rows[7] |= {"x": math.inf}
    found = only(cells(result(rows), "x"))
    assert (found["n"], found["samples"], found["failed"]) == (9, 9, 3)
    assert found["value"] == pytest.approx((66 - 15) / 9)


def test_a_cell_of_which_nothing_is_known_is_empty_and_the_others_are_not():
    rows = [
        pair(n) | {"layer": layer, "x": math.nan if layer else 1.0} for n in range(3) for layer in range(2)
    ]
    found = cells(result(rows), "x", ("layer",))
    assert found.n.values.tolist() == [3, 0]
    assert found.failed.values.tolist() == [0, 3]
    assert math.isnan(found.value.values[1])


def test_the_strongest_come_first_whatever_their_sign_and_without_controls():
    def effect(n: int, step: int, layer: int, way: str, control: str) -> float:
        if control != "none":
            return 100.0
        return {(0, 1): -3.0, (2, 3): 2.0, (1, 1): math.nan}.get((step, layer), 0.5)

    found = strongest(full_grid("x", effect, directions=["necessity"]), "x", 3)
    assert found.value.values.tolist() == [-3.0, 2.0, 0.5]
    assert [(int(a), int(b)) for a, b in zip(found.first_step, found.layer, strict=True)][:2] == [
        (0, 1),
        (2, 3),
    ]
    assert set(found.control.values.tolist()) == {"none"}
    assert strongest(full_grid("x", effect, directions=["necessity"]), "x", 99).sizes["cell"] == 11
    with pytest.raises(ValueError, match="at least one"):
        strongest(moved(), "x0_moved", 0)


def test_a_grid_is_laid_out_by_steps_and_layers():
    found = grid(moved(), "x0_moved", "necessity", bootstrap=QUICK)
    assert found.value.dims == ("steps", "layer")
    assert found.steps.values.tolist() == ["0", "1", "2"]
    assert found.layer.values.tolist() == [0, 1, 2, 3]
    flat = cells(moved(), "x0_moved", bootstrap=QUICK)
    for step in range(3):
        for layer in range(4):
            one = flat.isel(
                cell=((flat.direction == "necessity") & (flat.control == "none")).values
                & (flat.first_step == step).values
                & (flat.layer == layer).values
            )
            there = found.sel(steps=str(step), layer=layer)
            for name in ("value", "low", "high", "n", "samples", "failed"):
                assert there[name].item() == pytest.approx(one[name].item(), nan_ok=True)
    assert found.direction.item() == "necessity"
    assert found.site.item() == "resid"


def test_a_grid_of_windows_is_in_the_order_of_steps_and_says_what_was_not_patched():
    rows = [
        pair(n) | {"first_step": first, "last_step": last, "layer": layer, "x": 1.0 * first}
        for n in range(3)
        for first, last, layer in [(10, 11, 0), (2, 3, 0), (2, 2, 8), (10, 11, 8)]
    ]
    found = grid(result(rows), "x", "sufficiency")
    assert found.steps.values.tolist() == ["2", "2-3", "10-11"]
    assert found.first_step.values.tolist() == [2, 2, 10]
    assert found.n.values.tolist() == [[0, 3], [3, 0], [3, 3]]
    assert math.isnan(found.value.sel(steps="2", layer=0).item())
    assert found.value.sel(steps="10-11", layer=8).item() == 10


def test_several_sites_have_to_be_chosen_from():
    rows = [pair(n) | {"site": site, "x": float(len(site))} for n in range(3) for site in ("resid", "mlp")]
    with pytest.raises(SelectionError, match="site: this result has several, choose one: mlp, resid"):
        grid(result(rows), "x", "sufficiency")
    assert grid(result(rows), "x", "sufficiency", site="mlp").value.item() == 3


def test_a_patch_is_compared_with_the_control_of_its_own_pair():
    """Pairs differ far more than patch and control do, so only the paired difference is narrow."""
    dataset = full_grid(
        "x",
        lambda n, step, layer, way, control: (
            100 * noise(n) + (layer if control == "none" else 0) + noise(n, 1)
        ),
    )
    found = over_control(dataset, "x")
    assert set(found.control.values.tolist()) == {"random"}
    assert found.value.values == pytest.approx(found.layer.values)
    assert set(found.n.values.tolist()) == {12}
    plain = cells(dataset, "x")
    assert (plain.high - plain.low).values.min() > 50


def test_the_difference_to_a_control_is_drawn_by_sample():
    differences = [noise(n) for n in range(15)]
    rows = [
        pair(n) | {"control": control, "x": 7.0 + (one if control == "none" else 0)}
        for n, one in enumerate(differences)
        for control in ("none", "random", "identity")
    ]
    found = only(over_control(result(rows), "x", bootstrap=QUICK))
    expected = statistics.mean(differences, range(15), draws=400)
    assert (found["value"], found["low"], found["high"]) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )


def test_several_controls_of_a_patch_are_averaged_and_what_is_not_known_is_counted():
    rows = [pair(n) | {"x": 1.0} for n in range(4)]
    rows += [pair(n) | {"control": "random", "x": x} for n in range(3) for x in (0.0, 0.5)]
    rows += [pair(2) | {"control": "random", "x": math.nan}]
    rows[0] |= {"error": "broke"}
    found = only(over_control(result(rows), "x"))
    assert (found["value"], found["n"], found["failed"]) == (0.75, 2, 1)


def test_runs_without_the_control_are_not_compared_with_the_controls_of_other_seeds():
    rows = [pair(n, seed) | {"x": 1.0 + seed} for n in range(3) for seed in range(4)]
    rows += [pair(n, 3) | {"control": "random", "x": 0.5} for n in range(2)]
    found = only(over_control(result(rows), "x"))
    assert (found["value"], found["n"], found["samples"], found["failed"]) == (3.5, 2, 2, 0)


def test_a_control_of_other_cells_is_no_control():
    rows = [pair(0) | {"x": 1.0}, pair(0) | {"control": "random", "layer": 1, "x": 0.0}]
    with pytest.raises(
        SelectionError, match='control "random": no patch of this result has one of its own runs'
    ):
        over_control(result(rows), "x")


def test_a_difference_of_shares_lies_between_minus_one_and_one():
    rows = [
        pair(n) | {"control": control, "goal_donor": float(control == "none")}
        for n in range(5)
        for control in ("none", "random")
    ]
    found = over_control(result(rows, {"goal_donor": SHARE}), "goal_donor")
    low, high = statistics.wilson(5, 5)
    assert only(found)["value"] == 1
    assert (only(found)["low"], only(found)["high"]) == pytest.approx((2 * low - 1, 2 * high - 1))
    assert (found.attrs["valid_min"], found.attrs["valid_max"]) == (-1, 1)
    assert found.attrs["long_name"] == "reaches the donor's goal, beyond the control random"


def test_effects_are_the_numbers_with_a_fraction():
    assert effects_of(moved()) == ("x0_moved",)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda d: cells(d, "x1"), 'effect "x1": this result has x0_moved'),
        (lambda d: cells(d, "x0_moved", ("colour",)), "its patches have no colour"),
        (lambda d: cells(d.drop_vars("pair"), "x0_moved"), "its patches have no pair"),
        (lambda d: cells(d.isel(patch=[]), "x0_moved"), "this result has no patches"),
        (
            lambda d: cells(d.assign(x0_moved=d.x0_moved * np.nan), "x0_moved"),
            "not known",
        ),
        (lambda d: grid(d, "x0_moved", "both"), 'direction "both": .* it has necessity, sufficiency'),
        (
            lambda d: grid(d, "x0_moved", "necessity", "identity"),
            'control "identity": .* it has none, random',
        ),
        (lambda d: over_control(d, "x0_moved", "none"), 'control "none" is the patch itself'),
        (lambda d: over_control(d, "x0_moved", "identity"), 'control "identity": this result has no such'),
        (lambda d: cells(d.assign(x0_moved=d.x0_moved.assign_attrs(kind="share")), "x0_moved"), "not 0 or 1"),
    ],
)
def test_what_a_result_cannot_answer_is_told(ask, message):
    with pytest.raises(SelectionError, match=message):
        ask(moved())


def test_patches_of_different_horizons_are_not_averaged_unseen():
    rows = [pair(n) | {"horizon": horizon, "x": 1.0} for n in range(3) for horizon in (0, -1)]
    with pytest.raises(SelectionError, match="horizon: patches of -1 and 0 cannot be averaged; choose one"):
        cells(result(rows), "x")
    assert cells(result(rows), "x", ("horizon",)).horizon.values.tolist() == [-1, 0]


def steered() -> xr.Dataset:
    rows = [
        pair(n) | {"scale": scale, "control": control, "x": scale * (control == "none") + n / 100}
        for n in range(3)
        for scale in (-1.5, 2.0)
        for control in ("none", "random")
    ]
    return result(rows, {"scale": {"kind": "label"}})


def test_a_label_with_a_fraction_is_no_effect():
    assert effects_of(steered()) == ("x",)
    assert effects_of(result([pair(0) | {"scale": 0.5}])) == ("scale",)


def test_patches_of_different_scales_are_not_averaged_unseen():
    found = steered()
    for summary in (cells, over_control):
        kwargs = {"control": "random"} if summary is over_control else {}
        with pytest.raises(SelectionError, match="scale: patches of -1.5 and 2 cannot be averaged"):
            summary(found, "x", **kwargs)
    told = over_control(found, "x", by=("scale",))
    assert told.scale.values.tolist() == [-1.5, 2.0]
    assert told.value.values == pytest.approx([-1.5, 2.0])
    one = choose(found, scale=2.0)
    assert cells(one, "x", ("control",)).n.values.tolist() == [3, 3]
