"""The numbers that the terminal shows of a result are those of its table."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray

from probes.results.result import Result
from stores.errors import StoreError
from tests.tui import planted_results as planted
from tui.charts.chart import Chart, Curve, Curves, Dots
from tui.charts.comparing import compared
from tui.charts.views import made, views_of
from tui.heatmaps.heatmap import Heatmap

KINDS: dict[str, Callable[[Path], Result]] = {
    "probe": lambda folder: planted.probed(),
    "transfer": lambda folder: planted.transferred(),
    "patch": lambda folder: planted.patched(),
    "one-step": lambda folder: planted.swept_along_layers(),
    "steering": lambda folder: planted.steered_along_scales(),
    "attribution": lambda folder: planted.attributed(),
    "convergence": planted.converged,
    "scores": planted.scored,
    "ensemble": planted.ensembled,
    "noise": planted.noisy,
    "maps": planted.mapped_out,
    "experiment": lambda folder: planted.experimented(),
}


class Planted(dict[str, Result]):
    """Results by kind; each is made when it is asked for, as some take a second."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        super().__init__()
        self._folders = folders

    def __missing__(self, kind: str) -> Result:
        self[kind] = KINDS[kind](self._folders.mktemp(kind))
        return self[kind]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    return Planted(tmp_path_factory)


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alike")


def names_of(result: Result) -> list[str]:
    return [view.name for view in views_of(result)]


def shown(result: Result, name: str) -> Any:
    """The numbers of a view."""
    return made(next(view for view in views_of(result) if view.name == name))


def curve(chart: Curves, name: str) -> Curve:
    return next(one for one in chart.curves if one.name == name)


def check_map(heatmap: Heatmap, row_of: Callable[[str, str], pd.Series], **columns: str) -> None:
    """Every cell of a map is the row of a table that belongs to it."""
    parts = {"values": "value", "low": "low", "high": "high", "n": "n"} | columns
    for (column, across), (row, down) in product(enumerate(heatmap.columns), enumerate(heatmap.rows)):
        expected = row_of(across, down)
        for part, name in parts.items():
            held = getattr(heatmap, part)
            if held is not None:
                np.testing.assert_allclose(
                    held[column, row], expected[name], err_msg=f"{across} {down} {part}"
                )


def check_curve(one: Curve, rows: pd.DataFrame, at: str, **columns: str) -> None:
    """A curve is the rows of a table, in their order along ``at``."""
    rows = rows.sort_values(at)
    np.testing.assert_array_equal(one.at[np.isfinite(one.values)], rows[at].astype(float))
    for part, name in ({"values": "value", "low": "low", "high": "high", "n": "n"} | columns).items():
        held = getattr(one, part)
        np.testing.assert_allclose(held[np.isfinite(one.values)], rows[name].astype(float), err_msg=part)


def chosen(table: pd.DataFrame, **labels: Any) -> pd.DataFrame:
    """The rows with these labels."""
    kept = np.ones(len(table), bool)
    for name, value in labels.items():
        kept &= (table[name] == value).fillna(False).to_numpy(bool)
    assert kept.any(), labels
    return table.loc[kept]


def test_every_kind_has_views_whose_names_differ_and_each_says_of_how_much_it_is(
    results: dict[str, Result],
) -> None:
    for kind in KINDS:
        result = results[kind]
        names = names_of(result)
        assert names, kind
        assert len(set(names)) == len(names), kind
        for view in views_of(result):
            content = made(view)
            assert content.title, (kind, view.name)
            assert isinstance(content, Heatmap | Chart)


def test_a_probe_shows_score_selectivity_and_what_it_is_above(results: dict[str, Result]) -> None:
    result = results["probe"]
    table = result.table()
    assert names_of(result)[:5] == [
        "score by step and layer",
        "by layer",
        "by step",
        "selectivity",
        "compression over prior",
    ]

    def cell(step: str, layer: str) -> pd.Series:
        return chosen(table, step=int(step), layer=int(layer)).iloc[0]

    score = shown(result, "score by step and layer")
    check_map(score, cell)
    p = table["p"].to_numpy().reshape(score.values.shape)
    np.testing.assert_array_equal(score.marked, p < 0.05)
    check_map(
        shown(result, "selectivity"),
        cell,
        values="selectivity",
        low="selectivity_low",
        high="selectivity_high",
    )
    above = {"values": "above_latent", "low": "above_latent_low", "high": "above_latent_high"}
    check_map(shown(result, "above, latent"), cell, **above)
    # What is above one baseline is not what is above another.
    latent, step = (shown(result, f"above, {baseline}") for baseline in ("latent", "step"))
    assert (latent.title, step.title) == ("above, latent", "above, step")
    assert compared(latent, step, ("a", "b")) is None

    by_layer = shown(result, "by layer")
    best = table.loc[table["value"].idxmax()]
    through = chosen(table, step=best["step"])
    check_curve(curve(by_layer, "probe"), through, "layer")
    parts = {"": "values", "_low": "low", "_high": "high"}
    beside = {part: f"baseline_latent{end}" for end, part in parts.items()}
    check_curve(curve(by_layer, "baseline: latent"), through, "layer", **beside)
    assert (by_layer.reference, by_layer.reference_name) == (0.5, "chance")
    assert [one.name for one in by_layer.curves if one.is_beside] == [
        "control task",
        "baseline: latent",
        "baseline: step",
    ]
    assert "n = 480 tokens of 12 samples" in by_layer.note


def test_transfer_is_a_matrix_of_fitted_by_tested(results: dict[str, Result]) -> None:
    result = results["transfer"]
    table = result.table()
    along_steps, along_layers = names_of(result)
    layer, step = int(along_steps.split()[-1]), int(along_layers.split()[-1])
    matrix = shown(result, along_steps)
    assert (matrix.column_name, matrix.row_name) == ("tested at step", "fitted at step")
    same = {"train_layer": layer, "test_layer": layer}
    check_map(matrix, lambda x, y: chosen(table, test_step=int(x), train_step=int(y), **same).iloc[0])
    same = {"train_step": step, "test_step": step}
    check_map(
        shown(result, along_layers),
        lambda x, y: chosen(table, test_layer=int(x), train_layer=int(y), **same).iloc[0],
    )


def test_patches_are_maps_beside_their_control_and_the_strongest_cells(results: dict[str, Result]) -> None:
    result = results["patch"]
    table = result.table()
    assert names_of(result) == [
        "x0_recovered: sufficiency",
        "x0_recovered: necessity",
        "x0_recovered: strongest",
    ]

    def rows(control: str) -> Callable[[str, str], pd.Series]:
        labels = {"effect": "x0_recovered", "direction": "necessity", "control": control}
        return lambda step, layer: chosen(table, first_step=int(step), layer=int(layer), **labels).iloc[0]

    heatmap = shown(result, "x0_recovered: necessity")
    check_map(heatmap, rows("none"))
    check_map(heatmap.beside, rows("random"))
    assert heatmap.beside_name == "control random"
    assert ", control random 0.012 [" in heatmap.cell_text(0, 0)

    strongest = shown(result, "x0_recovered: strongest")
    for direction in ("sufficiency", "necessity"):
        plain = chosen(table, direction=direction, control="none")
        farthest = np.sort(plain["value"].abs().to_numpy())[-8:]
        dots = [dot for dot in strongest.dots if dot.group == direction]
        np.testing.assert_allclose(sorted(abs(dot.value) for dot in dots), farthest)
        for dot in dots:
            row = plain[np.isclose(plain["value"], dot.value)].iloc[0]
            assert (dot.low, dot.high, dot.n) == pytest.approx((row["low"], row["high"], row["n"]))
            assert dot.beside == (("random", pytest.approx(0.012)),)
    assert "8 strongest of 12 cells" in strongest.note


def test_a_sweep_along_one_thing_is_curves_beside_their_controls(results: dict[str, Result]) -> None:
    result = results["one-step"]
    table = result.table()
    chart = shown(result, "x0_recovered: sufficiency, by layer")
    assert [one.name for one in chart.curves] == ["patch", "control random"]
    check_curve(curve(chart, "patch"), chosen(table, control="none"), "layer")
    check_curve(curve(chart, "control random"), chosen(table, control="random"), "layer")
    assert curve(chart, "control random").is_beside

    steered = results["steering"]
    by_scale = shown(steered, "x0_along: sufficiency, by scale")
    table = steered.table()
    own = curve(by_scale, "layer 8")
    rows = chosen(table, control="none", layer=8)
    for at, value in zip(own.at, own.values, strict=True):
        # Nothing is added at scale 0: what the identity did stands there.
        expected = 0.0 if at == 0 else rows[rows["scale"] == at]["value"].item()
        assert value == pytest.approx(expected)
    assert 0 in own.at


def test_windows_that_begin_at_the_same_step_stand_beside_one_another() -> None:
    made_up = planted.swept_along_layers().dataset
    kept = made_up.isel(patch=np.flatnonzero(made_up["layer"].values == 2))
    windows = [(0, 0), (0, 3), (2, 3)]
    several = [kept.assign(first_step=("patch", [a] * kept.sizes["patch"]), last_step=("patch", [b] * kept.sizes["patch"])) for a, b in windows]  # fmt: skip # noqa: E501
    result = Result(xarray.concat(several, "patch"), {"kind": "patch"})
    chart = shown(result, "x0_recovered: sufficiency, by step")
    own = curve(chart, "patch")
    assert [chart.place_name(at) for at in own.at] == ["0", "0-3", "2-3"]


def test_attribution_without_controls_marks_intervals_that_do_not_hold_zero(
    results: dict[str, Result],
) -> None:
    result = results["attribution"]
    heatmap = shown(result, "attribution_ig: sufficiency")
    table = chosen(result.table(), direction="sufficiency")
    check_map(heatmap, lambda x, y: chosen(table, first_step=int(x), layer=int(y)).iloc[0])
    assert heatmap.beside is None
    np.testing.assert_array_equal(heatmap.marked, (heatmap.low > 0) | (heatmap.high < 0))


def test_convergence_is_curves_by_step(results: dict[str, Result]) -> None:
    result = results["convergence"]
    table = result.table()
    agreement = shown(result, "agreement")
    for name, quantity in (("same answer", "agreement"), ("same answer and right", "agreement_right")):
        rows = chosen(table, quantity=quantity, group="all", reading="answer")
        check_curve(curve(agreement, name), rows, "step")
    commitment = shown(result, "commitment")
    rows = chosen(table, quantity="committed", group="all", reading="goal")
    check_curve(curve(commitment, "goal"), rows, "step")
    # Of the eight planted runs two commit to their path at step 0 together with those that know at once.
    here = curve(commitment, "path: commits here")
    steps = result.dataset["commit_step"].sel(reading="answer").values
    np.testing.assert_allclose(here.values, [np.mean(steps == at) for at in here.at])
    assert "end without an answer: path 12.5%" in commitment.note
    distance = shown(result, "distance")
    check_curve(
        curve(distance, "seeds of one sample"), chosen(table, quantity="distance", group="all"), "step"
    )
    by_group = shown(result, "distance by group")
    for one in by_group.curves:
        check_curve(one, chosen(table, quantity="distance", group=one.name), "step")


def test_scores_are_curves_by_step_and_dots_of_final_videos(results: dict[str, Result]) -> None:
    result = results["scores"]
    table = result.table()
    final = table["step"] == "final"
    check_curve(
        curve(shown(result, "by step"), "solved"),
        chosen(table[~final].astype({"step": int}), metric="solved"),
        "step",
    )
    dots = shown(result, "final videos").dots
    for dot, (_, row) in zip(dots, table[final].iterrows(), strict=True):
        assert (dot.value, dot.low, dot.high, dot.n) == (row["value"], row["low"], row["high"], row["n"])


def test_ensembles_stand_beside_what_seeds_give_with_cost_and_verdict(results: dict[str, Result]) -> None:
    result = results["ensemble"]
    table = result.table()
    approaches = shown(result, "approaches")
    values = chosen(table, quantity="value", group="all").set_index("approach")
    assert [dot.name for dot in approaches.dots] == list(values.index)
    for dot in approaches.dots:
        row = values.loc[dot.name]
        assert (dot.value, dot.low, dot.high, dot.n) == (row["value"], row["low"], row["high"], row["n"])
        assert dot.told.startswith(f"{row['cost']:g} evaluations")
    verdicts = chosen(table, quantity="at equal cost", group="all").dropna(subset="verdict")
    merged = next(dot for dot in approaches.dots if dot.name == "merged")
    assert merged.told.endswith(set(verdicts[verdicts["approach"] == "merged"]["verdict"]).pop())
    assert [dot.name for dot in approaches.dots if dot.is_hollow] == ["any of 3", "all of 3"]

    gain = shown(result, "gain")
    equal = chosen(table, quantity="at equal cost", group="all", approach="same").set_index("against")
    for dot in gain.dots:
        if dot.group == "same" and dot.name != "less single seed":
            row = equal.loc[dot.name.removeprefix("less ")]
            assert (dot.value, dot.low, dot.high) == (row["value"], row["low"], row["high"])
    cost = shown(result, "against cost")
    rows = chosen(table, quantity="of so many seeds")
    majority = rows[rows["approach"].str.startswith("majority") | (rows["approach"] == "majority of 1")]
    check_curve(curve(cost, "majority of K"), majority, "cost")
    by_group = shown(result, "gain by group")
    red = next(dot for dot in by_group.dots if dot.group.startswith("goal red") and "single" in dot.name)
    row = chosen(table, quantity="difference", group="goal red", approach="merged").iloc[0]
    assert (red.value, red.low, red.high) == (row["value"], row["low"], row["high"])


def test_noise_is_effects_by_place_and_maps_of_how_far_it_spreads(results: dict[str, Result]) -> None:
    result = results["noise"]
    table, dataset = result.table(), result.dataset
    effect = shown(result, "effect by step")
    own = curve(effect, "replace")
    places = ["noised-step-00", "noised-step-02"]
    rows = pd.concat([chosen(table, quantity="effect", place=place) for place in places])
    check_curve(own, rows.assign(at=[0, 2]), "at")
    p = dataset["effect_p_all"].sel(place=places).values
    assert own.marked is not None
    assert own.marked.tolist() == (p < 0.05).tolist()

    distance = shown(result, "distance by step, replace")
    names = {"step 0": "noised-step-00", "step 2": "noised-step-02", "frame 1": "noised-frame-01"}
    names["everywhere"] = "noised-everywhere"
    assert distance.rows == tuple(names)
    check_map(
        distance,
        lambda step, place: chosen(table, quantity="clean_distance", place=names[place], step=int(step)).iloc[
            0
        ],
    )
    final = shown(result, "final distance by frame, replace")
    check_map(
        final,
        lambda frame, place: chosen(
            table, quantity="frame_distance", place=names[place], frame=int(frame)
        ).iloc[0],
    )
    unlike = shown(result, "unlike by step, replace")
    expected = dataset["unlike"].sel(place=list(names.values())).mean("layer").transpose("step", "place")
    np.testing.assert_allclose(unlike.values, expected.values)
    after = shown(result, "unlike by layer, replace")
    here = dataset["unlike"].sel(place="noised-step-02").transpose("step", "layer").values
    np.testing.assert_allclose(after.values[:, 1], here[2:].mean(axis=0))


@pytest.mark.parametrize("across", ["layers", "steps", "grid", "seeds"])
def test_similarity_is_matrices_or_one_minus_it_by_step_and_layer(alike: Path, across: str) -> None:
    result = planted.similar(alike, across)
    table, views = result.table(), views_of(result)
    heatmap = made(views[-1 if across != "seeds" else 0])
    assert isinstance(heatmap, Heatmap)
    if across == "seeds":
        cells = table.set_index(["step", "layer"])
        turned = {"values": "value", "low": "high", "high": "low"}
        for (column, step), (row, layer) in product(enumerate(heatmap.columns), enumerate(heatmap.rows)):
            for part, name in turned.items():
                expected = 1 - cells.loc[(int(step), int(layer)), name]
                assert getattr(heatmap, part)[column, row] == pytest.approx(expected)
        chart = made(views[1])
        assert isinstance(chart, Curves)
        one = curve(chart, "layer 2")
        np.testing.assert_allclose(one.values, heatmap.values[:, heatmap.rows.index("2")])
        assert heatmap.beside is not None
        baseline = 1 - cells["samples_shuffled"].to_numpy().reshape(heatmap.values.shape)
        np.testing.assert_allclose(heatmap.beside.values, baseline)
        return
    assert heatmap.columns == heatmap.rows
    np.testing.assert_allclose(heatmap.values, heatmap.values.T)
    axis = across.removesuffix("s")
    if across != "grid":
        # The last view is of the last step or layer; of each two places the table has one entry.
        panel = "step" if across == "layers" else "layer"
        rows = chosen(table, **{panel: table[panel].max()})
        for _, row in rows.iterrows():
            place = tuple(heatmap.columns.index(f"{row[name]:g}") for name in (axis, f"other_{axis}"))
            assert heatmap.values[place] == pytest.approx(row["value"])
    else:
        for _, row in table.iterrows():
            ends = (f"{row[f'{pre}step']:g}/{row[f'{pre}layer']:g}" for pre in ("", "other_"))
            place = tuple(heatmap.columns.index(end) for end in ends)
            assert heatmap.values[place] == pytest.approx(row["value"])


def test_maps_show_energies_by_step_layer_and_frame_and_the_largest_channels(
    results: dict[str, Result],
) -> None:
    result = results["maps"]
    table = result.table()
    energies = chosen(table, quantity="layer_energy")
    check_map(
        shown(result, "energy by step and layer"),
        lambda step, layer: chosen(energies, step=int(step), layer=int(layer)).iloc[0],
    )
    frames = chosen(table, quantity="frame_energy", step=2, layer=3)
    check_curve(curve(shown(result, "energy by frame"), "layer 3"), frames, "frame")
    dataset = result.dataset
    channels = shown(result, "largest channels by layer")
    expected = dataset["top_ratio_mean"].sel(step=2, rank=2).values
    np.testing.assert_allclose(curve(channels, "rank 2").values, expected)
    assert channels.is_logarithmic
    assert channels.reference == dataset.attrs["massive_ratio"]
    alone = Result(
        dataset.drop_vars([name for name in dataset.data_vars if str(name).endswith("_mean")]),
        {"kind": "maps"},
    )
    runs = dataset["run"].values.tolist()
    own = shown(alone, f"energy by step and layer, {runs[1]}")
    np.testing.assert_allclose(own.values, dataset["layer_energy"].sel(run=runs[1]).values)
    assert own.low is None


def test_an_experiment_shows_claims_about_their_thresholds_and_its_panels(results: dict[str, Result]) -> None:
    result = results["experiment"]
    table = result.table()
    claims = shown(result, "claims")
    assert claims.has_own_scales
    for dot, (_, row) in zip(claims.dots, chosen(table, what="claim").iterrows(), strict=True):
        assert dot.name == row["name"]
        assert dot.told.startswith(row["verdict"])
        if int(row["n"]):
            assert (dot.value, dot.low, dot.high, dot.n) == (row["value"], row["low"], row["high"], row["n"])
        else:
            assert math.isnan(dot.value)
    assert claims.dots[1].reference == -1.0
    assert claims.dot_text(2) == "seen: not known, not testable here: the model has no eyes"
    lines = shown(result, "by-step")
    for one in lines.curves:
        rows = chosen(table, what="by-step", name=one.name)
        check_curve(one, rows.assign(at=rows["at"].astype(float)), "at")
    dots = shown(result, "by-name")
    assert isinstance(dots, Dots)
    assert [dot.value for dot in dots.dots] == chosen(table, what="by-name")["value"].tolist()


def test_a_kind_that_is_not_known_shows_its_arrays_by_step_and_layer() -> None:
    values = np.arange(6.0).reshape(2, 3)
    dataset = xarray.Dataset(
        {"gain": (("step", "layer"), values), "other": ("step", [0.0, 1.0])},
        {"step": [0, 1], "layer": [0, 1, 2]},
    )
    result = Result(dataset, {"kind": "of-tomorrow"})
    assert names_of(result) == ["gain"]
    np.testing.assert_array_equal(shown(result, "gain").values, values)
    assert names_of(Result(dataset[["other"]], {"kind": "of-tomorrow"})) == []


def test_a_result_that_lacks_what_its_kind_has_is_an_error_of_one_line(results: dict[str, Result]) -> None:
    lacking = Result(results["probe"].dataset.drop_vars("low"), {"kind": "probe"}, Path("probe.nc"))
    with pytest.raises(StoreError, match=r"^probe\.nc: lacks what results of its kind have"):
        views_of(lacking)
    lacking = Result(results["probe"].dataset.drop_vars("control"), {"kind": "probe"}, Path("probe.nc"))
    with pytest.raises(StoreError, match=r"^probe\.nc: lacks what results of its kind have"):
        shown(lacking, "by step")
