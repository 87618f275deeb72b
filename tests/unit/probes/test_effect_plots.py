"""Maps show the cells that they are given, beside their controls, and say what they show."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from probes.effect_plots import step_layer_maps
from probes.effects import Bootstrap, grid
from probes.figures.drawing import save_figure
from stores import SelectionError
from tests.unit.probes.patched import full_grid, pair, result

QUICK = Bootstrap(draws=300, seed=3)
SHARE = {"kind": "share", "long_name": "reaches the donor's goal"}


def flips(n: int, step: int, layer: int, way: str, control: str) -> float:
    """An outcome that is certain in the first step and left to chance later."""
    if control == "none" and step == 0:
        return 1.0
    return float(np.random.default_rng([n, step, layer, len(way), len(control)]).random() < 0.3)


def shares(**changed) -> xr.Dataset:
    return full_grid("goal_donor", flips, attrs=SHARE, **changed)


def maps(figure: Figure) -> dict[str, Axes]:
    return {axes.get_title(): axes for axes in figure.axes if axes.get_title()}


def shown(axes: Axes) -> np.ndarray:
    return np.ma.asarray(axes.images[0].get_array()).filled(np.nan)


def caption(figure: Figure) -> str:
    return " ".join(figure.texts[-1].get_text().split())


def test_each_map_shows_the_cells_of_its_direction_and_control():
    figure = step_layer_maps(shares(), "goal_donor", bootstrap=QUICK)
    found = maps(figure)
    assert list(found) == [
        "sufficiency",
        "necessity",
        "sufficiency, control: random",
        "necessity, control: random",
    ]
    for title, axes in found.items():
        direction, _, control = title.partition(", control: ")
        cells = grid(shares(), "goal_donor", direction, control or "none", bootstrap=QUICK)
        np.testing.assert_allclose(shown(axes), cells.value.values)
    first = found["sufficiency"]
    assert [label.get_text() for label in first.get_yticklabels()] == ["0", "1", "2"]
    assert [label.get_text() for label in first.get_xticklabels()] == ["0", "1", "2", "3"]
    assert "denoising step" in first.get_ylabel()
    assert first.get_xlabel() == "layer"


def test_panels_stand_side_by_side_and_controls_below_them():
    found = maps(step_layer_maps(shares(), "goal_donor", bootstrap=QUICK))
    boxes = {title: axes.get_position() for title, axes in found.items()}
    assert boxes["sufficiency"].x1 < boxes["necessity"].x0
    assert boxes["sufficiency"].y0 == pytest.approx(boxes["necessity"].y0)
    assert boxes["sufficiency, control: random"].y1 < boxes["sufficiency"].y0


def test_a_ring_marks_each_cell_that_is_not_told_apart_from_its_control():
    found = maps(step_layer_maps(shares(), "goal_donor", bootstrap=QUICK))
    rings = 0
    for direction in ("sufficiency", "necessity"):
        cells = grid(shares(), "goal_donor", direction, bootstrap=QUICK)
        control = grid(shares(), "goal_donor", direction, "random", bootstrap=QUICK).value.values
        inside = (cells.low.values <= control) & (control <= cells.high.values)
        [marks] = found[direction].collections
        places = {(round(y + 0.3), round(x - 0.3)) for x, y in np.asarray(marks.get_offsets())}
        assert places == {tuple(map(int, place)) for place in np.argwhere(inside)}
        assert not inside[0].any()
        rings += len(places)
    assert rings > 0
    assert not found["sufficiency, control: random"].collections


def test_a_share_is_shown_from_zero_to_one_and_a_signed_effect_as_far_to_either_side():
    for axes in maps(step_layer_maps(shares(), "goal_donor", bootstrap=QUICK)).values():
        assert axes.images[0].get_clim() == (0, 1)
    signed = full_grid(
        "x0_along", lambda n, step, layer, way, control: layer - 2.5 if control == "none" else 0.5
    )
    for axes in maps(step_layer_maps(signed, "x0_along", bootstrap=QUICK)).values():
        assert axes.images[0].get_clim() == (-2.5, 2.5)
    distance = full_grid(
        "x0_moved", lambda n, step, layer, way, control: layer / 2.0, attrs={"valid_min": 0.0}
    )
    for axes in maps(step_layer_maps(distance, "x0_moved", bootstrap=QUICK)).values():
        assert axes.images[0].get_clim() == (0, 1.5)


def luminance(axes: Axes, values: np.ndarray) -> np.ndarray:
    """Of the colours that values are shown in, as deuteranopic eyes see them (Machado et al. 2009)."""
    rgb = axes.images[0].to_rgba(values)[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    )
    return linear @ matrix.T @ np.array([0.2126, 0.7152, 0.0722])


def test_larger_is_lighter_for_shares_and_darker_away_from_zero_for_signed_effects_to_any_eye():
    share = maps(step_layer_maps(shares(), "goal_donor", bootstrap=QUICK))["sufficiency"]
    assert (np.diff(luminance(share, np.linspace(0, 1, 21))) > 0).all()
    data = full_grid("x0_along", lambda n, step, layer, way, control: layer - 1.5)
    signed = maps(step_layer_maps(data, "x0_along", bootstrap=QUICK))["sufficiency"]
    assert (np.diff(luminance(signed, np.linspace(0, 1.5, 11))) < 0).all()
    assert (np.diff(luminance(signed, np.linspace(0, -1.5, 11))) < 0).all()
    ends = signed.images[0].to_rgba(np.array([-1.5, 1.5]))[:, :3]
    assert np.abs(ends[0] - ends[1]).max() > 0.3


def test_small_maps_have_their_numbers_in_the_cells_and_large_ones_do_not():
    small = maps(step_layer_maps(shares(), "goal_donor", bootstrap=QUICK))["necessity"]
    expected = grid(shares(), "goal_donor", "necessity", bootstrap=QUICK).value.values
    assert {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in small.texts} == {
        place: f"{value:.2f}" for place, value in np.ndenumerate(expected)
    }
    for count, texts in ((15, 15), (16, 0)):
        wide = shares(pairs=3, steps=[0], layers=range(count))
        assert len(maps(step_layer_maps(wide, "goal_donor", bootstrap=QUICK))["necessity"].texts) == texts


def test_numbers_fit_their_cells():
    values = iter([0.0, -0.001, 0.126, -1.5, 12.34, 123.4])
    by_layer = {layer: next(values) for layer in range(6)}
    data = full_grid("x", lambda n, step, layer, way, control: by_layer[layer], steps=[0], layers=range(6))
    axes = maps(step_layer_maps(data, "x", bootstrap=QUICK))["sufficiency"]
    assert [text.get_text() for text in axes.texts] == ["0.00", "0.00", "0.13", "−1.50", "12.3", "123"]


def test_many_steps_and_layers_are_not_all_labelled():
    wide = shares(pairs=2, steps=range(40), layers=range(41), controls=["none"], directions=["necessity"])
    [axes] = maps(step_layer_maps(wide, "goal_donor", bootstrap=QUICK)).values()
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == [str(layer) for layer in range(0, 41, 2)]


def test_the_figure_says_what_it_shows_of_how_many_and_how_sure():
    figure = step_layer_maps(shares(), "goal_donor", bootstrap=QUICK)
    assert figure.texts[0].get_text() == "Reaches the donor's goal"
    assert figure.texts[1].get_text() == "resid, all tokens, branch cond"
    said = caption(figure)
    assert (
        "Sufficiency: activations of the pair's donor in its recipient's run; necessity: activations" in said
    )
    assert "In effects, the donor is the run that activations come from" in said
    assert "A ring: the interval holds the value of the control random." in said
    assert "n = 12 patches of 12 samples a cell; 95% interval: " in said
    assert "cluster bootstrap by sample, BCa" in said
    assert said.endswith("bootstrap seed 3, 300 draws.")
    assert "Grey" not in said
    own = step_layer_maps(shares(), "goal_donor", title="Where the goal flips", bootstrap=QUICK)
    assert own.texts[0].get_text() == "Where the goal flips"


def test_what_was_not_patched_or_failed_is_said_and_left_grey():
    rows = [
        pair(n) | {"first_step": step, "last_step": step, "layer": layer, "x": 1.0}
        for n in range(4)
        for step, layer in [(0, 0), (0, 1), (1, 1)]
    ]
    rows[0] |= {"error": "measure maze: too small"}
    figure = step_layer_maps(result(rows), "x", bootstrap=QUICK)
    [axes] = maps(figure).values()
    assert math.isnan(shown(axes)[1, 0])
    assert len(axes.texts) == 3
    said = caption(figure)
    assert "Grey: not patched, or not known." in said
    assert "n = 3 to 4 patches of 3 to 4 samples a cell (1 left out: failed or not known)" in said
    assert "necessity" not in said
    assert "ring" not in said


def test_the_controls_are_those_asked_for_else_the_random_one_else_any_but_identity():
    def titles(there: list[str], **asked) -> list[str]:
        data = shares(controls=["none", *there], directions=["sufficiency"])
        return list(maps(step_layer_maps(data, "goal_donor", bootstrap=QUICK, **asked)))

    assert titles(["identity", "elsewhere", "random"])[1:] == ["sufficiency, control: random"]
    assert titles(["identity", "elsewhere"])[1:] == ["sufficiency, control: elsewhere"]
    assert titles(["identity"])[1:] == []
    assert titles(["identity", "random"], controls=["random", "identity"])[1:] == [
        "sufficiency, control: random",
        "sufficiency, control: identity",
    ]
    assert titles(["random"], controls=[]) == ["sufficiency"]
    with pytest.raises(SelectionError, match='control "wrong-seed": this result has no such patch'):
        titles(["random"], controls=["wrong-seed"])


def test_a_result_of_no_known_direction_has_no_maps():
    with pytest.raises(SelectionError, match="no patches of the directions sufficiency or necessity"):
        step_layer_maps(shares(directions=["sideways"]), "goal_donor", bootstrap=QUICK)


def test_the_same_result_gives_the_same_picture(tmp_path):
    pictures = []
    for _ in range(2):
        made = io.BytesIO()
        step_layer_maps(shares(), "goal_donor", bootstrap=QUICK).savefig(made, format="png")
        pictures.append(made.getvalue())
    assert pictures[0] == pictures[1]
    figure = step_layer_maps(shares(), "goal_donor", bootstrap=QUICK)
    assert save_figure(figure, tmp_path / "maps.pdf").read_bytes().startswith(b"%PDF")


def test_no_text_is_cut_off_at_the_edge():
    data = shares(steps=[0, 1], layers=[0], directions=["necessity"])
    data.goal_donor.attrs["long_name"] = "a long description of an effect that does not fit in one line of it"
    figure = step_layer_maps(data, "goal_donor", bootstrap=QUICK)
    figure.draw_without_rendering()
    width, height = figure.canvas.get_width_height()
    for text in figure.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height
