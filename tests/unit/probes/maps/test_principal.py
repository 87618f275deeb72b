from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from probes.maps import energy
from probes.maps.making import maps
from probes.maps.pictures import in_colours
from probes.maps.principal import Moments, colour_limits, colours, principal
from stores.errors import SelectionError
from tests.unit.probes.maps.planting import CHANNELS, LAYERS, RUNS, STEPS, Float32, noise, plant


def all_tokens(layers: tuple[int, ...] = LAYERS) -> NDArray[np.float64]:
    slabs = [noise(*run, step, layer) for run, step, layer in product(RUNS, STEPS, layers)]
    return np.concatenate([slab.reshape(-1, CHANNELS) for slab in slabs]).astype(np.float64)


def same_but_for_signs(found: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    signs = np.sign((found * expected).sum(axis=1))[:, None]
    assert np.abs(found - signs * expected).max() < 1e-8


def test_components_are_scikit_learns(tmp_path: Path) -> None:
    found = maps(plant(tmp_path / "s")).dataset
    tokens = all_tokens()
    expected = PCA(3, svd_solver="full").fit(tokens)
    same_but_for_signs(found["component_axis"].values[0], expected.components_)
    assert np.abs(found["component_centre"].values[0] - expected.mean_).max() < 1e-8
    assert np.abs(found["explained"].values[0] - expected.explained_variance_ratio_).max() < 1e-8
    assert int(found["fit_count"][0]) == len(tokens)
    scores = found["score"].values.reshape(-1, 3)
    theirs = expected.transform(tokens)
    assert np.allclose(np.abs(scores), np.abs(theirs), atol=1e-4)


def test_scores_are_scikit_learns_in_float64() -> None:
    tokens = all_tokens().astype(np.float32)
    moments = Moments(CHANNELS)
    moments.add(tokens)
    fit = principal(moments)
    theirs = PCA(3, svd_solver="full").fit(tokens.astype(np.float64))
    expected = theirs.transform(tokens.astype(np.float64))
    same_but_for_signs(fit.scores(tokens).T, expected.T)
    assert np.abs(fit.variance - theirs.explained_variance_).max() < 1e-8


def test_a_component_for_each_layer_is_fitted_on_that_layer(tmp_path: Path) -> None:
    found = maps(plant(tmp_path / "s"), pca="layer").dataset
    for place, layer in enumerate(LAYERS):
        expected = PCA(3, svd_solver="full").fit(all_tokens((layer,)))
        same_but_for_signs(found["component_axis"].values[place], expected.components_)


def test_a_large_mean_costs_no_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "_BLOCK", 50 * CHANNELS)
    tokens = all_tokens() + 1e7
    moments = Moments(CHANNELS)
    for part in np.array_split(tokens, 9):
        moments.add(part)
    expected = np.cov(tokens, rowvar=False)
    assert np.allclose(moments.scatter / (moments.count - 1), expected, rtol=1e-6)
    naive = (tokens.T @ tokens - len(tokens) * np.outer(tokens.mean(0), tokens.mean(0))) / (len(tokens) - 1)
    assert not np.allclose(naive, expected, rtol=1e-6)


def test_the_largest_loading_is_positive_whatever_the_order() -> None:
    tokens = all_tokens()
    axes = []
    for order in (tokens, tokens[::-1], -tokens):
        moments = Moments(CHANNELS)
        moments.add(order)
        found = principal(moments).axes
        assert (found[np.arange(3), np.abs(found).argmax(axis=1)] > 0).all()
        axes.append(found)
    assert np.allclose(axes[0], axes[1], atol=1e-9)
    assert np.allclose(axes[0], axes[2], atol=1e-9)


def test_the_same_token_has_the_same_colour_anywhere(tmp_path: Path) -> None:
    twin = np.linspace(-4, 4, CHANNELS).astype(np.float32)
    places = {("a", 1, 2, 3): (0, 1, 2), ("b", 0, 5, 7): (2, 3, 4), ("a", 0, 0, 0): (1, 0, 0)}

    def content(sample: str, seed: int, step: int, layer: int) -> Float32:
        slab = noise(sample, seed, step, layer)
        if (sample, seed, step, layer) in places:
            slab[places[sample, seed, step, layer]] = twin
        return slab

    found = maps(plant(tmp_path / "s", content)).dataset
    seen = []
    for (sample, seed, step, layer), place in places.items():
        one = found["score"].sel(run=f"{sample}/{seed}", step=step, layer=layer).values
        seen.append(in_colours(found, one, layer)[place])
    assert np.array_equal(seen[0], seen[1])
    assert np.array_equal(seen[0], seen[2])
    other = in_colours(found, found["score"].isel(run=0, step=0, layer=0).values, 0)
    assert not np.array_equal(other[2, 3, 4], seen[0])


def test_colours_run_between_the_limits_and_leave_out_the_unknown() -> None:
    scores = np.stack([np.linspace(0, 1, 101)] * 3, axis=-1)
    scores = np.concatenate([scores, np.full((5, 3), np.nan)])
    limits = colour_limits(scores)
    assert np.allclose(limits, [[0.01] * 3, [0.99] * 3])
    drawn = colours(scores, limits)
    assert drawn[0].tolist() == [0, 0, 0]
    assert drawn[100].tolist() == [1, 1, 1]
    assert np.allclose(drawn[50], 0.5)
    assert np.isnan(drawn[-1]).all()


def test_fitting_on_some_tokens_takes_the_same_of_every_slab_again(tmp_path: Path) -> None:
    store = plant(tmp_path / "s")
    first, again = (maps(store, fit_tokens=20, seed=3).dataset for _ in range(2))
    assert np.array_equal(first["component_axis"], again["component_axis"])
    assert int(first["fit_count"][0]) == 20 * len(RUNS) * len(STEPS) * len(LAYERS)
    other = maps(store, fit_tokens=20, seed=4).dataset
    assert not np.array_equal(first["component_axis"], other["component_axis"])


def test_what_has_no_components_says_so() -> None:
    moments = Moments(4)
    moments.add(np.ones((9, 4)))
    with pytest.raises(SelectionError, match="all chosen tokens are alike"):
        principal(moments)
    few = Moments(4)
    few.add(np.eye(4)[:3])
    with pytest.raises(SelectionError, match="more than 3 tokens, not 3"):
        principal(few)
    narrow = Moments(2)
    narrow.add(np.random.default_rng(0).normal(size=(9, 2)))
    with pytest.raises(SelectionError, match="3 channels, not 2"):
        principal(narrow)
