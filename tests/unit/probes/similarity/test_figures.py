"""Figures show the numbers of the result, and say what they leave out."""

from __future__ import annotations

import numpy as np
import pytest

from probes.similarity import plots
from probes.similarity.compare import similarity
from tests.unit.probes.similarity.making import CHANNELS, TOKENS, make_store, noise


def flat_at_last_layer(sample: str, seed: int, step: int, layer: int) -> np.ndarray:
    if layer == 10:
        return np.ones((TOKENS, CHANNELS))
    return noise(sample, seed, step, layer) + noise(sample, 0, 0, 9)


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory):
    steps, layers = tuple(range(14)), tuple(range(11))
    folder = tmp_path_factory.mktemp("deep") / "deep"
    return make_store(folder, flat_at_last_layer, ("a", "b"), (0, 1), steps, layers, num_steps=len(steps))


def caption(figure) -> str:
    return " ".join(" ".join(text.get_text() for text in figure.texts).split())


def test_maps_hold_the_values_of_their_step_and_tell_how_many_are_shown(deep):
    result = similarity(deep, tokens="all", layers="0-4,10")
    figure = result.figure("maps")
    panels = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert len(panels) == plots.MOST_PANELS
    shown = np.ma.asarray(panels["step 13"].images[0].get_array())
    expected = result.dataset["cka"].sel(step=13).values
    assert np.allclose(shown.filled(-9), np.nan_to_num(expected, nan=-9))
    assert shown.mask[:, 5].all()
    said = caption(figure)
    assert "12 of 14 steps are shown" in said
    assert "n = 4 runs of 2 samples, all 24 tokens of each" in said
    assert "95% interval: jackknife over samples" in said
    assert "Baselines: samples exchanged" in said
    assert "Grey" in said


def test_curves_are_one_minus_the_measure_with_the_band_turned_over(deep):
    result = similarity(deep, "seeds", tokens="all", layers="0-9")
    figure = result.figure("curves")
    axes, beside = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    assert len(lines) == plots.MOST_CURVES
    values = result.dataset.sel(layer=9)
    assert np.allclose(lines["layer 9"].get_ydata(), 1 - values["cka"])
    band = np.asarray(axes.collections[-1].get_paths()[0].vertices)[:, 1]
    assert band.min() == pytest.approx(float((1 - values["high"]).min()))
    assert band.max() == pytest.approx(float((1 - values["low"]).max()))
    assert axes.get_ylim()[1] >= float((1 - result.dataset["low"]).max())
    assert "9 of 10 layers are shown" in caption(figure)
    assert axes.get_xlabel() == beside.get_xlabel() == plots.STEP
    baselines = {line.get_label(): line.get_ydata() for line in beside.lines}
    assert np.allclose(baselines["layer 9"], 1 - values["baseline"].sel(shuffle="samples"))
    assert beside.get_title() == "baseline: samples exchanged"


def test_curves_without_baselines_stand_alone(deep):
    figure = similarity(deep, "seeds", tokens="all", layers="0,1", steps="0,1", shuffles=0).figure("curves")
    (axes,) = figure.axes
    assert {line.get_label() for line in axes.lines} == {"layer 0", "layer 1"}
    assert "No baselines." in caption(figure)


def test_the_whole_grid_names_each_step_once(deep):
    result = similarity(deep, "grid", tokens=4, layers="0-2", steps="0-4", shuffles=0)
    panel, bar = result.figure("maps").axes
    assert [label.get_text() for label in panel.get_xticklabels()] == ["0", "1", "2", "3", "4"]
    assert panel.get_xticks().tolist() == [1, 4, 7, 10, 13]
    assert panel.get_xlabel() == "step, and within each the layers 0-2"
    assert bar.get_ylabel() == "CKA"


def test_colours_begin_near_the_least_where_all_are_alike():
    assert plots._colours([np.array([[1.0, 0.87], [0.87, 1.0]])]).get_clim() == (0.85, 1.0)
    assert plots._colours([np.array([[1.0, 0.27], [0.27, 1.0]])]).get_clim() == (0.0, 1.0)
    assert plots._colours([np.array([[1.0, -0.1], [-0.1, np.nan]])]).get_clim() == (-0.1, 1.0)


def test_the_map_of_two_sides_has_every_layer(deep):
    result = similarity(deep, "seeds", tokens="all", layers="0-9", measure="rsa")
    figure = result.figure("map")
    shown = np.ma.asarray(figure.axes[0].images[0].get_array())
    assert shown.shape == (14, 10)
    assert np.allclose(shown, 1 - result.dataset["rsa"])
    assert "1 - RSA (spearman of correlation distances)" in caption(figure)
