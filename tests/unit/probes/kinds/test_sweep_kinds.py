"""Results of patching, ablation, steering and attribution put themselves into words, tables and figures."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import xarray as xr

from probes.effects import Bootstrap
from probes.kinds import patches as of_patches
from probes.results.result import Result
from probes.sweeps import place_names
from stores import SelectionError
from tests.unit.probes.patched import full_grid, pair, result


def effect(n: int, step: int, layer: int, way: str, control: str) -> float:
    """Largest at layer 3, step 0, and nothing for controls."""
    return (layer - step) / 4 + n / 1000 if control == "none" else 0.01


def swept(kind: str = "patch", **changed: Any) -> Result:
    return Result(full_grid("x0_recovered", effect, **changed), {"kind": kind})


def steered(scales: tuple[float, ...] = (-2, -1, 1, 2), layers: tuple[int, ...] = (4, 8)) -> Result:
    rows = [
        pair(n) | {"layer": layer, "scale": scale, "control": control, "x0_along": value}
        for n, layer in product(range(6), layers)
        for scale, control, value in [
            *((scale, "none", scale * layer / 10) for scale in scales),
            *((scale, "random", 0.01) for scale in scales),
            (0.0, "identity", 0.0),
        ]
    ]
    dataset = result(rows)
    dataset["scale"].attrs["kind"] = "label"
    return Result(dataset, {"kind": "steering"})


def test_the_summary_names_the_strongest_cell_its_interval_n_and_controls() -> None:
    lines = swept().summary()
    assert lines[0].startswith(
        "sufficiency: x0_recovered is strongest at resid, layer 3, step 0: 0.76 (0.75 to"
    )
    assert "n = 12 of 12 samples" in lines[0]
    assert lines[0].endswith("; controls there: random 0.01.")
    assert lines[1].startswith("necessity: ")
    assert any("n = 12 patches of 12 samples a cell" in line and "seed 0" in line for line in lines)
    assert (
        lines[-1] == "The strongest of many cells is strong also by luck: confirm it on pairs not used here."
    )


def test_the_table_has_a_row_for_each_effect_and_cell_patches_before_controls() -> None:
    table = swept(pairs=3).table()
    assert len(table) == 3 * 4 * 2 * 2
    assert {"effect", "layer", "first_step", "value", "low", "high", "n"} <= set(table.columns)
    assert table["control"].tolist() == ["none"] * 24 + ["random"] * 24
    here = table.query("control == 'none' and direction == 'necessity' and layer == 2 and first_step == 1")
    assert here["value"].item() == pytest.approx(0.25 + 0.001)
    assert here["n"].item() == 3


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({}, ["x0_recovered", "x0_recovered-strongest"]),
        ({"steps": [0]}, ["x0_recovered-by-layer", "x0_recovered-strongest"]),
        ({"layers": [4]}, ["x0_recovered-by-step", "x0_recovered-strongest"]),
        ({"steps": [0], "layers": [4]}, ["x0_recovered-strongest"]),
    ],
)
def test_the_figures_are_those_that_fit_the_grid_and_all_can_be_drawn(
    changed: dict[str, Any], names: list[str]
) -> None:
    made = swept(**changed)
    assert made.figures() == names
    for name in names:
        figure = made.figure(name)
        figure.draw_without_rendering()
        assert any(axes.has_data() for axes in figure.axes)


def test_several_places_have_a_map_each_by_what_tells_them_apart() -> None:
    parts = [swept(pairs=2).dataset.assign(site=("patch", [site] * 96)) for site in ("self_attn", "mlp")]
    made = Result(xr.concat(parts, "patch"), {"kind": "ablation"})
    assert made.figures()[:3] == ["x0_recovered-self_attn", "x0_recovered-mlp", "x0_recovered-strongest"]
    assert made.title == "Ablation: what runs compute, taken away"


def test_names_of_places_are_file_names_and_differ() -> None:
    places = [
        {"site": "resid", "tokens": text, "branch": "all", "scale": -1.0}
        for text in ("frames:1-2 & path", "frames:1-2 + path", "~path")
    ]
    assert place_names(places) == ["frames_1_2_path", "frames_1_2_path-2", "path"]
    assert place_names(places[:1]) == [""]


def test_steering_is_drawn_over_its_scales_through_nothing_at_zero() -> None:
    made = steered()
    assert made.figures() == ["x0_along-by-scale", "x0_along-by-layer", "x0_along-strongest"]
    [axes] = made.figure().axes
    curves = {
        tuple(np.round(np.asarray(line.get_ydata(), dtype=float), 6).tolist()): line.get_linestyle()
        for line in axes.get_lines()
        if len(line.get_xdata()) == 5
    }
    assert curves == {(-0.8, -0.4, 0, 0.4, 0.8): "-", (-1.6, -0.8, 0, 0.8, 1.6): "-"}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["-2", "-1", "0", "1", "2"]
    controls = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
    assert [line.get_ydata().tolist() for line in controls] == [[0.01] * 4] * 2
    caption = " ".join(made.figure().texts[-1].get_text().split())
    assert "Dashed: the control random." in caption
    assert "of 6 samples a cell" in caption
    assert "95% intervals." in caption
    for name in made.figures():
        made.figure(name).draw_without_rendering()


def test_of_many_curves_those_that_go_farthest_are_drawn_and_the_others_counted() -> None:
    figure = steered(layers=tuple(range(9))).figure("x0_along-by-scale")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [f"layer {layer}" for layer in range(3, 9)]
    assert "The 6 curves that go farthest from zero, of 9." in " ".join(figure.texts[-1].get_text().split())


def test_the_dots_are_the_strongest_cells_with_their_intervals_and_controls() -> None:
    made = swept()
    figure = made.figure("x0_recovered-strongest")
    assert [axes.get_title("left") for axes in figure.axes] == ["sufficiency", "necessity"]
    axes = figure.axes[0]
    assert axes.get_yticklabels()[0].get_text() == "step 0, layer 3"
    assert len(axes.get_yticklabels()) == 8
    points = [line.get_xdata()[0] for line in axes.get_lines() if line.get_marker() == "o"]
    assert points[0] == pytest.approx(0.75 + 0.0055)
    assert sorted(map(abs, points), reverse=True) == [abs(value) for value in points]
    assert "The 8 strongest of 12 cells" in " ".join(figure.texts[-1].get_text().split())


def test_nothing_is_cut_off_or_laid_over_another_text() -> None:
    for figure in (steered().figure(), swept().figure("x0_recovered-strongest")):
        figure.draw_without_rendering()
        width, height = figure.canvas.get_width_height()
        boxes = [text.get_window_extent() for text in figure.texts]
        boxes += [axes.get_tightbbox() for axes in figure.axes]
        boxes += [legend.get_window_extent() for legend in figure.legends]
        for index, box in enumerate(boxes):
            assert box.x0 >= -1
            assert box.x1 <= width + 1
            assert box.y0 >= -1
            assert box.y1 <= height + 1
            assert not any(box.overlaps(other) for other in boxes[:index])


def test_a_direction_of_which_nothing_is_known_leaves_the_other_in_words_and_figures() -> None:
    dataset = swept(pairs=3).dataset
    lost = dataset["direction"].values == "necessity"
    dataset["error"] = ("patch", np.where(lost, "not finite", ""))
    made = Result(dataset, {"kind": "patch"})
    assert made.summary()[0].startswith("sufficiency: ")
    assert not made.summary()[1].startswith("necessity: ")
    assert any("failed: not finite" in line for line in made.summary())
    for name in made.figures():
        titles = [axes.get_title() or axes.get_title("left") for axes in made.figure(name).axes]
        assert not any("necessity" in title for title in titles)


def test_a_result_of_which_nothing_is_known_says_so_and_has_no_figures() -> None:
    dataset = swept(pairs=2).dataset
    dataset["error"] = ("patch", np.array(["out of memory"] * dataset.sizes["patch"]))
    made = Result(dataset, {"kind": "patch"})
    assert made.summary() == ["No effect is known, of 96 rows.", "96 failed: out of memory"]
    assert made.figures() == []
    assert made.table().empty


def test_a_result_that_is_none_of_patching_is_told() -> None:
    made = Result(xr.Dataset({"x0_along": ("patch", np.array([1.0]))}), {"kind": "patch"})
    with pytest.raises(SelectionError, match="this is no patching result"):
        made.summary()


def test_intervals_are_drawn_as_asked() -> None:
    figures = of_patches.effect_figures(swept().dataset, "x0_recovered", Bootstrap(seed=5, draws=200))
    for make in figures.values():
        assert "bootstrap seed 5, 200 draws" in " ".join(make().texts[-1].get_text().split())


def attributed(share: float = 1.02) -> Result:
    dataset = full_grid("attribution", effect, directions=["sufficiency"], controls=["none"], pairs=4)
    dataset["attribution_ig"] = dataset["attribution"] * 2
    dataset["attribution_ig"].attrs["long_name"] = "change of x0_along, by integrated gradients"
    dataset["ig_share"] = ("patch", np.full(dataset.sizes["patch"], share))
    return Result(dataset, {"kind": "attribution"})


def test_attribution_is_shown_by_integrated_gradients_first_and_its_share_is_no_effect() -> None:
    made = attributed()
    assert made.figures() == ["attribution_ig", "attribution"]
    assert set(made.table()["effect"]) == {"attribution_ig", "attribution"}
    assert made.summary()[0].startswith(
        "sufficiency: attribution_ig is strongest at resid, layer 3, step 0: 1.50 ("
    )
    assert not any("--points" in line for line in made.summary())
    assert any("A screen" in line for line in made.summary())
    assert "by integrated gradients" in made.figure().texts[0].get_text().replace("\n", " ")


def test_attribution_with_too_few_points_says_so() -> None:
    [line] = [line for line in attributed(0.6).summary() if "--points" in line]
    assert line.startswith("The points account for 0.60 of the metric's difference (median over rows): more")
