"""What heatmaps hold: of runs, and of results."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray

from probes.results.files import result_path
from probes.similarity.cka import linear_cka
from stores import open_store
from stores.errors import StoreError
from tests.tui.store_factory import LAYERS, STEPS, make_result, make_store
from tui.heatmaps.heatmap import Heatmap
from tui.heatmaps.of_results import maps_of
from tui.heatmaps.of_run import measured, places_of, quantities_of
from tui.heatmaps.scale import LEVELS, UNKNOWN, Scale

GRID = (STEPS, len(LAYERS))
AXES = ("step", "layer")


def random_activations(step: int, layer: int) -> np.ndarray:
    return np.random.default_rng([step, layer]).normal(size=(1, 2, 2, 4)).astype(np.float32)


def of_run(store: Path, name: str) -> Heatmap:
    with open_store(store).run("maze-1", 0) as run:
        (place,) = places_of(run)
        quantity = next(one for one in quantities_of(run.sites[place.site]) if one.name == name)
        *_, (heatmap, done) = measured(run, place, quantity)
        assert done == heatmap.values.size
        return heatmap


def by_cell(value_of: object) -> np.ndarray:
    assert callable(value_of)
    return np.array([[value_of(step, layer) for layer in LAYERS] for step in range(STEPS)])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "mazes", [("maze-1", 0)], activations=random_activations)


def test_energy_is_the_root_mean_square(store: Path) -> None:
    expected = by_cell(lambda step, layer: np.sqrt((random_activations(step, layer) ** 2).mean()))
    np.testing.assert_allclose(of_run(store, "energy").values, expected, rtol=1e-6)


def test_change_is_relative_to_the_step_before_and_the_first_step_has_none(store: Path) -> None:
    values = of_run(store, "change").values
    assert np.isnan(values[0]).all()
    for layer in LAYERS:
        before, now = random_activations(0, layer), random_activations(1, layer)
        expected = np.linalg.norm(now - before) / np.linalg.norm(before)
        assert values[1, layer] == pytest.approx(expected, rel=1e-6)


def test_cka_with_the_last_step_is_that_of_the_probes_and_1_at_the_last(store: Path) -> None:
    values = of_run(store, "CKA with the last step").values
    np.testing.assert_allclose(values[-1], 1)
    first, last = (random_activations(step, 2).reshape(4, 4) for step in (0, 1))
    assert values[0, 2] == pytest.approx(linear_cka(first, last))


def test_a_variable_has_the_interval_and_the_counts_beside_it(store: Path) -> None:
    values = np.arange(6.0).reshape(GRID)
    path = make_result(
        store,
        "own",
        xarray.Dataset(
            {
                "gain": (AXES, values, {"long_name": "gain of something"}),
                "gain_low": (AXES, values - 1),
                "gain_high": (AXES, values + 1),
                "gain_n": (AXES, np.full(GRID, 12)),
                "gain_samples": (AXES, np.full(GRID, 3)),
                "not_asked_for": (AXES, np.full(GRID, np.nan)),
                "by_frame": (("step", "layer", "frame"), np.zeros((*GRID, 4))),
            },
            coords={"step": [0, 1], "layer": [0, 1, 2]},
        ),
    )
    (found,) = maps_of(path, "maze-1", 0, "base")
    heatmap = found.make()
    assert (found.name, heatmap.title) == ("gain", "gain of something")
    assert heatmap.cell_text(1, 2) == "step 1, layer 2: 5 [4, 6], n = 12, of 3 samples"


def test_the_interval_of_a_mean_over_runs_is_not_that_of_one_run(store: Path) -> None:
    values = np.arange(12.0).reshape(2, *GRID)
    path = make_result(
        store,
        "maps",
        xarray.Dataset(
            {
                "layer_energy": (("run", *AXES), values, {"long_name": "mean energy"}),
                "layer_energy_mean": (AXES, values.mean(axis=0)),
                "layer_energy_low": (AXES, values[0]),
                "layer_energy_high": (AXES, values[1]),
                "sample": (("run",), np.array(["maze-0", "maze-1"])),
                "seed": (("run",), [0, 0]),
            },
            coords={"step": [0, 1], "layer": [0, 1, 2]},
        ),
        "maps",
    )
    own, mean = (one.make() for one in maps_of(path, "maze-1", 0, "base"))
    np.testing.assert_array_equal(own.values, values[1])
    assert own.low is None
    assert mean.title == "mean energy, mean over runs"
    assert mean.cell_text(0, 0) == "step 0, layer 0: 3 [0, 6]"
    names = [one.name for one in maps_of(path, "maze-9", 0, "base")]
    assert names == ["layer_energy_mean"]


def test_a_probe_marks_what_is_decodable(store: Path) -> None:
    p = np.array([[0.2, 0.01, 0.01], [0.01, 0.2, 0.2]])
    attrs = {
        "metric": "balanced_accuracy", "chance": 0.5, "n": 40, "samples": 8, "unit": "token", "runs": 8,
        "rows": 40, "target": "path", "among": "", "site": "resid", "branch": "cond", "model": "logistic",
        "components": 0, "outer": 4, "level": 0.95, "method": "Student t over folds", "seed": 0, "draws": 0,
    }  # fmt: skip
    scores = {
        name: (AXES, np.full(GRID, value)) for name, value in (("score", 0.8), ("low", 0.7), ("high", 0.9))
    }
    dataset = xarray.Dataset({**scores, "p": (AXES, p)}, {"step": [0, 1], "layer": [0, 1, 2]}, attrs)
    heatmap, of_p = (
        one.make() for one in maps_of(make_result(store, "probe", dataset, "probe"), "maze-1", 0, "base")
    )
    assert heatmap.note == of_p.note
    assert heatmap.note.startswith("n = 40 tokens of 8 samples")
    assert heatmap.marked is not None
    np.testing.assert_array_equal(heatmap.marked, p < 0.05)
    assert heatmap.cell_text(0, 1) == (
        "step 0, layer 1: 0.8 [0.7, 0.9], n = 40 tokens, of 8 samples, * family-wise p < 0.05"
    )


def test_patches_are_laid_out_by_step_and_layer_and_held_against_their_control(store: Path) -> None:
    rows = [
        (sample, direction, control, layer)
        for sample in range(12)
        for direction in ("sufficiency", "necessity")
        for control in ("none", "random")
        for layer in (0, 4)
    ]
    # Layer 4 alone does more than its control, and in one direction alone; all else differs by sample, and
    # in either sense alike.
    effects = [
        (0.9 if (direction, control, layer) == ("sufficiency", "none", 4) else 0.1)
        + (0.05 if control == "none" else -0.05) * (-1) ** sample
        for sample, direction, control, layer in rows
    ]
    count = len(rows)

    def column(values: object) -> tuple[str, np.ndarray]:
        return "patch", np.array(values)

    dataset = xarray.Dataset(
        {
            "pair": column([f"pair-{row[0]}" for row in rows]),
            "direction": column([row[1] for row in rows]),
            "control": column([row[2] for row in rows]),
            "layer": column([row[3] for row in rows]),
            "site": column(["resid"] * count),
            "tokens": column(["all"] * count),
            "branch": column(["all"] * count),
            "first_step": column([3] * count),
            "last_step": column([5] * count),
            "donor_seed": column([0] * count),
            "recipient_seed": column([0] * count),
            "donor_sample": column([f"donor-{row[0]}" for row in rows]),
            "recipient_sample": column([f"recipient-{row[0]}" for row in rows]),
            "x0_recovered": column(effects),
        }
    )
    found = maps_of(make_result(store, "patch", dataset, "patch"), "maze-1", 0, "base")
    assert [one.name for one in found] == ["x0_recovered, sufficiency", "x0_recovered, necessity"]
    sufficiency, necessity = (one.make() for one in found)
    assert (sufficiency.columns, sufficiency.rows) == (("3-5",), ("0", "4"))
    assert sufficiency.marked is not None
    assert sufficiency.marked.tolist() == [[False, True]]
    assert necessity.marked is not None
    assert not necessity.marked.any()
    assert sufficiency.cell_text(0, 1) == (
        "step 3-5, layer 4: 0.9 [0.875, 0.925], n = 12 patches, of 12 samples, "
        "control random 0.1 [0.075, 0.125], * differs from the control random, pair by pair"
    )


def test_similarity_between_steps_is_shown_with_the_last(store: Path) -> None:
    values = np.arange(12.0).reshape(3, 2, 2) / 12
    dims = ("layer", "step", "other_step")
    scalars = {"samples": 8, "runs": 16, "rows": 256}
    attrs = {
        "measure": "cka", "across": "steps", "site": "resid", "branch": "cond", "row": "token", "tokens": 4,
        "tokens_available": 4, "method": "jackknife", "level": 0.95, "seed": 0, "first": "a", "second": "a",
    }  # fmt: skip
    dataset = xarray.Dataset(
        {"cka": (dims, values), "low": (dims, values), "high": (dims, values), **scalars},
        {"layer": [0, 1, 2], "step": [0, 7], "other_step": [0, 7]},
        attrs,
    )
    (found,) = maps_of(make_result(store, "sim", dataset, "similarity"), "maze-1", 0, "base")
    heatmap = found.make()
    assert heatmap.title == "debiased linear CKA with step 7 (resid, branch cond)"
    np.testing.assert_array_equal(heatmap.values, values[:, :, 1].T)


def test_a_result_that_lacks_what_its_kind_has_is_the_users_error(store: Path) -> None:
    dataset = xarray.Dataset({"cka": (AXES, np.zeros(GRID))}, attrs={"measure": "cka"})
    path = make_result(store, "sim", dataset, "similarity")
    with pytest.raises(StoreError, match="lacks what results of its kind have"):
        maps_of(path, "maze-1", 0, "base")


def test_a_file_that_is_no_result_is_the_users_error(store: Path) -> None:
    path = result_path(store, "broken")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({}))
    with pytest.raises(StoreError, match="damaged"):
        maps_of(path, "maze-1", 0, "base")


def test_a_scale_about_a_centre_is_as_long_to_either_side() -> None:
    scale = Scale.of(np.array([[-1.0, 3.0, np.nan]]), centre=0.0)
    assert scale is not None
    assert (scale.low, scale.high) == (-3, 3)
    assert scale.levels(np.array([-3.0, 0.0, 3.0, np.nan])).tolist() == [0, LEVELS // 2, LEVELS - 1, UNKNOWN]


def test_values_of_many_magnitudes_are_told_apart_by_their_logarithm() -> None:
    scale = Scale.of(np.array([[1.0, 10.0, 1000.0]]))
    assert scale is not None
    assert scale.places(np.array([1.0, 10.0, 1000.0])).tolist() == pytest.approx([0, 1 / 3, 1])
    assert scale.text()[1] == "1000, log"


def test_nothing_known_has_no_scale() -> None:
    assert Scale.of(np.full(GRID, np.nan)) is None
