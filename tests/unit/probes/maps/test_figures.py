"""What is drawn: colours, scales, which of many, and the words around it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image

from cosinterp.cli.maps import FIGURES
from probes.figures import plots
from probes.figures.drawing import DPI, drawn
from probes.maps import comparing, mosaic, pictures
from probes.maps.making import maps
from probes.results.result import Result
from stores.errors import SelectionError
from tests.unit.probes.maps.planting import GRID, noise, plant
from tests.unit.probes.maps.test_channels import content


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return maps(plant(tmp_path_factory.mktemp("maps") / "s", content), show_step=2, show_layer=3)


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the module's figures hand to `mosaic`."""
    calls: list[dict[str, Any]] = []

    def record(shown: np.ndarray, **words: Any) -> Figure:
        calls.append({"pictures": shown, **words})
        return mosaic.mosaic(shown, **words)

    for module in (pictures, comparing):
        monkeypatch.setattr(module, "mosaic", record)
    return calls


COARSE = 40
"""Dots per inch: enough to tell figures apart, and quick."""


def pixels(figure: Figure, dpi: int = COARSE) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(drawn(figure, "png", dpi=dpi))).convert("RGB"))


def test_the_command_knows_the_names_of_all_figures(result: Result) -> None:
    assert tuple(result.figures()) == FIGURES


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_and_names_its_axes_and_its_n(result: Result, name: str) -> None:
    figure = result.figure(name)
    assert "n = " in " ".join(text.get_text() for text in figure.texts)
    labels = " ".join(axes.get_xlabel() + axes.get_ylabel() for axes in figure.axes)
    assert "layer" in labels or "latent frame" in labels or "step" in labels
    height, width, _ = pixels(figure).shape
    assert height > 2 * COARSE
    assert width > 2 * COARSE


def test_a_layers_maps_share_one_scale(result: Result, handed: list[dict[str, Any]]) -> None:
    pictures.layer_grid(result.dataset, "energy", "step")
    shown = handed[0]["pictures"]
    energies = result.dataset["energy"].sel(run="a/0", frame=GRID[0] - 1, layer=7).values.astype(np.float64)
    low, high = np.quantile(energies, (0.01, 0.99))
    share = np.clip((energies - low) / (high - low), 0, 1)
    assert np.allclose(shown[2], colormaps["cividis"](share)[..., :3])


def test_side_by_side_shares_a_scale_and_shows_the_difference(
    result: Result, handed: list[dict[str, Any]]
) -> None:
    comparing.side_by_side(result.dataset, "layer", ("a/1", "b/0"))
    shown = handed[0]["pictures"]
    at = result.dataset["energy"].sel(step=2, frame=GRID[0] - 1).astype(np.float64)
    for row in range(3):
        first, second = (at.sel(run=run).isel(layer=row).values for run in ("a/1", "b/0"))
        low, high = np.quantile([first, second], (0.01, 0.99))
        for column, one in enumerate((first, second)):
            share = np.clip((one - low) / (high - low), 0, 1)
            assert np.allclose(shown[row, column], colormaps["cividis"](share)[..., :3])
        most = np.abs(first - second).max()
        assert np.allclose(shown[row, 2], colormaps["PuOr_r"]((first - second + most) / (2 * most))[..., :3])
        score = result.dataset["score"].sel(run="b/0", step=2, frame=GRID[0] - 1).isel(layer=row).values
        assert np.allclose(shown[row, 4], pictures.in_colours(result.dataset, score, row))


def test_side_by_side_by_step_has_one_scale_for_all_rows(
    result: Result, handed: list[dict[str, Any]]
) -> None:
    comparing.side_by_side(result.dataset, "step")
    at = result.dataset["energy"].sel(run=["a/0", "a/1"], layer=3, frame=GRID[0] - 1).astype(np.float64)
    low, high = np.quantile(at, (0.01, 0.99))
    share = np.clip((at.sel(run="a/1").values - low) / (high - low), 0, 1)
    assert np.allclose(handed[0]["pictures"][:, 1], colormaps["cividis"](share)[..., :3])
    assert handed[0]["bars"][0].ends == (pictures.number(low), pictures.number(high))


def test_a_token_is_one_square_of_whole_pixels() -> None:
    shown = np.random.default_rng(0).random((1, 2, 3, 4, 3))
    words = {"row_axis": "layer", "column_axis": "step", "title": "t", "subtitle": "s", "caption": "c"}
    image = pixels(mosaic.mosaic(shown, rows=["0"], columns=["0", "1"], **words), DPI)
    wanted = {tuple(np.rint(255 * colour).astype(int)) for colour in shown.reshape(-1, 3)}
    flat, counts = np.unique(image.reshape(-1, 3), axis=0, return_counts=True)
    areas = {tuple(colour.tolist()): count for colour, count in zip(flat, counts, strict=True)}
    found = {area for colour in wanted for area in _near(areas, colour)}
    assert len(found) == 1
    assert {round(area**0.5) ** 2 for area in found} == found


def _near(areas: dict[tuple[int, ...], int], colour: tuple[int, ...]) -> list[int]:
    return [
        area for one, area in areas.items() if max(abs(a - b) for a, b in zip(one, colour, strict=True)) <= 1
    ]


def test_too_many_layers_and_steps_are_spread_evenly() -> None:
    chosen = plots.spread(range(41), 12)
    assert (chosen[0], chosen[-1], len(chosen)) == (0, 40, 12)
    assert set(np.diff(chosen)) <= {3, 4}
    assert plots.spread([0, 5, 9], 12) == [0, 5, 9]


def test_a_figure_of_a_part_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_ROWS", 2)
    found = maps(plant(tmp_path / "s"), samples="b").dataset
    texts = " ".join(text.get_text() for text in pictures.layer_grid(found).texts).replace("\n", " ")
    assert "Drawn: 2 of 3 layers, evenly spaced." in texts


def test_what_is_not_known_is_grey() -> None:
    maps_ = np.array([[0.0, np.nan], [1.0, 2.0]])
    drawn = mosaic.coloured(maps_, (0.0, 2.0))
    assert drawn[0, 1].tolist() == list(mosaic.UNKNOWN)
    assert np.allclose(drawn[0, 0], colormaps["cividis"](0.0)[:3])


def test_one_run_has_nothing_beside_it(tmp_path: Path) -> None:
    found = maps(plant(tmp_path / "s"), samples="b")
    assert not any(name.startswith("side") for name in found.figures())
    with pytest.raises(SelectionError, match="choose a second"):
        comparing.side_by_side(found.dataset)


def test_another_run_is_drawn_by_its_name(result: Result, handed: list[dict[str, Any]]) -> None:
    pictures.layer_grid(result.dataset, "energy", "step", run="b/0")
    pictures.layer_grid(result.dataset, "energy", "step")
    assert not np.array_equal(handed[0]["pictures"], handed[1]["pictures"])
    with pytest.raises(SelectionError, match="run 'c/0': this result has a/0, a/1, b/0"):
        pictures.layer_grid(result.dataset, run="c/0")


def test_a_result_is_the_same_after_it_was_saved(result: Result, tmp_path: Path) -> None:
    again = result.save(tmp_path, "maps")
    assert again.summary() == result.summary()
    assert again.table().equals(result.table())
    for name in ("components-by-frame", "side-by-side-by-step", "largest-channels"):
        assert np.array_equal(pixels(again.figure(name)), pixels(result.figure(name))), name


def test_the_table_has_the_numbers(result: Result) -> None:
    chosen = "quantity == 'frame_energy' and step == 2 and layer == 3 and frame == 1"
    (one,) = result.table().query(chosen).to_dict("records")
    at = result.dataset.sel(step=2, layer=3, frame=1)
    assert (one["value"], one["low"], one["high"], one["n"]) == (
        float(at["frame_energy_mean"]),
        float(at["frame_energy_low"]),
        float(at["frame_energy_high"]),
        3,
    )
    assert pd.isna(one["channel"])
    assert pd.isna(one["run"])
    top = result.table().query(
        "quantity == 'top_ratio' and run == 'b/0' and step == 5 and layer == 7 and rank == 1"
    )
    assert top["channel"].tolist() == [5]


def test_the_summary_names_the_massive_channels(result: Result) -> None:
    said = "\n".join(result.summary())
    assert "channel 5 at layers 3,7, channel 11 at layer 3; at steps 2,5; in 2 of 3 runs" in said
    assert "largest channel: 5, magnitude 5e+05" in said
    assert np.abs(noise("a", 0, 0, 0)).max() < 100
