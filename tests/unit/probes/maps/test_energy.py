from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from probes.maps import energy
from probes.maps.making import maps
from tests.unit.probes.maps.planting import LAYERS, RUNS, STEPS, noise, plant


def test_energies_are_the_norms_of_what_is_read(tmp_path: Path) -> None:
    store = plant(tmp_path / "s")
    found = maps(store).dataset["energy"]
    assert found.dtype == np.float32
    for run, (sample, seed) in enumerate(RUNS):
        for step in STEPS:
            for layer in LAYERS:
                read = store.read("resid", step, layer, sample, seed)
                expected = np.linalg.norm(read.astype(np.float64), axis=-1).astype(np.float32)
                assert np.array_equal(found.isel(run=run).sel(step=step, layer=layer).values, expected)


def test_energies_by_frame_and_layer_are_means_over_tokens(tmp_path: Path) -> None:
    found = maps(plant(tmp_path / "s")).dataset
    wide = found["energy"].astype(np.float64)
    assert np.allclose(found["frame_energy"], wide.mean(("row", "col")), rtol=1e-12)
    assert np.allclose(found["layer_energy"], wide.mean(("frame", "row", "col")), rtol=1e-12)


def test_the_change_is_the_distance_from_the_frame_before(tmp_path: Path) -> None:
    found = maps(plant(tmp_path / "s"), samples="b").dataset["frame_change"]
    full = noise("b", 0, 2, 3).astype(np.float64)
    expected = np.linalg.norm(full[1:] - full[:-1], axis=-1).mean(axis=(1, 2))
    values = found.isel(run=0).sel(step=2, layer=3).values
    assert np.isnan(values[0])
    assert np.allclose(values[1:], expected, rtol=1e-12)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = noise("a", 0, 0, 0).reshape(-1, 16)
    whole = energy.token_energy(tokens), energy.frame_change(tokens.reshape(3, 20, 16))
    monkeypatch.setattr(energy, "_BLOCK", 7 * 16)
    assert np.array_equal(whole[0], energy.token_energy(tokens))
    assert np.allclose(whole[1], energy.frame_change(tokens.reshape(3, 20, 16)), rtol=1e-14, equal_nan=True)


def test_sums_do_not_lose_what_float32_would() -> None:
    tokens = np.full((1, 1 << 14), 1e-4, np.float32)
    tokens[0, 0] = 1e4
    exact = np.sqrt(1e8 + (tokens.shape[1] - 1) * np.float64(np.float32(1e-4)) ** 2)
    assert energy.token_energy(tokens)[0] == pytest.approx(exact, rel=1e-15)


def test_unknown_tokens_do_not_count_in_a_mean() -> None:
    some = np.array([[[1.0, np.nan], [3.0, np.nan]], [[np.nan, np.nan], [np.nan, np.nan]]])
    assert np.array_equal(energy.frame_energy(some), [2.0, np.nan], equal_nan=True)
    assert energy.layer_energy(some) == 2.0
