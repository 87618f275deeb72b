from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from probes.kinds.maps import summary
from probes.maps import energy
from probes.maps.channels import MassiveRule, median_magnitude, slab_channels
from probes.maps.making import maps
from stores.errors import SelectionError
from tests.unit.probes.maps.planting import CHANNELS, GRID, LAYERS, RUNS, STEPS, Float32, noise, plant

PLANTED = {
    # (sample, seed, step, layer): (channel, token)
    ("a", 0, 2, 3): [(5, (0, 1, 2)), (5, (2, 0, 0)), (11, (0, 1, 2))],
    ("b", 0, 5, 7): [(5, (1, 3, 4))],
}
SIZE = 5e5


def content(sample: str, seed: int, step: int, layer: int) -> Float32:
    slab = noise(sample, seed, step, layer)
    for channel, token in PLANTED.get((sample, seed, step, layer), ()):
        slab[(*token, channel)] = -SIZE
    return slab


def test_massive_activations_are_found_where_planted_and_nowhere_else(tmp_path: Path) -> None:
    found = maps(plant(tmp_path / "s", content)).dataset
    for (run, (sample, seed)), step, layer in product(enumerate(RUNS), STEPS, LAYERS):
        planted = PLANTED.get((sample, seed, step, layer), [])
        at = found.isel(run=run).sel(step=step, layer=layer)
        expected = np.zeros(GRID)
        for _, token in planted:
            expected[token] += 1
        assert np.array_equal(at["massive_here"], expected)
        channels = {channel for channel, _ in planted}
        assert int(at["massive_channels"]) == len(channels)
        massive = at["top_massive_tokens"].values > 0
        assert set(at["top_channel"].values[massive].tolist()) == channels
    is_massive = found["is_massive"].values
    assert {LAYERS[layer]: np.flatnonzero(is_massive[layer]).tolist() for layer in range(3)} == {
        0: [],
        3: [5, 11],
        7: [5],
    }


def test_the_table_names_channel_magnitude_ratio_and_token(tmp_path: Path) -> None:
    found = maps(plant(tmp_path / "s", content)).dataset
    at = found.sel(run="b/0", step=5, layer=7)
    top = at.sel(rank=1)
    median = np.median(np.abs(content("b", 0, 5, 7)))
    assert int(top["top_channel"]) == 5
    assert float(top["top_magnitude"]) == SIZE
    assert float(top["top_ratio"]) == pytest.approx(SIZE / median, rel=1e-6)
    assert [int(top[f"top_{axis}"]) for axis in ("frame", "row", "col")] == [1, 3, 4]
    assert int(top["top_massive_tokens"]) == 1
    peaks = np.abs(content("b", 0, 5, 7)).max(axis=(0, 1, 2))
    assert at["top_channel"].values.tolist() == np.argsort(-peaks, kind="stable")[:10].tolist()


def test_energy_without_massive_channels_leaves_out_those_of_the_layer(tmp_path: Path) -> None:
    found = maps(plant(tmp_path / "s", content)).dataset
    for layer, gone in ((0, []), (3, [5, 11]), (7, [5])):
        kept = [channel for channel in range(CHANNELS) if channel not in gone]
        for step in STEPS:
            full = content("a", 0, step, layer)[..., kept].astype(np.float64)
            expected = np.linalg.norm(full, axis=-1).astype(np.float32)
            values = found["energy_without_massive"].sel(run="a/0", step=step, layer=layer).values
            assert np.array_equal(values, expected)


def test_without_massive_channels_there_is_no_second_energy(tmp_path: Path) -> None:
    found = maps(plant(tmp_path / "s")).dataset
    assert "energy_without_massive" not in found
    assert "massive_here" not in found
    assert any("no activation is massive (magnitude above 100 and at least 1000" in x for x in summary(found))


def test_the_components_can_spare_massive_channels(tmp_path: Path) -> None:
    store = plant(tmp_path / "s", content)
    spared = maps(store, spare_massive=True).dataset["component_axis"].values[0]
    assert (spared[:, [5, 11]] == 0).all()
    first = maps(store).dataset["component_axis"].values[0, 0]
    assert abs(first[5]) > 0.9


def test_both_thresholds_have_to_be_passed() -> None:
    tokens = np.ones((10, 5), np.float32)
    tokens[3, 2] = 50
    assert not slab_channels(tokens, MassiveRule(100, 20)).massive.any()
    assert not slab_channels(tokens, MassiveRule(40, 60)).massive.any()
    assert not slab_channels(tokens, MassiveRule(50, 20)).massive.any()
    found = slab_channels(tokens, MassiveRule(49, 50))
    assert found.massive.tolist() == [0, 0, 1, 0, 0]
    assert np.flatnonzero(found.massive_here).tolist() == [3]
    assert found.median == 1


@pytest.mark.parametrize("size", [1, 2, 3, 1000, 1001])
@pytest.mark.parametrize("kind", ["float32", "bfloat16", "few values", "zero"])
def test_the_median_is_numpys(size: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "_BLOCK", 100)
    tokens = np.random.default_rng(size).normal(size=(size, 3)).astype(np.float32)
    if kind == "bfloat16":
        tokens = (tokens.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    elif kind != "float32":
        tokens = (tokens.round() if kind == "few values" else 0 * tokens).astype(np.float32)
    assert median_magnitude(tokens) == float(np.median(np.abs(tokens)))


def test_peaks_are_those_of_all_tokens_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = noise("a", 0, 0, 0).reshape(-1, CHANNELS)
    tokens[17] = tokens[40]
    monkeypatch.setattr(energy, "_BLOCK", 7 * CHANNELS)
    found = slab_channels(tokens, MassiveRule())
    assert np.array_equal(found.peak, np.abs(tokens).max(axis=0))
    assert np.array_equal(found.token, np.abs(tokens).argmax(axis=0))


def test_the_activations_are_left_as_they_are() -> None:
    tokens = noise("a", 0, 0, 0).reshape(-1, CHANNELS)
    before = tokens.copy()
    slab_channels(tokens, MassiveRule(1, 1))
    assert np.array_equal(tokens, before)


def test_the_largest_channels_are_mapped_or_those_asked_for(tmp_path: Path) -> None:
    store = plant(tmp_path / "s", content)
    found = maps(store).dataset
    assert found["shown_channel"].values.tolist()[:2] == [5, 11]
    found = maps(store, channels="3,8-9").dataset
    assert found["shown_channel"].values.tolist() == [3, 8, 9]
    one = found["channel_value"].sel(run="a/1", step=0, layer=7, shown_channel=8).values
    assert np.array_equal(one, content("a", 1, 0, 7)[..., 8])


@pytest.mark.parametrize(("least", "ratio"), [(-1, 1000), (100, 0.5), (float("nan"), 2)])
def test_thresholds_that_mean_nothing_are_refused(least: float, ratio: float) -> None:
    with pytest.raises(SelectionError, match="the first has to be 0 or more, the second 1 or more"):
        MassiveRule(least, ratio)
