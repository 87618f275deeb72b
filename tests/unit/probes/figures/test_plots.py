"""Curves say what they show, and show what they are given."""

import numpy as np
import pytest

from probes import statistics
from probes.figures import plots


def curve(seed=0, steps=6):
    rng = np.random.default_rng(seed)
    return statistics.means(rng.random((40, steps)), np.arange(20).repeat(2).tolist())


def test_line_and_band_are_the_estimates_and_their_intervals():
    estimates = curve()
    figure = plots.by_step({"solved": estimates}, title="t", ylabel="share", caption="c", limits=(0, 1))
    [axes] = figure.axes
    [line] = axes.lines
    assert np.asarray(line.get_ydata()).tolist() == [one.value for one in estimates]
    corners = axes.collections[0].get_paths()[0].vertices
    for step, one in enumerate(estimates):
        heights = sorted(set(np.asarray(corners)[np.asarray(corners)[:, 0] == step, 1].tolist()))
        assert (heights[0], heights[-1]) == pytest.approx((one.low, one.high))


def test_caption_and_axes_are_named():
    caption = statistics.describe(curve())
    figure = plots.by_step(
        {"solved": curve()}, title="Score by step", ylabel="share of runs", caption=caption
    )
    [axes] = figure.axes
    assert axes.get_ylabel() == "share of runs"
    assert "denoising step" in axes.get_xlabel()
    texts = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert texts == caption
    assert "n = 40 runs of 20 samples" in texts


def test_curves_differ_in_more_than_colour():
    figure = plots.by_step({"a": curve(0), "b": curve(1)}, title="", ylabel="", caption="")
    first, second = figure.axes[0].lines
    assert first.get_color() != second.get_color()
    assert first.get_marker() != second.get_marker()
    assert figure.axes[0].get_legend() is not None


def test_the_palette_stays_apart_for_red_green_blind_eyes():
    """Deuteranopia as Machado, Oliveira and Fernandes (2009) simulate it, in linear light."""
    matrix = np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    )
    colours = np.array([[int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)] for code in plots.OKABE_ITO])
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = linear @ matrix.T
    apart = [np.linalg.norm(seen[i] - seen[j]) for i in range(len(seen)) for j in range(i)]
    assert min(apart) > 0.1


def test_curves_of_different_length_are_refused():
    with pytest.raises(ValueError, match="same number of steps"):
        plots.by_step({"a": curve(steps=3), "b": curve(steps=4)}, title="", ylabel="", caption="")
