"""Sums in pieces are the sums of all, and the bound of memory holds."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from probes.similarity import streaming
from probes.similarity.blocks import Costs, batches
from probes.similarity.compare import similarity
from probes.similarity.designs import Pair
from stores import SelectionError, Store, StoreSettings, create_store
from tests.unit.probes.similarity.making import TOKENS, make_store, noise

LAYERS = tuple(range(6))
WIDTH = 40


def wide(sample: str, seed: int, step: int, layer: int) -> np.ndarray:
    label = f"{sample} {seed} {step}"
    common = np.random.default_rng(list(label.encode())).normal(size=(TOKENS, WIDTH))
    return common + np.tile(noise(sample, seed, step, layer), (1, 7))[:, :WIDTH]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path / "store", wide, steps=(0,), layers=LAYERS)


@pytest.mark.parametrize("across", ["layers", "seeds", "samples"])
def test_batches_of_pairs_and_pieces_of_runs_give_the_same_as_all_at_once(
    store: Store, across, monkeypatch: pytest.MonkeyPatch
):
    cut: list[int] = []

    def counted(*arguments):
        found = batches(*arguments)
        cut.append(len(found))
        return found

    monkeypatch.setattr(streaming, "batches", counted)
    whole = similarity(store, across, tokens="all", shuffles=2).dataset
    pieces = similarity(store, across, tokens="all", shuffles=2, host_memory=300_000).dataset
    assert cut[0] == 1 < cut[1]
    for name in ("cka", "low", "high", "biased", "baseline"):
        assert np.allclose(whole[name], pieces[name], atol=1e-10, rtol=0, equal_nan=True)


@pytest.mark.parametrize("across", ["layers", "seeds"])
def test_gram_matrices_give_the_same_as_sums_over_channels(
    store: Store, across, monkeypatch: pytest.MonkeyPatch
):
    few = similarity(store, across, tokens=3, shuffles=2).dataset
    assert int(few["rows"]) <= WIDTH

    def never(*_):
        raise AssertionError("more channels than rows take Gram matrices")

    with monkeypatch.context() as patched:
        patched.setattr(streaming, "batches", never)
        assert few.equals(similarity(store, across, tokens=3, shuffles=2).dataset)
    monkeypatch.setattr(streaming.grams, "is_smaller", lambda *_: False)
    by_sums = similarity(store, across, tokens=3, shuffles=2).dataset
    for name in ("cka", "low", "high", "biased", "baseline"):
        assert np.allclose(few[name], by_sums[name], atol=1e-10, rtol=0, equal_nan=True)


def test_rsa_in_batches_gives_the_same(store: Store):
    whole = similarity(store, measure="rsa", tokens="all").dataset
    pieces = similarity(store, measure="rsa", tokens="all", host_memory=100_000).dataset
    assert np.allclose(whole["rsa"], pieces["rsa"], atol=1e-12)
    assert np.allclose(whole["baseline"], pieces["baseline"], atol=1e-12)


def test_memory_stays_below_the_bound_for_a_store_that_is_larger(tmp_path: Path):
    limit, layers, channels, grid = 3_000_000, tuple(range(6)), 64, (4, 16, 16)
    settings = {"sites": ["resid"], "layers": layers, "steps": [0], "branches": ["cond"], "dtype": "fp32"}
    store = create_store(tmp_path / "large", StoreSettings({"name": "large"}, settings, {}))
    rng = np.random.default_rng(0)
    for sample in ("a", "b", "c"):
        with store.writer(sample, 0) as writer:
            writer.set_attrs({"prediction_type": "flow"})
            writer.set_schedule([1000], [1.0, 0.0])
            writer.add_site("resid", layers, (0,), ("cond",), grid, channels)
            for layer in layers:
                writer.write("resid", 0, layer, "cond", rng.normal(size=(*grid, channels)).astype(np.float32))
            writer.finish()
    held = 3 * len(layers) * 4 * 16 * 16 * channels * 4
    assert held > 1.5 * limit

    def peak(**asked) -> int:
        # What is loaded once counts for no bound.
        similarity(store, layers="0,1", tokens=8, **asked)
        tracemalloc.start()
        similarity(store, tokens="all", host_memory=limit, **asked)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak() < limit
    assert peak(rows="runs", measure="rsa") < limit


def test_tiles_of_pairs_share_their_features():
    pairs = [Pair(i, j, (i, j), 0) for i in range(20) for j in range(i, 20)]
    costs = Costs(pair=lambda _: 100, feature=lambda _: 10, row=lambda _: 1)
    cut = batches(pairs, costs, 64, 8_000)
    assert sorted(number for batch in cut for number in batch.pairs) == list(range(len(pairs)))
    assert all(100 * len(batch.pairs) + 10 * len(batch.features) <= 6_000 for batch in cut)
    assert max(len(batch.features) for batch in cut) <= 16
    with pytest.raises(SelectionError, match="too little for a single pair"):
        batches(pairs, costs, 64, 130)
