"""Results of noise as words, a table and figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from probes.figures.drawing import drawn
from probes.noising import effects
from probes.noising.alignment import What
from probes.results.result import Result
from tests.unit.probes.noising.planted import CHANNELS, GRID, SIGMAS, plant, random_estimates, scores, told

SAMPLES = [f"maze-{number:02d}" for number in range(10)]
NOISES = {
    "noised-step-00": told(steps=[0]),
    "noised-step-02": told(steps=[2]),
    "noised-frame-01": told(frames=[1]),
    "noised-step-00-energy-1": told(steps=[0], how="mix", energy=1.0),
    "noised-frame-01-energy-1": told(frames=[1], how="mix", energy=1.0),
    "noised-everywhere": told(),
}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    keys = [(sample, 0, variant) for sample in SAMPLES for variant in ("base", *NOISES)]
    rng = np.random.default_rng(0)
    shape = (len(SIGMAS) - 1, 1, int(np.prod(GRID)), CHANNELS)
    store = plant(
        tmp_path_factory.mktemp("noise") / "store",
        random_estimates(keys),
        NOISES,
        energies={"noised-frame-01": 1.7},
        activations={key: rng.standard_normal(shape).astype(np.float32) for key in keys},
    )
    lost = {"noised-step-00": SAMPLES[:9], "noised-step-02": SAMPLES, "noised-frame-01": SAMPLES[3:4]}
    finals = {key: float(key[0] not in lost.get(key[2], ())) for key in keys}
    made = effects(store, scores=scores(store, finals), activations=What(tokens="all"))
    return made.save(store.path, "noise")


def test_the_summary_names_effects_intervals_energies_and_n(result: Result) -> None:
    text = "\n".join(result.summary())
    assert result.title == "What noise in latents does"
    assert "6 places (3 at a step, 2 in a frame, 1 elsewhere)" in text
    assert "replace: energy 1.00 at a step, 1.70 in a frame" in text
    assert "matched, energy 1: energy 1.00 at a step, 1.00 in a frame" in text
    assert "-0.95 [" in text
    assert "steps less frames -0.85 [" in text
    assert "Largest loss: noised-step-02, -1.00" in text
    assert "noise at a step hurts more" in text
    assert "10 runs of 10 samples" in text
    assert "1.70 times the energy" in text


def test_the_table_has_a_row_for_each_number(result: Result) -> None:
    table = result.table()
    effect = table[(table["quantity"] == "effect") & (table["place"] == "noised-step-02")].iloc[0]
    assert (effect["value"], effect["n"], effect["samples"]) == (-1.0, 10, 10)
    assert len(table[table["quantity"] == "unlike"]) == len(NOISES) * (len(SIGMAS) - 1)
    unlike = table[table["quantity"] == "unlike"].iloc[0]
    assert unlike["low"] <= unlike["value"] <= unlike["high"]
    assert set(table["quantity"]) >= {"energy", "effect_p_all", "clean_distance", "steps_less_frames"}


def test_every_figure_is_drawn(result: Result) -> None:
    names = result.figures()
    assert names[0] == "effects"
    assert {"distances", "distances-2", "frames", "unlike", "unlike-layers"} <= set(names)
    for name in (*(one for one in names if not one.endswith("-2")), "distances-2"):
        assert drawn(result.figure(name), "png", dpi=40)[:4] == b"\x89PNG"


def test_the_effects_stand_side_by_side_on_one_axis(result: Result) -> None:
    first, second = result.figure("effects").axes
    assert first.get_ylim() == second.get_ylim()
    assert first.get_title().startswith("noise at one step")
    assert second.get_title().startswith("noise in one latent frame")
    values = {tuple(line.get_ydata()) for line in first.lines if len(line.get_xdata()) == 2}
    assert (-0.9, -1.0) in values


def test_without_scores_and_activations_there_are_distances(tmp_path: Path) -> None:
    keys = [("maze-00", 0, variant) for variant in ("base", "noised-step-00")]
    store = plant(tmp_path / "store", random_estimates(keys), {"noised-step-00": told(steps=[0])})
    found = effects(store)
    assert found.figures() == ["distances", "frames"]
    assert any("no activations of resid" in line for line in found.summary())
    assert drawn(found.figure(), "png", dpi=40)
