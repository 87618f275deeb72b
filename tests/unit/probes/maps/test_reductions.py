"""Maps of stores that keep less than everything."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from probes.maps.making import maps
from stores.errors import SelectionError, StoreError
from tests.unit.probes.maps.planting import (
    GRID,
    LAYERS,
    PLACES,
    RUNS,
    STEPS,
    noise,
    plant,
    projection,
    reduced,
)


def tokens_of(reduction: str, width: int) -> np.ndarray:
    slabs = [
        reduced(noise(*run, step, layer), reduction) for run in RUNS for step in STEPS for layer in LAYERS
    ]
    return np.concatenate([slab.reshape(-1, width) for slab in slabs]).astype(np.float64)


def test_norm_gives_the_energy_itself_and_says_what_it_cannot(tmp_path: Path) -> None:
    result = maps(plant(tmp_path / "s", reductions=["norm"]))
    expected = reduced(noise("a", 1, 2, 3), "norm")
    assert np.array_equal(result.dataset["energy"].sel(run="a/1", step=2, layer=3), expected)
    assert {"score", "top_channel", "frame_change", "channel_value"}.isdisjoint(result.dataset)
    assert "frame_energy_mean" in result.dataset
    said = "\n".join(result.summary())
    assert "no PCA: reduction norm keeps no channels" in said
    assert "no channels and no massive activations: reduction norm keeps no channels" in said


def test_tokens_have_energy_and_components_at_their_places_only(tmp_path: Path) -> None:
    found = maps(plant(tmp_path / "s", reductions=["tokens:6"])).dataset
    energy = found["energy"].sel(run="b/0", step=5, layer=0).values
    there = np.zeros(GRID, bool)
    there[tuple(PLACES.T)] = True
    assert np.array_equal(np.isfinite(energy), there)
    full = np.linalg.norm(noise("b", 0, 5, 0).astype(np.float64), axis=-1)
    assert np.allclose(energy[there], full[there], rtol=1e-6)
    assert np.array_equal(np.isfinite(found["score"].sel(run="b/0", step=5, layer=0, component=1)), there)
    expected = PCA(3, svd_solver="full").fit(tokens_of("tokens:6", 16))
    assert np.abs(found["explained"].values[0] - expected.explained_variance_ratio_).max() < 1e-8
    assert "frame_change" not in found
    top = found.sel(run="b/0", step=5, layer=0, rank=1)
    assert tuple(int(top[f"top_{axis}"]) for axis in ("frame", "row", "col")) in set(
        map(tuple, PLACES.tolist())
    )


def test_a_frame_of_which_no_token_is_kept_is_not_shown(tmp_path: Path) -> None:
    early = PLACES[PLACES[:, 0] < 2]
    store = plant(tmp_path / "s", reductions=[f"tokens:{len(early)}"], places=early)
    result = maps(store)
    assert result.dataset.attrs["shown_frame"] == 1
    assert np.isnan(result.dataset["frame_energy_mean"].sel(frame=2)).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in result.figures():
            result.figure(figure)
    with pytest.raises(SelectionError, match="there is no frame 2; what is chosen has frames 0-1"):
        maps(store, show_frame=2)


def test_a_projection_gives_components_and_an_estimate_of_the_energy(tmp_path: Path) -> None:
    found = maps(plant(tmp_path / "s", reductions=["project:8"])).dataset
    expected = PCA(3, svd_solver="full").fit(tokens_of("project:8", 8))
    assert np.abs(found["explained"].values[0] - expected.explained_variance_ratio_).max() < 1e-8
    matrix = projection(8).astype(np.float64)
    stored = reduced(noise("a", 0, 2, 7), "project:8").astype(np.float64)
    by_hand = np.linalg.norm(stored, axis=-1) * np.sqrt(16 / (matrix**2).sum())
    assert np.allclose(found["energy"].sel(run="a/0", step=2, layer=7), by_hand, rtol=1e-6)
    assert found.attrs["energy_is"].endswith("estimated from 8 random components (to about 25%)")
    assert "top_channel" not in found


def test_the_estimate_of_a_projection_is_as_good_as_it_says() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.normal(size=(400, 64))
    errors = []
    for _ in range(200):
        matrix = rng.normal(size=(64, 32)) / np.sqrt(32)
        scale = np.sqrt(64) / np.linalg.norm(matrix)
        errors.append(scale * np.linalg.norm(tokens @ matrix, axis=1) / np.linalg.norm(tokens, axis=1) - 1)
    assert np.std(errors) == pytest.approx(np.sqrt(2 / 32) / 2, rel=0.1)
    assert abs(np.mean(errors)) < 0.02


@pytest.mark.parametrize(
    ("reduction", "grid", "words"),
    [
        ("frames", (3, 1, 1), "L2 norm over channels of the mean of each frame"),
        ("mean", (1, 1, 1), "L2 norm over channels of the mean of all tokens"),
    ],
)
def test_means_have_a_grid_of_what_is_left(
    tmp_path: Path, reduction: str, grid: tuple[int, ...], words: str
) -> None:
    result = maps(plant(tmp_path / "s", reductions=[reduction]))
    found = result.dataset
    assert tuple(found.sizes[axis] for axis in ("frame", "row", "col")) == grid
    stored = reduced(noise("a", 0, 0, 3), reduction).astype(np.float64)
    expected = np.linalg.norm(stored, axis=-1)
    assert np.allclose(found["energy"].sel(run="a/0", step=0, layer=3).values.reshape(-1), expected)
    assert found.attrs["energy_is"] == words
    assert "components-by-step" not in result.figures()
    for figure in result.figures():
        result.figure(figure)


def test_norms_of_frames_are_means_of_norms(tmp_path: Path) -> None:
    found = maps(plant(tmp_path / "s", reductions=["norm+frames"])).dataset
    assert found.attrs["energy_is"] == "mean L2 norm over channels of each frame"
    assert np.allclose(
        found["frame_energy"].sel(run="a/0", step=0, layer=3),
        np.linalg.norm(noise("a", 0, 0, 3).astype(np.float64), axis=-1).mean(axis=(1, 2)),
    )


@pytest.mark.parametrize(
    ("reduction", "asked", "message"),
    [
        (
            "norm",
            {"pca": "sweep"},
            "there is no PCA to colours: reduction norm keeps no channels; choose none",
        ),
        ("project:2", {"pca": "layer"}, "reduction project:2 keeps 2 components, and 3 are needed"),
        ("norm", {"channels": "3"}, "channels cannot be chosen: reduction norm keeps none"),
        ("project:8", {"channels": [3]}, "channels cannot be chosen: reduction project:8 keeps none"),
    ],
)
def test_what_a_reduction_cannot_give_is_refused(
    tmp_path: Path, reduction: str, asked: dict, message: str
) -> None:
    store = plant(tmp_path / "s", reductions=[reduction])
    with pytest.raises(SelectionError, match=message) as refused:
        maps(store, **asked)
    assert "\n" not in str(refused.value)


def test_several_reductions_have_to_be_told_apart(tmp_path: Path) -> None:
    store = plant(tmp_path / "s", reductions=["norm", "project:8"])
    with pytest.raises(StoreError, match="has it as norm, project:8"):
        maps(store)
    assert maps(store, reduction="norm").dataset.attrs["reduction"] == "norm"
